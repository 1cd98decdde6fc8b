"""Previews that were asked for: one at a time for an org, played outside the web process, and forgotten after a day."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q

from alerts import feed
from alerts.faults import PASSING, report
from alerts.models import PolicyPreview
from alerts.replay.basis import as_it_was_before, basis_of
from alerts.replay.figures import figures_of, not_reproduced
from alerts.replay.halves import SaysHowFar, collecting_seldom, play_apart, play_in_turn
from alerts.replay.history import read_history
from alerts.replay.past import read_past
from alerts.replay.stage import Stage
from orgs import clock
from orgs.clock import rfc3339
from orgs.models import Agent, Org, Policy, User
from orgs.policies import say_policy
from orgs.policy_fields import PolicyDocument

TASK = "alerts.tasks.play_previews"
KEPT = timedelta(days=1)
SILENT_AFTER = timedelta(seconds=60)  # without a word from who works it, that process died
LASTS_AT_MOST = 100.0  # seconds; the task is ended after 110
SAME_SPAN = timedelta(minutes=15)  # "until now" is until so long ago at most
SAYS_EVERY = 0.5  # seconds
WORTH_FORKING = 500  # failure events from which on a process of its own for each half is sooner done
State = PolicyPreview.State
GOING = Q(state__in=[State.WAITING, State.RUNNING])


class PreviewStopped(Exception):
    """Somebody asked anew, or it takes too long."""


def ask_preview(
    org: Org, agent: Agent | None, document: PolicyDocument, since: datetime, until: datetime, by: User | None
) -> PolicyPreview:
    """Let a worker play this span under this checked policy; what was asked for this org before is cancelled."""
    now = clock.now()
    with transaction.atomic():
        Org.objects.select_for_update(no_key=True).get(pk=org.pk)  # of two who ask at once the later one is played
        PolicyPreview.objects.filter(GOING, org=org).update(state=State.CANCELLED)
        asked = PolicyPreview.objects.create(
            org=org, agent=agent, by=by, policy=document, since=since, until=until, asked_at=now, expires_at=now + KEPT
        )
        transaction.on_commit(lambda: feed.kick(TASK), robust=True)
    return asked


def span_of_days(org: Org, days: int) -> tuple[datetime, datetime]:
    """The last days until now; until when a preview of this org was just played, if it was of as many: drafts that are
    compared with each other are compared on the same past, which need not be played again.
    """
    now, length = clock.now(), timedelta(days=days)
    lately = PolicyPreview.objects.filter(org=org, state=State.DONE, until__gt=now - SAME_SPAN, until__lte=now)
    same = lately.filter(since=F("until") - length).order_by("-asked_at").first()
    until = now if same is None else same.until
    return until - length, until


def work_previews() -> int:
    """Play what was asked for, the oldest first, and forget what is old; how many were played."""
    PolicyPreview.objects.filter(expires_at__lt=clock.now()).delete()
    played = 0
    while (asked := _take()) is not None:
        _work(asked)
        played += 1
    return played


def _take() -> PolicyPreview | None:
    now = clock.now()
    PolicyPreview.objects.filter(state=State.RUNNING, heard_at__lt=now - SILENT_AFTER).update(state=State.FAILED)
    with transaction.atomic():
        rows = PolicyPreview.objects.select_for_update(of=("self",), skip_locked=True).filter(state=State.WAITING)
        asked = rows.select_related("org", "agent").order_by("asked_at").first()
        if asked is not None:
            asked.state, asked.heard_at = State.RUNNING, now
            asked.save(update_fields=["state", "heard_at"])
        return asked


def _work(asked: PolicyPreview) -> None:
    """Play it. What fails is said on its row, and reported."""
    mine = PolicyPreview.objects.filter(pk=asked.pk, state=State.RUNNING)
    try:
        answer = play_preview(asked, _Progress(asked.pk).say)
    except PreviewStopped:
        mine.update(state=State.FAILED)  # unless it was cancelled
    except PASSING:
        mine.update(state=State.WAITING)
        raise
    except Exception as error:  # noqa: BLE001 - it is said and reported; those of other orgs go on
        mine.update(state=State.FAILED)
        report("preview_failed", error, preview=str(asked.pk), org=asked.org_id)
    else:
        mine.update(state=State.DONE, progress=1.0, answer=answer)


class _Progress:
    """How far it is, written now and then; whether it is still wanted is asked with that."""

    def __init__(self, pk: UUID) -> None:
        self._pk, self._begun, self._said = pk, time.monotonic(), 0.0

    def say(self, progress: float) -> None:
        """Raises PreviewStopped."""
        now = time.monotonic()
        if now - self._said < SAYS_EVERY:
            return
        self._said = now
        mine = PolicyPreview.objects.filter(pk=self._pk, state=State.RUNNING)
        wanted = mine.update(progress=round(min(progress, 0.99), 3), heard_at=clock.now())
        if not wanted or now - self._begun > LASTS_AT_MOST:
            raise PreviewStopped


def play_preview(asked: PolicyPreview, say: Callable[[float], None]) -> dict[str, Any]:
    """The answer as contracts.md has it: the span as it was, and as it would have been; and on what the first hangs.
    Run it without a scope.
    """
    with collecting_seldom():
        return _play(asked, say)


def _play(asked: PolicyPreview, say: Callable[[float], None]) -> dict[str, Any]:
    org, since, until = asked.org, asked.since, asked.until
    history = read_history(org, since, until)
    say(0.05)
    row = say_policy(Policy(org=org, agent=asked.agent, revision=0), asked.policy)
    other = read_past(org, history.begin, until, (since, row))

    def as_it_was(tick: SaysHowFar) -> tuple[dict[str, Any], int]:
        was = Stage(history, past, asked=False, tick=tick).play()
        return figures_of(was, history, past.names()), not_reproduced(was, history)

    def as_it_would_be(tick: SaysHowFar) -> dict[str, Any]:
        return figures_of(Stage(history, other, asked=True, tick=tick).play(), history, other.names())

    def tick(x: float) -> None:
        say(0.1 + 0.9 * x)

    basis = basis_of(history)
    play = play_apart if len(history.events) >= WORTH_FORKING else play_in_turn
    if (known := as_it_was_before(asked, basis)) is not None:
        (then,), (now, differs) = play([as_it_would_be], tick), known
    else:
        past = read_past(org, history.begin, until)
        then, (now, differs) = play([as_it_would_be, as_it_was], tick)
    return {
        "basis": basis,
        "from": rfc3339(since),
        "to": rfc3339(until),
        "events": sum(since < event.received_at <= until for event in history.events),
        "now": now,
        "then": then,
        "not_reproduced": differs,
    }
