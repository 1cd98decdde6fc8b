"""Celery tasks: hints without data, so that losing or doubling one is harmless. The rows are the truth."""

from celery import shared_task
from django_scopes import scopes_disabled

from orgs import clock
from runs import containment, fold, late, presence, watch


@shared_task(ignore_result=True, acks_late=True)
def fold_runs() -> None:
    """Count how long runs took, and follow what changes them after they were stored."""
    with scopes_disabled():
        fold.fold_all()


@shared_task(ignore_result=True, acks_late=True)
def keep_sessions() -> None:
    """Follow what happened in rooms: which sessions were contained, settled, abandoned."""
    with scopes_disabled():
        containment.sweep_sessions(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def watch_runs() -> None:
    """Call overdue, and report as stalled, what should have ended by now: every few seconds."""
    with scopes_disabled():
        late.stamp_overdue(clock.now())


@shared_task(ignore_result=True, acks_late=True)
def watch_agents() -> None:
    """Say which agents run for nobody any more, and note which flows report."""
    with scopes_disabled():
        watch.sweep_agents()
        presence.note_flows(clock.now())
