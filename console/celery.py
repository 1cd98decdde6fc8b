"""The Celery application: tasks carry no data and are hints; the outbox rows are the truth."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, task_postrun, worker_before_create_process
from django.db import close_old_connections

from console.loaded import keep_loaded

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["alerts", "runs"])


@task_postrun.connect
def _connection_is_kept(**about: Any) -> None:
    """Give the connection back to the pool, whole; a new one for each task costs 7 ms, and every plan anew."""
    close_old_connections()


@worker_before_create_process.connect
def _loaded_is_kept(**about: Any) -> None:
    """Before the fork, so that the processes share what the first of them loaded."""
    keep_loaded()


@setup_logging.connect
def _logs_are_set_up(**about: Any) -> None:
    """With this, Celery leaves the logs as the settings have them: its own handlers print arguments and exceptions."""
