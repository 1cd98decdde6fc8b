"""How long the preview of a policy takes over a week of an org, with 20,000 failure events.

A scratch database gets the failure events and room activity of a week: three failures a room, a human in two rooms of
three. They are played once under the policy that holds, and what came of it is stored as if it had been the past. Then
the preview of another policy is timed: read, played as it was, played as it would have been, counted; then that of one
more draft.

    python -m bench.preview [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: the past was not reproduced, or the
ratio of what is allowed to the time is below its floor.
"""

import argparse
import os
import random
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.feed_setup import environment
from bench.table import Measured, tell

EVENTS = 20_000
ALLOWED = 5.0  # seconds for 20,000 events
FLOOR = 0.045  # half of the ratio on a busy machine, of 2,000 events: bench/profiles.md says where the time goes
INEXACT = 0  # how many pushes may have been planned otherwise
DAYS = 7
A_ROOM = 3  # failures
SIGNALS = ("agent_error", "low_confidence", "unexpected_handoff", "message_cap", "help_requested")


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.preview", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times as many events")
    options = parser.parse_args()
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    events = EVENTS * options.scale // (10 if options.small else 1)
    with ExitStack() as stack:
        environment(stack)
        asked = make_past(events)
        parts, answer = measure(asked)
    total = parts["first draft"]
    said = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items())
    print(f"{answer['events']:,} events: {said}")
    print({half: {k: v for k, v in answer[half].items() if isinstance(v, int)} for half in ("now", "then")})
    allowed = ALLOWED * events / EVENTS
    row = Measured(f"preview of {events:,} events", f"{total:.2f} s", f"{allowed:.1f} s", allowed / total, 1.0, FLOOR)
    holds = tell([row])
    print(f"not reproduced: {answer['not_reproduced']} pushes")
    return 0 if holds and answer["not_reproduced"] <= INEXACT else 1


def make_past(events: int) -> Any:
    """An org with people, and a week of it; the preview that is asked."""
    from django_scopes import scopes_disabled

    from alerts.models import PolicyPreview
    from orgs.policies import POLICY_DEFAULTS

    until = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    since = until - timedelta(days=DAYS)
    with scopes_disabled():
        org, source, agents = _org(since)
        _happen(org, source, agents, events, since)
        document = {**POLICY_DEFAULTS, "throttle_minutes": 15, "repeat_minutes": [10, 30], "low_confidence": "digest"}
        asked = PolicyPreview.objects.create(
            org=org, policy=document, since=since, until=until, asked_at=until, expires_at=until + timedelta(days=1)
        )
        _store(org, asked)
    return asked


def _org(since: datetime) -> tuple[Any, Any, list[Any]]:
    from django.db import connection

    from orgs.history import tracked
    from orgs.models import Agent, Assignment, Org, Source, SupervisorRole, User

    before = since - timedelta(days=60)
    org = Org.objects.create(external_id="week", name="Week", created_at=before)
    source = Source.objects.create(org=org, name="bot")
    agents = [Agent.objects.create(org=org, name=f"agent {n}") for n in range(8)]
    for tier in (1, 2):
        role = SupervisorRole.objects.create(org=org, name=f"tier {tier}", tier=tier)
        for n in range(4 - tier):
            user = User.objects.create(sso_id=f"person-{tier}-{n}", name=f"Person {tier} {n}")
            Assignment.objects.create(org=org, role=role, user=user)
    User.objects.create(sso_id="specialist", name="Specialist", is_specialist=True)
    with connection.cursor() as cursor:  # all this was so before the week
        for table in tracked().values():
            cursor.execute(f"UPDATE {table._meta.db_table} SET pgh_created_at = %s", [before])
    return org, source, agents


