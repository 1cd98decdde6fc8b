"""Sessions of rooms, and what they add up to: from activity, failures and runs, in any order, swept at any time."""

import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.models import Alert, FailureEvent, Room, RoomActivity, Transition
from orgs.models import Agent, Org
from runs.containment import sweep_sessions
from runs.models import AgentRun, DaySessions, RoomSession, SessionsMark
from runs.sessions import SessionCounts, SessionMoment, session_figures, stays
from tests.factories import AgentFactory, OrgFactory, SourceFactory

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = NOON + timedelta(days=30)
KINDS = ("customer_message", "bot_message", "human_message", "assigned", "resolved", "human_opened")

pytestmark = pytest.mark.django_db


def told(*what: tuple[float, str]) -> list[SessionMoment]:
    """Moments, each so many hours after noon."""
    return [SessionMoment(NOON + hours * HOUR, name) for hours, name in what]  # type: ignore[arg-type]


def test_what_the_agent_ends_alone_is_contained_and_what_a_human_touches_is_not() -> None:
    (alone,) = stays(told((0, "customer"), (0.1, "bot"), (1, "resolved")), LATER)
    (helped,) = stays(told((0, "customer"), (0.1, "bot"), (0.2, "human"), (1, "resolved")), LATER)
    (handed,) = stays(told((0, "customer"), (0.1, "bot"), (0.2, "handoff")), LATER)
    assert (alone.contained, helped.contained, handed.contained) == (True, False, False)


def test_a_customer_whom_nobody_answered_abandoned_the_room() -> None:
    (left,) = stays(told((0, "customer"), (0.1, "bot"), (0.2, "customer")), LATER)
    (closed,) = stays(told((0, "customer"), (0.1, "bot"), (0.2, "customer"), (1, "resolved")), LATER)
    assert (left.abandoned, closed.abandoned) == (True, False)


def test_a_session_ends_a_day_after_the_customers_last_word_and_their_return_begins_another() -> None:
    first, second = stays(told((0, "customer"), (0.1, "bot"), (20, "bot"), (25, "customer"), (25.1, "bot")), LATER)
    assert first.ended_at == NOON + DAY
    assert second.began_at == NOON + 25 * HOUR
    assert first.came_back == second.began_at
    (still,) = stays(told((0, "customer"), (23, "customer"), (24.5, "bot")), NOON + 40 * HOUR)
    assert still.ended_at is None


def test_where_nobody_tells_of_customers_runs_hold_the_session() -> None:
    (one,) = stays(told((0, "run"), (20, "run"), (40, "run")), LATER)
    assert one.ended_at == NOON + 64 * HOUR
    assert one.contained


def test_what_a_human_does_alone_is_no_session() -> None:
    assert stays(told((0, "human"), (1, "assigned"), (2, "resolved")), LATER) == []


def test_nothing_counted_gives_no_figure() -> None:
    assert session_figures(SessionCounts()).containment_rate is None
    assert session_figures(SessionCounts(sessions=4, contained=3)).containment_rate == 75


# --- kept, in any order ----------------------------------------------------------------------------------------------


