"""`manage.py beat`: Celery's beat, which asks the worker to sweep every few seconds. Exactly one of it runs."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from console import celery_app


class Command(BaseCommand):
    help = "Ask the worker for a sweep every few seconds, until TERM or INT. Run exactly one."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--schedule", required=True, metavar="FILE", help="where it keeps what it last asked for")

    def handle(self, *args: Any, **options: Any) -> None:
        celery_app.start(["beat", "--schedule", options["schedule"], "--loglevel", settings.LOG_LEVEL])
