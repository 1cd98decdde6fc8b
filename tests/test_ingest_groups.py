"""However requests fall into groups, their rows and answers are those of one after the other."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.items import Accepted, ActivityItem, EventItem, Result
from alerts.models import Alert, FailureEvent, Push, Room, RoomActivity, Transition
from orgs.models import Agent, Org, Policy, Source
from tests.examples import at_most
from tests.factories import AssignmentFactory, OrgFactory, SourceFactory, SupervisorRoleFactory, UserFactory
from tests.scene import NEEDS

pytestmark = pytest.mark.django_db

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
KINDS = [
    *("human_opened", "human_message", "assigned", "resolved", "returned_to_agent", "customer_message", "bot_message"),
]
AGO = st.sampled_from([0, 0, 0, 1, 5, 60, 250, 601])
ROOMS = st.sampled_from(["room-1", "room-1", "room-2"])


@dataclass(frozen=True)
class Told:
    """One request: of which of the two sources, its items, and how many minutes pass after it."""

    source: int
    items: tuple[dict[str, Any], ...]
    pause: int

    @property
    def kind(self) -> str:
        return "event" if "signal" in self.items[0] else "activity"


failures = st.fixed_dictionaries(
    {
        "id": st.integers(0, 12),
        "room": ROOMS,
        "signal": st.sampled_from(sorted(NEEDS)),
        "ago": AGO,
        "agent": st.sampled_from(["Bot", "Bot", "Nobody's bot"]),
        "version": st.sampled_from(["", "1", "2"]),
    }
)
acts = st.fixed_dictionaries(
    {
        "id": st.integers(0, 12),
        "room": ROOMS,
        "kind": st.sampled_from(KINDS),
        "ago": AGO,
        "who": st.sampled_from([None, "rina"]),
        "undelivered": st.sampled_from([False, False, False, True]),
    }
)
requests = st.builds(
    Told,
    st.integers(0, 1),
    st.one_of(*(st.lists(items, min_size=1, max_size=3).map(tuple) for items in (failures, acts))),
    st.sampled_from([0, 0, 0, 0, 0, 4, 16]),
)


class House:
    """An org whose bot is backed up by two people and whose other bot by nobody, two sources, and the time."""

    def __init__(self) -> None:
        self.org: Org = OrgFactory()
        bot = Agent.objects.create(org=self.org, name="Bot")
        Policy.objects.create(org=self.org, severities={"message_cap": "critical"})
        role = SupervisorRoleFactory(org=self.org)
        role.agents.add(bot)
        for name in ("rina", "budi"):
            AssignmentFactory(org=self.org, role=role, user=UserFactory(sso_id=name, name=name))
        self.sources: list[Source] = [SourceFactory(org=self.org) for _ in range(2)]
        self.now = START

    def accept(self, index: int, item: dict[str, Any]) -> Accepted[Any]:
        at = self.now - timedelta(seconds=item["ago"])
        key = hashlib.sha256(repr(sorted(item.items())).encode()).digest()
        if "signal" in item:
            made = EventItem(
                event_id=f"e{item['id']}",
                agent_name=item["agent"],
                agent_version=item["version"],
                room_id=item["room"],
                signal=item["signal"],
                occurred_at=at,
                **NEEDS[item["signal"]],
            )
            return Accepted(index, self.org.pk, made, key)
        act = ActivityItem(
            activity_id=f"a{item['id']}", room_id=item["room"], kind=item["kind"], at=at, actor_sso_id=item["who"]
        )
        same = hashlib.sha256(f"{item['id']}{item['room']}{item['kind']}".encode()).digest()
        return Accepted(index, self.org.pk, act, same, undelivered=item["undelivered"])

    def tell(self, group: Sequence[Told]) -> list[list[Result]]:
        """One transaction for these requests, all of one kind."""
        record: Any = {"event": actions.record_event_batches, "activity": actions.record_activity_batches}[
            group[0].kind
        ]
        batches = [(self.sources[one.source], [self.accept(n, i) for n, i in enumerate(one.items)]) for one in group]
        answers: list[list[Result]] = record(batches)
        self.pass_minutes(group[-1].pause)
        return answers

    def pass_minutes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        freeze(self.now)


def freeze(at: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
            f"AS 'SELECT ''{at.isoformat()}''::timestamptz'"
        )


@contextmanager
def undone() -> Iterator[None]:
    """What is written in this block is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def rows(org: Org) -> dict[str, list[Any]]:
    """All that is stored of an org, without what each run makes anew: keys, and what is written with them."""
    alert = ("alert__room__room_id", "alert__opened_at")
    columns: dict[Any, tuple[str, ...]] = {
        Room: ("room_id", *_columns(Room)),
        Agent: ("name", "version", "confirmed"),
        FailureEvent: ("event_id", "source_id", "room__room_id", "agent__name", *alert, *_columns(FailureEvent)),
        RoomActivity: ("activity_id", "source_id", "room__room_id", *_columns(RoomActivity)),
        Alert: ("room__room_id", "agent__name", *_columns(Alert)),
        Transition: (*alert, "event__event_id", *_columns(Transition)),
        Push: (*alert, "occurrence", "supervisor__name", *_columns(Push)),
    }
    made = {}
    for model, names in columns.items():
        order = "id" if model in (FailureEvent, RoomActivity, Transition) else names[0]
        found = model.objects.filter(org=org).order_by(order, *names[:4])
        made[model.__name__] = [dict(zip(names, row, strict=True)) for row in found.values_list(*names)]
    _name_agents(made)
    said = Push.objects.filter(org=org).order_by("room__room_id", "alert__opened_at", "occurrence", "supervisor__name")
    made["said"] = [
        {name: text for name, text in json.loads(body or "{}").items() if name in ("title", "body", "severity")}
        for body in said.values_list("body", flat=True)
    ]
    return made


