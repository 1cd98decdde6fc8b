"""`manage.py standins`: the external services as one real HTTP server, for development, demos and tests."""

from django.core.management.base import BaseCommand

from demo.standins import server


class Command(BaseCommand):
    help = server.HELP
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # The same parser as `python -m demo.standins`: one sentence for a wrong option, not a page of usage.
        raise SystemExit(server.main(argv[2:]))
