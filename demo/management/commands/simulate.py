"""`manage.py simulate`: failing conversations, sent over HTTP the way any chatbot back end would."""

from django.core.management.base import BaseCommand

from demo.simulator import main as simulator


class Command(BaseCommand):
    help = simulator.HELP
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # The same parser as `python -m demo.simulator`: one sentence for a wrong option, not a page of usage.
        raise SystemExit(simulator.main(argv[2:]))