class Rooms:
    """Rooms of one org in which things happen."""

    def __init__(self, zone: str = "Asia/Jakarta") -> None:
        self.org: Org = OrgFactory(zone=zone)
        self.source = SourceFactory(org=self.org)
        self.agent: Agent = AgentFactory(org=self.org)

    def room(self, name: str) -> Room:
        return Room.objects.get_or_create(org=self.org, room_id=name)[0]

    def activity(self, name: str, kind: str, at: datetime, received: datetime) -> None:
        RoomActivity.objects.create(
            org=self.org, source=self.source, activity_id=uuid.uuid4().hex, payload_hash=b"", room=self.room(name),
            kind=kind, at=at, received_at=received,
        )  # fmt: skip

    def run(self, name: str, at: datetime, received: datetime, resolution: str = "resolved") -> None:
        AgentRun.objects.create(
            org=self.org, source=self.source, run_id=uuid.uuid4(), agent=self.agent, input_kind="chat", room=name,
            started_at=at, ended_at=at + timedelta(seconds=30), resolution=resolution,
            received_at=received, updated_at=received,
        )  # fmt: skip

    def alert(self, name: str, at: datetime) -> Alert:
        alert = Alert.objects.create(
            org=self.org, room=self.room(name), agent=self.agent, severity="critical", opened_at=at,
            first_failure_at=at, last_event_at=at, ladder_from=at, updated_at=at,
        )  # fmt: skip
        FailureEvent.objects.create(
            org=self.org, source=self.source, event_id=uuid.uuid4().hex, payload_hash=b"", room=alert.room,
            agent=self.agent, signal="agent_error", occurred_at=at, received_at=at, alert=alert,
        )  # fmt: skip
        return alert


@pytest.fixture
def rooms() -> Iterator[Rooms]:
    with scopes_disabled():
        yield Rooms()


def kept() -> list[tuple[object, ...]]:
    names = ("room", "began_at", "ended_at", "contained", "abandoned", "settled", "durable", "agent_id", "due_at")
    return sorted(RoomSession.objects.values_list(*names))


def recount(zone: str) -> dict[date, SessionCounts]:
    """The days, plainly."""
    days: dict[date, SessionCounts] = defaultdict(SessionCounts)
    for row in RoomSession.objects.filter(touched=True):
        days[row.began_at.astimezone(ZoneInfo(zone)).date()] += SessionCounts(
            1, row.contained, row.settled, row.abandoned, row.durable is not None, row.durable is True
        )
    return dict(days)


def counted(org: Org) -> dict[date, SessionCounts]:
    days: dict[date, SessionCounts] = defaultdict(SessionCounts)
    for row in DaySessions.objects.filter(org=org):
        days[row.day] += SessionCounts(*(getattr(row, name) for name in SessionCounts.__slots__))
    return dict(days)


HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.sampled_from([*KINDS, "run", "escalated"]), st.integers(0, 24 * 20),
        st.integers(0, 48),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    happenings=HAPPENINGS, sweeps=st.sets(st.integers(0, 13)), zone=st.sampled_from(["Asia/Jakarta", "Asia/Kolkata"])
)
def test_any_order_and_any_sweeps_keep_what_one_sweep_at_the_end_finds(
    rooms: Rooms, happenings: list[tuple[str, str, int, int]], sweeps: set[int], zone: str
) -> None:
    for model in (RoomActivity, AgentRun, RoomSession, DaySessions, SessionsMark):
        model.objects.all().delete()
    Org.objects.filter(pk=rooms.org.pk).update(zone=zone)
    for place, (name, kind, hours, lag) in enumerate(sorted(happenings, key=lambda one: one[2] + one[3])):
        at, received = NOON + hours * HOUR, NOON + (hours + lag) * HOUR
        if kind in ("run", "escalated"):
            rooms.run(name, at, received, "resolved" if kind == "run" else kind)
        else:
            rooms.activity(name, kind, at, received)
        if place in sweeps:
            sweep_sessions(received)
    sweep_sessions(LATER)
    one_by_one, days = kept(), counted(rooms.org)
    assert days == recount(zone)
    SessionsMark.objects.all().delete()
    RoomSession.objects.all().delete()
    DaySessions.objects.all().delete()
    sweep_sessions(LATER)
    assert kept() == one_by_one
    assert counted(rooms.org) == days


def test_time_alone_ends_a_session_and_makes_it_durable(rooms: Rooms) -> None:
    rooms.run("r", NOON, NOON)
    sweep_sessions(NOON + HOUR)
    assert counted(rooms.org) == {date(2026, 3, 2): SessionCounts(1, 1)}
    assert sweep_sessions(NOON + 2 * HOUR) == 0
    sweep_sessions(NOON + 25 * HOUR)
    assert counted(rooms.org) == {date(2026, 3, 2): SessionCounts(1, 1, 1)}
    sweep_sessions(NOON + 8 * DAY)
    assert counted(rooms.org) == {date(2026, 3, 2): SessionCounts(1, 1, 1, 0, 1, 1)}


