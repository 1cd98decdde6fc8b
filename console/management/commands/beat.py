"""`manage.py beat`: Celery's beat, which asks the worker to sweep every few seconds. Exactly one of it runs."""

import signal
import sys
from argparse import ArgumentParser
from typing import Any

from celery.beat import Service
from django.core.management.base import BaseCommand

from console import celery_app


class Command(BaseCommand):
    help = "Ask the worker for a sweep every few seconds, until TERM or INT. Run exactly one."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schedule", required=True, metavar="FILE", help="where it keeps what it last asked for")

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: sys.exit(0))
        # Not celery's own command: that loads every task, which nobody runs here, and all that they need.
        Service(celery_app, schedule_filename=options["schedule"]).start()
