"""`manage.py dispatcher`: what the worker does, without Redis: sweeps pushes that wait, and timers."""

import math
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
SWEEP_LASTS = 3.0  # seconds, so that the timers are looked at in between

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Sweeps due pushes, deliveries and timers every second or two until TERM or INT, with or without Redis."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        log.info("dispatcher_started")
        begun: dict[str, float] = {}
        while not stop.is_set():
            _turn(stop, begun)
            stop.wait(EVERY)
        log.info("dispatcher_ended")


def _turn(stop: threading.Event, begun: dict[str, float]) -> None:
    """The sweeps whose turn it is; `begun` keeps when each was last begun."""
    sweeps: dict[str, tuple[float, Callable[[], int]]] = {  # seconds between two: the worker sweeps all of them, too
        "pushes": (
            EVERY,
            lambda: outbox.sweep_outbox(until=time.monotonic() + SWEEP_LASTS, min_age=MIN_AGE, stop=stop),
        ),
        "deliveries": (EVERY, lambda: inbox.work(until=time.monotonic() + SWEEP_LASTS)),
        "timers": (2, actions.sweep_timers),
        "duty": (10, lambda: duty_pushes.sweep_duty_pushes(clock.now())),
        "stalled": (10, lambda: late.stamp_overdue(clock.now())),
        "runs": (20, fold.fold_all),  # what is late in runs is known within a minute
        "sources": (60, watch.sweep_sources),  # which fell silent, with Redis down too
        "agents": (60, agents.sweep_agents),
        "flows": (60, lambda: presence.note_flows(clock.now(), SWEEP_LASTS)),
        "figures": (60, lambda: closing.close_days(clock.now())),
        "sessions": (60, lambda: containment.sweep_sessions(clock.now())),
    }
    swept = {}
    for name, (every, sweep) in sweeps.items():
        if time.monotonic() - begun.get(name, -math.inf) >= every:
            begun[name] = time.monotonic()
            swept[name] = _survive(name, sweep)
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
