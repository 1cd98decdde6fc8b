"""Celery tasks: hints without data, so that losing or doubling one is harmless. The rows are the truth."""

from celery import Task, shared_task
from django_scopes import scopes_disabled

from alerts import actions, feed
from alerts.delivery import outbox, tokens
from alerts.figures import closing
from alerts.sources import inbox, traffic, watch
from orgs import clock


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
    """Work the alerts whose due time has passed."""
    with scopes_disabled():
        actions.sweep_timers()


@shared_task(ignore_result=True, acks_late=True)
def watch_sources() -> None:
    """Say which sources fell silent or are refused, and let go of what is no longer shown."""
    with scopes_disabled():
        watch.sweep_sources()
        traffic.tidy(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def sweep_figures() -> None:
    """Count the days that are over for the success figures, and those again in which something changed."""
    with scopes_disabled():
        closing.close_days(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def ask_push_tokens() -> None:
    """Ask notification-service who has a phone."""
    tokens.ask_everybody()