def _name_agents(made: dict[str, list[Any]]) -> None:
    """Agents by their names, where rows keep the keys of them."""
    names = dict(Agent.objects.values_list("pk", "name"))
    for alert in made["Alert"]:
        for entry in alert["signals"]:
            if "agents" in entry:
                entry["agents"] = sorted(names[pk] for pk in entry["agents"])
    for transition in made["Transition"]:
        if transition["detail"].get("agent"):
            transition["detail"]["agent"] = names[transition["detail"]["agent"]]


def _columns(model: Any) -> list[str]:
    left_out = {"id", "org", "room", "alert", "agent", "event", "source", "idempotency_key", "body", "metadata"}
    return [field.attname for field in model._meta.concrete_fields if field.name not in left_out]


def grouped(told: Sequence[Told], cuts: Sequence[bool]) -> Iterator[list[Told]]:
    """The requests in groups: a new one where it is cut, where another kind begins, and where time passes."""
    group: list[Told] = []
    for one, cut in zip(told, cuts, strict=True):
        if group and (cut or one.kind != group[0].kind or group[-1].pause):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


@settings(max_examples=at_most(40, usually=20), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(requests, st.booleans()), min_size=2, max_size=8))
def test_any_grouping_gives_the_rows_and_answers_of_one_by_one(drawn: list[tuple[Told, bool]]) -> None:
    told = [one for one, _ in drawn]
    single = [
        Told(one.source, (item,), one.pause if n == len(one.items) - 1 else 0)
        for one in told
        for n, item in enumerate(one.items)
    ]
    ways = {
        "one by one": [[one] for one in told],
        "in groups": list(grouped(told, [cut for _, cut in drawn])),
        "all that can be": list(grouped(told, [False] * len(told))),
        "each item alone": [[one] for one in single],
    }
    with scopes_disabled(), undone():
        house = House()
        seen: dict[str, tuple[Any, Any]] = {}
        for way, groups in ways.items():
            with undone():
                house.now = START
                freeze(START)
                answers = [results for group in groups for results in house.tell(group)]
                seen[way] = [(one.id, one.status, one.error) for results in answers for one in results], rows(house.org)
    for way in ways:
        for name, wanted in seen["one by one"][1].items():
            assert (way, name, seen[way][1][name]) == (way, name, wanted)
        assert (way, seen[way][0]) == (way, seen["one by one"][0])
