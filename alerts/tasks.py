"""Celery tasks: hints without data, so that losing or doubling one is harmless. The rows are the truth."""

import time
from contextlib import suppress

from celery import Task, shared_task
from django_scopes import scopes_disabled
from kombu.exceptions import OperationalError

from alerts import actions, duty_pushes, feed, gaps
from alerts.delivery import outbox, tokens
from alerts.figures import closing
from alerts.replay import requests
from alerts.retention.purge import Pace, purge
from alerts.sources import inbox, traffic, watch
from orgs import clock

PURGE_LASTS = 5.0  # seconds at a time: the next piece waits in line behind what is urgent


@shared_task(bind=True, ignore_result=True, acks_late=True)
def sweep_pushes(self: "Task[[], None]") -> None:
    """Send what is due: on a kick after a commit, and every few seconds anyway."""
    outbox.sweep_outbox(kick=feed.Kick.of(self.request.headers))


@shared_task(ignore_result=True, acks_late=True)
def work_deliveries() -> None:
    """Work the webhook deliveries that are stored: on a kick after a commit, and every few seconds anyway."""
    with scopes_disabled():
        inbox.work()


@shared_task(ignore_result=True, acks_late=True)
def run_timers() -> None:
    """Work the alerts whose due time has passed, and say whose duty begins or has changed."""
    with scopes_disabled():
        actions.sweep_timers()
        duty_pushes.sweep_duty_pushes(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def watch_sources() -> None:
    """Say which sources fell silent or are refused, and let go of what is no longer shown."""
    with scopes_disabled():
        watch.sweep_sources()
        traffic.tidy(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def look_ahead() -> None:
    """Say when nobody will be on duty within a day."""
    with scopes_disabled():
        gaps.sweep_duty_gaps()


@shared_task(ignore_result=True, acks_late=True)
def sweep_figures() -> None:
    """Count the days that are over for the success figures, and those again in which something changed."""
    with scopes_disabled():
        closing.close_days(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def ask_push_tokens() -> None:
    """Ask notification-service who has a phone."""
    tokens.ask_everybody()


@shared_task(ignore_result=True, acks_late=True, time_limit=110)
def play_previews() -> None:
    """Play what was asked of policies: on a kick after a commit, and every few seconds anyway."""
    with scopes_disabled():
        requests.work_previews()


@shared_task(ignore_result=True, acks_late=True)
def purge_old() -> None:
    """Delete what is older than its org keeps it: a piece, and while there is more, the next."""
    pace = Pace(until=time.monotonic() + PURGE_LASTS)
    with scopes_disabled():
        purge(clock.now(), pace=pace)
    if pace.is_over:
        with suppress(OperationalError):  # Redis is away: the beat asks again tomorrow
            purge_old.apply_async()