def _happen(org: Any, source: Any, agents: list[Any], events: int, since: datetime) -> None:
    from alerts.models import FailureEvent, Room, RoomActivity
    from orgs.models import User

    chance, person = random.Random(1), User.objects.get(sso_id="person-1-0")
    rooms = Room.objects.bulk_create(
        [Room(org=org, room_id=f"room-{n}", channel="whatsapp") for n in range(events // A_ROOM)]
    )
    failures: list[FailureEvent] = []
    activities: list[RoomActivity] = []

    def say(room: Any, kind: str, at: datetime, actor: Any = None) -> None:
        activities.append(
            RoomActivity(
                org=org, source=source, activity_id=f"a{len(activities)}", payload_hash=b"", room=room, kind=kind,
                actor=actor, at=at, received_at=at,
            )
        )  # fmt: skip

    for room in rooms:
        agent, at = chance.choice(agents), since + timedelta(seconds=chance.random() * (DAYS * 86400 - 7200))
        say(room, "customer_message", at - timedelta(seconds=20))
        for _ in range(A_ROOM):
            signal = chance.choice(SIGNALS)
            failures.append(
                FailureEvent(
                    org=org, source=source, event_id=f"e{len(failures)}", payload_hash=b"", room=room, agent=agent,
                    signal=signal, occurred_at=at, received_at=at + timedelta(seconds=1), channel="whatsapp",
                    confidence=0.2 if signal == "low_confidence" else None,
                    handoff_completed=True if signal == "unexpected_handoff" else None,
                )
            )  # fmt: skip
            at += timedelta(seconds=chance.random() * 300)
        if chance.random() < 0.67:
            say(room, "human_message", at + timedelta(seconds=30), person)
            say(room, "resolved", at + timedelta(seconds=600), person)
    FailureEvent.objects.bulk_create(failures, batch_size=2000)
    RoomActivity.objects.bulk_create(activities, batch_size=2000)


def _store(org: Any, asked: Any) -> None:
    """What comes of it under the policy that holds, stored as what came of it."""
    from django.db.models import F

    from alerts.actions.stored import Stored
    from alerts.models import Push, new_id
    from alerts.replay.history import read_history
    from alerts.replay.past import read_past
    from alerts.replay.stage import Stage
    from alerts.tables import as_json, fetch
    from orgs.models import Policy

    history = read_history(org, asked.since, asked.until)
    past = read_past(org, history.begin, asked.until, (history.begin, Policy(org=org)))
    history.since = history.begin
    played = Stage(history, past, asked=True, tick=lambda _: None).play()
    memory, place = played.memory, Stored()
    place.write_alerts(memory.alerts.values())
    place.write_transitions(memory.transitions)
    for push in (*memory.pushes, *memory.digests):
        push.next_attempt_at, push.id = None, new_id()
        push.idempotency_key = push.id
    place.write_pushes([*memory.pushes, *memory.digests])
    rows = [{"id": event.id, "alert_id": event.alert_id, "reason": event.reason, "severity": event.severity}
            for event, _ in played.events]  # fmt: skip
    fetch(
        "UPDATE alerts_failureevent event"
        " SET alert_id = given.alert_id, reason = given.reason, severity = given.severity"
        " FROM json_to_recordset(%b::json) AS given (id bigint, alert_id uuid, reason varchar, severity varchar)"
        " WHERE event.id = given.id",
        [as_json(rows)],
    )
    Push.objects.filter(state="sent").update(sent_at=F("planned_at") + timedelta(milliseconds=50), attempts=1)


def measure(asked: Any) -> tuple[dict[str, float], dict[str, Any]]:
    """Seconds of a first draft, and of another over the same past, which plays one half only; and its answer."""
    from django_scopes import scopes_disabled

    from alerts.replay.requests import play_preview

    parts = {}
    with scopes_disabled():
        for name in ("first draft", "another"):
            begun = time.perf_counter()
            answer = play_preview(asked, lambda _: None)
            parts[name] = time.perf_counter() - begun
            asked.state, asked.answer = asked.State.DONE, answer
            asked.save()
            asked.policy = {**asked.policy, "throttle_minutes": 20}
    return parts, answer


if __name__ == "__main__":
    sys.exit(main())
