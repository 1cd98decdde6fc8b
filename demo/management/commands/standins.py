"""`manage.py standins`: the external services as one real HTTP server, for development, demos and tests."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo.standins import server


class Command(BaseCommand):
    help = server.HELP
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # The same parser as `python -m demo.standins`: one sentence for a wrong option, not a page of usage.
        raise SystemExit(server.main(argv[2:]))

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        server.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if code := server.run(argparse.Namespace(**options)):
            raise CommandError("The stand-ins did not start.", returncode=code)
