"""Minutes of traffic in seconds: failures, people who act, rooms that end; and what the database says then."""

import random
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from alerts import actions
from alerts.models import Alert
from orgs import clock
from tests.factories import without_limits
from tests.scene import Scene

SIGNALS = ("agent_error", "message_cap", "low_confidence", "unexpected_handoff")
BREAKS = ("agent_error", "message_cap", "agent_error", "unexpected_handoff")


STEP = 10  # seconds, of which ten minutes have 60
ROOMS = 66  # 40 of an agent that breaks, 26 of seven others, three or four each
_ROOMS = [(f"a{n}", "Order Bot") for n in range(40)] + [(f"b{n}", f"Bot {n % 7}") for n in range(26)]
_IN_ORDER = _ROOMS[::-3] + _ROOMS[-2::-3] + _ROOMS[-3::-3]


def fail_in_step(scene: Scene, step: int) -> None:
    """What fails in this step, from 0 on: two rooms, until all 66 have, and again."""
    for turn in (2 * step, 2 * step + 1):
        room, agent = _IN_ORDER[turn % ROOMS]
        scene.fails(BREAKS[turn % 4], room=room, agent_name=agent)


def storm(scene: Scene, rooms: int, seed: int = 9) -> None:
    """Every room fails, half of them twice; people take, snooze, wake, resolve and reopen some of them."""
    chance = random.Random(seed)
    without_limits(scene.org)
    for n in range(rooms):
        scene.fails(chance.choice(SIGNALS), room=f"r{n}")
        if n % 2:
            scene.fails(chance.choice(SIGNALS), room=f"r{chance.randrange(n)}")
        if n % 3 == 0:
            _act(scene.alert(f"r{n}"), scene, chance)


def _act(alert: Alert, scene: Scene, chance: random.Random) -> None:
    person = chance.choice(scene.people)
    match chance.randrange(6):
        case 0:
            actions.take(alert.pk, person)
        case 1:
            actions.resolve(alert.pk, person)
        case 2:
            actions.snooze(alert.pk, person, clock.now() + timedelta(hours=1))
        case 3:
            actions.snooze(alert.pk, person, clock.now() + timedelta(hours=1))
            actions.wake(alert.pk, person)
        case 4:
            actions.resolve(alert.pk, person)
            actions.reopen(alert.pk, person)
        case 5:
            scene.happens("human_message", room=alert.room.room_id, who=person)  # type: ignore[union-attr]


def figures(alerts: QuerySet[Alert], now: datetime) -> dict[str, int]:
    """What a board has to say of these alerts."""
    is_open = alerts.exclude(state="resolved")
    snoozed = is_open.filter(state="open", snoozed_until__gt=now).count()
    return {
        "waiting": is_open.filter(state="open").count() - snoozed,
        "on-it": is_open.exclude(state="open").count(),
        "snoozed": snoozed,
        "resolved": alerts.filter(resolved_at__gt=now - timedelta(minutes=15)).count(),
    }


def holders(alerts: QuerySet[Alert]) -> dict[str, int]:
    """How many open alerts each person has."""
    found: dict[str, int] = {}
    for alert in alerts.exclude(state="resolved").select_related("intervened_by", "assigned_to", "acknowledged_by"):
        came: Any = alert.intervened_by if alert.state == "intervened" else None
        if person := came or alert.assigned_to or alert.acknowledged_by:
            found[person.sso_id] = found.get(person.sso_id, 0) + 1
    return found
