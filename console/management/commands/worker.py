"""`manage.py worker`: the Celery worker, with the options it has everywhere."""

import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from console import celery_app


class Command(BaseCommand):
    help = "Send pushes, work webhook deliveries and sweep timers as soon as they are due, until TERM or INT."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--concurrency", type=int, default=2, help="processes (default %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        os.environ["CELERY_SKIP_CHECKS"] = "1"  # they load every page, which no task needs: 40 MB and a second
        alone = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}  # nobody listens to these
        worker = celery_app.Worker(
            concurrency=options["concurrency"], prefetch_multiplier=1, loglevel=settings.LOG_LEVEL, **alone
        )
        worker.start()
        sys.exit(worker.exitcode or 0)
