"""`manage.py simulate`: failing conversations, sent over HTTP the way any chatbot back end would."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from demo.simulator import main as simulator


class Command(BaseCommand):
    help = simulator.HELP
    requires_system_checks = []

    def run_from_argv(self, argv: list[str]) -> None:
        # The same parser as `python -m demo.simulator`: one sentence for a wrong option, not a page of usage.
        raise SystemExit(simulator.main(argv[2:]))

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        simulator.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if code := simulator.run(argparse.Namespace(**options)):
            raise CommandError("The simulator did not start.", returncode=code)