def test_a_run_that_ends_later_is_looked_at_again(rooms: Rooms) -> None:
    rooms.run("r", NOON, NOON)
    AgentRun.objects.update(ended_at=None, resolution="")
    sweep_sessions(NOON + HOUR)
    assert RoomSession.objects.get().due_at == NOON + HOUR + timedelta(minutes=12)
    AgentRun.objects.update(ended_at=NOON + timedelta(seconds=30), resolution="escalated")
    sweep_sessions(NOON + 2 * HOUR)
    assert RoomSession.objects.get().contained is False


def test_who_comes_back_within_a_week_was_not_helped_for_good(rooms: Rooms) -> None:
    rooms.activity("r", "customer_message", NOON, NOON)
    rooms.activity("r", "bot_message", NOON + timedelta(minutes=1), NOON + timedelta(minutes=1))
    sweep_sessions(NOON + 2 * DAY)
    rooms.activity("r", "customer_message", NOON + 6 * DAY, NOON + 6 * DAY)
    sweep_sessions(NOON + 6 * DAY + HOUR)
    sweep_sessions(NOON + 8 * DAY)
    first, _ = RoomSession.objects.order_by("began_at")
    assert (first.settled, first.durable) == (True, False)


def test_an_open_alert_keeps_its_room_from_counting_as_settled_until_it_is_resolved(rooms: Rooms) -> None:
    rooms.run("r", NOON, NOON)
    alert = rooms.alert("r", NOON + timedelta(minutes=2))
    sweep_sessions(NOON + 2 * DAY)
    assert RoomSession.objects.get().settled is False
    resolved = NOON + 3 * DAY
    Alert.objects.filter(pk=alert.pk).update(state="resolved", resolved_at=resolved)
    Transition.objects.create(org=rooms.org, alert=alert, at=resolved, change="resolved")
    sweep_sessions(resolved + HOUR)
    assert RoomSession.objects.get().settled is True


def test_a_new_zone_counts_the_days_anew(rooms: Rooms) -> None:
    rooms.run("r", datetime(2026, 3, 2, 18, tzinfo=UTC), NOON)  # the third in Jakarta
    sweep_sessions(LATER)
    assert set(counted(rooms.org)) == {date(2026, 3, 3)}
    Org.objects.filter(pk=rooms.org.pk).update(zone="Europe/Lisbon")
    sweep_sessions(LATER)
    assert set(counted(rooms.org)) == {date(2026, 3, 2)}


def test_a_customer_who_comes_back_after_years_leaves_their_old_session_as_it_was(rooms: Rooms) -> None:
    rooms.run("r", NOON, NOON)
    sweep_sessions(NOON + 8 * DAY)
    AgentRun.objects.all().delete()  # purged
    rooms.run("r", NOON + 120 * DAY, NOON + 120 * DAY)
    sweep_sessions(NOON + 120 * DAY + HOUR)
    assert list(RoomSession.objects.order_by("began_at").values_list("settled", flat=True)) == [True, False]
    assert counted(rooms.org)[date(2026, 3, 2)] == SessionCounts(1, 1, 1, 0, 1, 1)


def test_a_run_that_never_ends_is_looked_at_more_and_more_seldom(rooms: Rooms) -> None:
    rooms.run("r", NOON, NOON)
    AgentRun.objects.update(ended_at=None, resolution="")
    waits = []
    for hours in (0, 1, 10):
        at = NOON + hours * HOUR
        RoomSession.objects.update(due_at=at)
        sweep_sessions(at)
        waits.append(RoomSession.objects.get().due_at - at)
    assert waits == [timedelta(minutes=1), timedelta(minutes=12), timedelta(hours=2)]
