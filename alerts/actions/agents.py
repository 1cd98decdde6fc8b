"""Alerts of scope agent: opened and ended by what the watch over runs found. At most one open per (org, agent)."""

from dataclasses import dataclass
from datetime import datetime

from alerts.actions.activity import end
from alerts.actions.book import Book
from alerts.models import Alert
from orgs.models import Agent
from orgs.signals.silent_agent import SILENT_AGENT

UNWATCHED = "unwatched"  # why it ended though the agent did not run


@dataclass(frozen=True, slots=True)
class AgentSilence:
    """An agent as the watch sees it: when it last ran for anybody, and whether it is silent since."""

    agent: Agent
    last_at: datetime
    silent: bool


def judge_silence(found: AgentSilence, newest: Alert | None, now: datetime) -> bool:
    """Let the silence of an agent, or its end, act on its `newest` alert of scope agent; whether that changed.

    The caller holds the watch's lock, inside `transaction.atomic()`. Only that watch opens alerts of agents; a human
    acts on them under the alert's own row lock, which is taken here too. Silence alone ends none: only a run does.
    """
    book = Book(now)
    alert = None if newest is None else book.lock_alert(newest.pk)
    is_open = alert is not None and alert.state != Alert.State.RESOLVED
    if alert is not None and is_open and found.last_at > alert.first_failure_at:
        end(alert, Alert.By.RECOVERED, now)
        book.record(alert, "resolved", "recovered")
    elif not is_open and found.silent and not _was_seen(alert, found.last_at):
        _begin(book, found)
    else:
        return False
    book.close()
    return True


def end_of_watch(alert: Alert, now: datetime) -> bool:
    """Nobody asks any more whether this agent runs: what was said of it is over. Whether it was open.

    As `judge_silence`.
    """
    book = Book(now)
    fresh = book.lock_alert(alert.pk)
    if fresh.state == Alert.State.RESOLVED:
        return False
    end(fresh, Alert.By.RECOVERED, now)
    book.record(fresh, "resolved", "recovered", detail={"cause": UNWATCHED})
    book.close()
    return True


def _was_seen(before: Alert | None, last_at: datetime) -> bool:
    """A human resolved it: it counts anew once the agent has run again."""
    if before is None or before.resolved_at is None or before.resolved_kind != Alert.By.HUMAN:
        return False
    return before.resolved_at > last_at


def _begin(book: Book, found: AgentSilence) -> None:
    at = found.last_at.isoformat()
    entry = {"signal": SILENT_AGENT.name, "count": 1, "first_at": at, "last_at": at}
    alert = Alert(
        org=found.agent.org,
        agent=found.agent,
        scope=Alert.Scope.AGENT,
        severity=SILENT_AGENT.severity,
        signals=[entry | {"severity": SILENT_AGENT.severity, "episode": 1}],
        event_count=1,
        version=0,
        opened_at=book.now,
        ladder_from=book.now,
        first_failure_at=found.last_at,
        last_event_at=book.now,
    )
    book.record(alert, "opened", SILENT_AGENT.name, notify=True)
