"""`manage.py dispatcher`: what the worker does, without Redis: sweeps pushes that wait, and timers."""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django_scopes import scopes_disabled

from alerts import actions, duty_pushes
from alerts.delivery import outbox
from alerts.faults import PASSING, report
from alerts.figures import closing
from alerts.sources import inbox, watch
from orgs import clock
from orgs.logs import described
from runs import containment, fold, late, presence
from runs import watch as agents

EVERY = 1.0  # seconds
MIN_AGE = 2.0  # seconds a push has been due: the worker gets it first
WATCH_EVERY = 60.0  # seconds between two looks at the sources
FOLD_EVERY = 20.0  # seconds: what is late in runs is known within a minute
SWEEP_LASTS = 3.0  # seconds, so that the timers are looked at in between

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Sweeps due pushes, timers and deliveries once a second until TERM or INT, with or without Redis."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        log.info("dispatcher_started")
        watched = folded = 0.0
        while not stop.is_set():
            _turn(stop)
            if time.monotonic() - watched >= WATCH_EVERY:
                watched = time.monotonic()
                _survive("sources", watch.sweep_sources)  # which fell silent, with Redis down too
                _survive("agents", agents.sweep_agents)
                _survive("flows", lambda: presence.note_flows(clock.now(), SWEEP_LASTS))
                _survive("figures", lambda: closing.close_days(clock.now()))
                _survive("sessions", lambda: containment.sweep_sessions(clock.now()))
            if time.monotonic() - folded >= FOLD_EVERY:
                folded = time.monotonic()
                _survive("runs", fold.fold_all)
            stop.wait(EVERY)
        log.info("dispatcher_ended")


def _turn(stop: threading.Event) -> None:
    sweeps: dict[str, Callable[[], int]] = {
        "pushes": lambda: outbox.sweep_outbox(until=time.monotonic() + SWEEP_LASTS, min_age=MIN_AGE, stop=stop),
        "timers": actions.sweep_timers,
        "duty": lambda: duty_pushes.sweep_duty_pushes(clock.now()),
        "stalled": lambda: late.stamp_overdue(clock.now()),
        "deliveries": lambda: inbox.work(until=time.monotonic() + SWEEP_LASTS),
    }
    swept = {name: _survive(name, sweep) for name, sweep in sweeps.items()}
    if any(swept.values()):
        log.info("swept", **swept)


def _survive(name: str, sweep: Callable[[], int]) -> int:
    """One sweep; what it did. The database may be away or restarting, and no fault of one sweep stops the others."""
    try:
        close_old_connections()
        with scopes_disabled():
            return sweep()
    except PASSING as error:
        log.warning("database_away", sweep=name, error=described(error))
    except Exception as error:  # noqa: BLE001 - the process must live on; the next turn tries again
        report("sweep_failed", error, sweep=name)
    return 0
