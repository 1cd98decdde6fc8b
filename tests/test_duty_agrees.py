"""One answer to who is on duty when, whoever asks: the API, the page, the calendar, the gap report and routing."""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts import gaps
from console.pages.duty.query import duty_week
from orgs import clock
from orgs.duty_feeds import feed_text, make_feed
from orgs.models import Handover, TemporaryDuty, TemporarySchedule
from orgs.rosters import rosters_of
from orgs.routing import standing_at
from tests.api_client import with_key
from tests.examples import at_most
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SupervisorRoleFactory

# Mondays of weeks in which the clocks change, ahead or back; and a zone where they never do.
WEEKS = {
    "Europe/Berlin": (date(2031, 3, 24), date(2031, 10, 20)),
    "America/New_York": (date(2031, 3, 3), date(2031, 10, 27)),
    "Australia/Lord_Howe": (date(2031, 3, 31), date(2031, 9, 29)),
    "Asia/Kolkata": (date(2031, 3, 24), date(2031, 10, 20)),
}
Spans = list[tuple[datetime, datetime]]
TIMES = st.integers(0, 24 * 4 - 1).map(lambda n: f"{n // 4:02}:{n % 4 * 15:02}")
HOURS = st.lists(
    st.builds(
        lambda days, begin, end: {"days": sorted(days), "from": begin, "to": end},
        st.sets(st.integers(1, 7), min_size=1),
        TIMES,
        TIMES,
    ).filter(lambda one: one["from"] != one["to"]),
    max_size=2,
)


def joined(spans: Iterable[tuple[datetime, datetime]], begin: datetime, end: datetime) -> Spans:
    """What of them lies in between; those that meet as one."""
    found: Spans = []
    for starts, ends in sorted((max(a, begin), min(b, end)) for a, b in spans if b > begin and a < end):
        if found and found[-1][1] >= starts:
            found[-1] = (found[-1][0], max(ends, found[-1][1]))
        else:
            found.append((starts, ends))
    return found


def left(spans: Spans, begin: datetime, end: datetime) -> Spans:
    """The rest of the stretch."""
    edges = [begin, *(one for span in spans for one in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if a < b]


def of_api(answer: Any, name: str) -> Spans:
    return [(datetime.fromisoformat(one["from"]), datetime.fromisoformat(one["to"])) for one in answer[name]]


def of_calendar(text: str) -> Spans:
    found = [re.findall(rf"{name}:(\w+)Z", text) for name in ("DTSTART", "DTEND")]
    return [
        (
            datetime.strptime(a, "%Y%m%dT%H%M%S").replace(tzinfo=UTC),
            datetime.strptime(b, "%Y%m%dT%H%M%S").replace(tzinfo=UTC),
        )
        for a, b in zip(*found, strict=True)
    ]


def of_week(week: Any, bounds: list[datetime]) -> Spans:
    """The bars of its days, which are in parts of the day."""
    found = []
    for row in week.rows:
        for cell, (begins, ends) in zip(row.cells, pairwise(bounds), strict=True):
            minute = (ends - begins) / 1440
            found += [(begins + start * minute, begins + (start + length) * minute) for start, length in cell.bars]
    return [(_whole(a), _whole(b)) for a, b in found]


def _whole(at: datetime) -> datetime:
    """A bar has no more places than a drawing needs."""
    return (at + timedelta(seconds=30)).replace(second=0, microsecond=0)


@pytest.mark.slow
@settings(
    max_examples=at_most(40, usually=12), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    zone=st.sampled_from(sorted(WEEKS)),
    which=st.integers(0, 1),
    hours=HOURS,
    away=st.none() | st.integers(0, 60),
    handed=st.none() | st.integers(0, 150),
    temporary=st.none() | st.tuples(st.integers(0, 150), st.integers(1, 60), HOURS),
)
def test_all_five_say_the_same(
    db: None,
    system: None,
    zone: str,
    which: int,
    hours: list[Any],
    away: int | None,
    handed: int | None,
    temporary: Any,
) -> None:
    """Mutation: let one of them reckon with days of 24 hours."""
    with transaction.atomic():
        monday = WEEKS[zone][which]
        bounds = [
            datetime.combine(monday + timedelta(days=n), time(), ZoneInfo(zone)).astimezone(UTC) for n in range(8)
        ]
        begin, end = bounds[0], bounds[-1]
        org = OrgFactory(zone=zone)
        agent, role = AgentFactory(org=org), SupervisorRoleFactory(org=org, tier=1)
        rina = AssignmentFactory(
            org=org, role=role, duty=hours, away_until=None if away is None else begin + timedelta(hours=away)
        ).user
        if handed is not None:
            at = begin + timedelta(hours=handed)
            Handover.objects.create(org=org, user=rina, starts_at=at, ends_at=at + timedelta(minutes=30))
        if temporary is not None:
            start, lasts, other = temporary
            at = begin + timedelta(hours=start)
            schedule = TemporarySchedule.objects.create(org=org, starts_at=at, ends_at=at + timedelta(hours=lasts))
            TemporaryDuty.objects.create(org=org, schedule=schedule, role=role, user=rina, duty=other)
        asked = {"from": clock.rfc3339(begin), "to": clock.rfc3339(end)}
        answer = with_key(org, "read").get("/api/duty", asked).json()
        api = joined(of_api(answer, "intervals"), begin, end)
        feed, _address = make_feed(org, rina, clock.now())
        assert joined(of_calendar(feed_text(feed, begin)), begin, end) == api
        assert joined(of_week(duty_week(org, monday, begin), bounds), begin, end) == api
        assert of_api(answer, "gaps") == left(api, begin, end)
        roster = rosters_of([org.pk], begin)[org.pk]
        told = gaps.foreseen(roster, [agent.pk], begin)
        soon = [span for span in left(api, begin, end) if span[0] < begin + timedelta(hours=24)]
        assert [gap.begins for gap in told] == [span[0] for span in soon]
        at = begin
        while at < end:
            people = standing_at(roster, agent.pk, at).people
            on = any(one.absent == "" for one in people)
            assert on == any(a <= at < b for a, b in api), at
            at += timedelta(minutes=45)
        transaction.set_rollback(True)
