"""Previews that were asked for: one at a time for an org, played outside the web process, and forgotten after a day.

Who changes a policy will ask: the span as it was is played meanwhile, which no draft changes (`play_ahead`). Nobody
waits for that, so it gives way to whatever somebody does wait for, and if it fails it is only missed.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q

from alerts import feed
from alerts.faults import PASSING, report
from alerts.models import PolicyPreview
from alerts.models.previews import AHEAD
from alerts.replay.basis import HELD, as_it_was_before, basis_of
from alerts.replay.figures import figures_of, not_reproduced
from alerts.replay.halves import Half, SaysHowFar, collecting_seldom, play_apart, play_in_turn
from alerts.replay.history import History, read_history
from alerts.replay.past import Past, read_past
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
SETTLES = timedelta(seconds=15)  # by then what is happening is stored, and its pushes are sent
SAYS_EVERY = 0.5  # seconds
WORTH_FORKING = 500  # failure events from which on a process of its own for each half is sooner done
AHEAD_NICE = 10  # of a process that plays ahead: whatever is alive goes first
State = PolicyPreview.State
GOING = Q(state__in=[State.WAITING, State.RUNNING])


class PreviewStopped(Exception):
    """Somebody asked anew, or waits for another one, or it takes too long."""


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
    """The last days until just now; until when a preview of this org was played lately, if it was of as many: drafts
    that are compared with each other are compared on the same past, which need not be played again.
    """
    now, length = clock.now() - SETTLES, timedelta(days=days)
    lately = PolicyPreview.objects.filter(org=org, state=State.DONE, until__gt=now - SAME_SPAN, until__lte=now)
    same = lately.filter(since=F("until") - length).order_by("-asked_at").first()
    until = now if same is None else same.until
    return until - length, until


def play_ahead(org: Org, days: int) -> None:
    """Let a worker play the last days as they were, unless that was just done or a preview of this org is played."""
    since, until = span_of_days(org, days)
    of_org = PolicyPreview.objects.filter(org=org)
    if of_org.filter(GOING | Q(state=State.DONE, since=since, until=until)).exists():
        return
    now = clock.now()
    with suppress(IntegrityError), transaction.atomic():  # of two at once one plays
        of_org.create(org=org, policy={}, since=since, until=until, asked_at=now, expires_at=now + HELD)
        transaction.on_commit(lambda: feed.kick(TASK), robust=True)


def work_previews() -> int:
    """Play what was asked for, the oldest first, and forget what is old; how many were played."""
    old = Q(expires_at__lt=clock.now())
    if not PolicyPreview.objects.filter(GOING | old).exists():
        return 0
    PolicyPreview.objects.filter(old).delete()
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
        rows = rows.select_related("org", "agent").order_by("asked_at")
        asked = rows.exclude(AHEAD).first()
        if asked is None and not PolicyPreview.objects.filter(state=State.RUNNING).exists():
            asked = rows.filter(AHEAD).first()
        if asked is not None:
            asked.state, asked.heard_at = State.RUNNING, now
            asked.save(update_fields=["state", "heard_at"])
        return asked


def _work(asked: PolicyPreview) -> None:
    """Play it. What fails is said on its row, and reported."""
    mine = PolicyPreview.objects.filter(pk=asked.pk, state=State.RUNNING)
    try:
        answer = play_preview(asked, _Progress(asked).say)
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

    def __init__(self, asked: PolicyPreview) -> None:
        self._asked, self._begun, self._said = asked, time.monotonic(), 0.0

    def say(self, progress: float) -> None:
        """Raises PreviewStopped."""
        now = time.monotonic()
        if now - self._said < SAYS_EVERY:
            return
        self._said = now
        mine = PolicyPreview.objects.filter(pk=self._asked.pk, state=State.RUNNING)
        wanted = mine.update(progress=round(min(progress, 0.99), 3), heard_at=clock.now())
        if not wanted or now - self._begun > LASTS_AT_MOST or (self._asked.is_ahead and _somebody_waits()):
            raise PreviewStopped


def _somebody_waits() -> bool:
    return PolicyPreview.objects.filter(GOING).exclude(AHEAD).exists()


def play_preview(asked: PolicyPreview, say: Callable[[float], None]) -> dict[str, Any]:
    """The answer as contracts.md has it: the span as it was, and as it would have been; and on what the first hangs.
    Of one ahead the second is None. Run it without a scope.
    """
    with collecting_seldom():
        return _play(asked, say)


def _play(asked: PolicyPreview, say: Callable[[float], None]) -> dict[str, Any]:
    org, since, until = asked.org, asked.since, asked.until
    history = read_history(org, since, until)
    say(0.05)
    basis = basis_of(history)
    known = as_it_was_before(asked, basis)
    halves: list[Half] = []
    if not asked.is_ahead:
        row = say_policy(Policy(org=org, agent=asked.agent, revision=0), asked.policy)
        halves.append(partial(_as_it_would_be, history, read_past(org, history.begin, until, (since, row))))
    if known is None:
        halves.append(partial(_as_it_was, history, read_past(org, history.begin, until)))

    def tick(x: float) -> None:
        say(0.1 + 0.9 * x)

    if len(history.events) < WORTH_FORKING:
        came = play_in_turn(halves, tick)
    else:
        came = play_apart(halves, tick, nice=AHEAD_NICE if asked.is_ahead else 0)
    now, differs = known or came.pop()
    return {
        "basis": basis,
        "from": rfc3339(since),
        "to": rfc3339(until),
        "events": sum(since < event.received_at <= until for event in history.events),
        "now": now,
        "then": came.pop() if came else None,
        "not_reproduced": differs,
    }


def _as_it_was(history: History, past: Past, tick: SaysHowFar) -> tuple[dict[str, Any], int]:
    was = Stage(history, past, asked=False, tick=tick).play()
    return figures_of(was, history, past.names()), not_reproduced(was, history)


def _as_it_would_be(history: History, past: Past, tick: SaysHowFar) -> dict[str, Any]:
    return figures_of(Stage(history, past, asked=True, tick=tick).play(), history, past.names())
