"""Figures of sessions: those of any window, bucket and group are a plain recount, also where an org's zone changed."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django_scopes import scopes_disabled
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.figures import BadPeriod, Period
from orgs.models import Org
from runs.containment import _count_days, sweep_sessions
from runs.models import RoomSession
from runs.rollups import GROUP_NAMES, KpiFilters, KpiScope, kpi_sessions
from runs.sessions import SessionCounts
from runs.windows import BUCKET_NAMES, OrgWindow, first_day, hour_of, kpi_period
from tests.factories import AgentFactory, OrgFactory
from tests.kpi_examples import FIRST, MOMENTS, NOW, SOME

ZONES = ("Asia/Jakarta", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York")
FIELD = {"agent": "agent_id", "version": "agent_version", "channel": "channel", "input_kind": "input_kind"}
EACH = ("sessions", "contained", "settled", "abandoned", "old_enough", "durable")


@pytest.fixture
def sessions(db: None) -> Iterator[list[RoomSession]]:
    """Some of four orgs, at the edges of hours and days too; some of no agent that is known, some that none touched."""
    chance = random.Random(11)
    with scopes_disabled():
        made = [one for number, zone in enumerate(ZONES) for one in _of_org(number, zone, chance)]
        RoomSession.objects.bulk_create(made)
        _days_are_counted()
        yield made


def _of_org(number: int, zone: str, chance: random.Random) -> Iterator[RoomSession]:
    org = OrgFactory(external_id=f"org-{number}", zone=zone)
    agents = [AgentFactory(org=org, name=f"Bot {n}") for n in range(2)]
    for n in range(120):
        began = FIRST + (NOW - FIRST) * chance.random()
        if chance.random() < 0.4:
            began = hour_of(began) + chance.choice((timedelta(0), timedelta(minutes=15), timedelta(minutes=30)))
        contained = chance.random() < 0.7
        settled = contained and chance.random() < 0.7
        yield RoomSession(
            org=org,
            room=f"r{n}",
            began_at=began,
            last_customer_at=began,
            agent=chance.choice((*agents, *agents, None)),
            agent_version=chance.choice(("", "2.0")),
            channel=chance.choice(("whatsapp", "web")),
            input_kind=chance.choice(("chat", "faq")),
            touched=chance.random() < 0.9,
            contained=contained,
            abandoned=not contained and chance.random() < 0.5,
            settled=settled,
            durable=chance.choice((None, True, False)) if settled else None,
        )


def _days_are_counted() -> None:
    """As the sweep does."""
    zones = {org.pk: ZoneInfo(org.zone) for org in Org.objects.all()}
    days = {(org, at.astimezone(zones[org]).date()) for org, at in RoomSession.objects.values_list("org", "began_at")}
    with connection.cursor() as cursor:
        _count_days(cursor, days)


def recount(sessions: list[RoomSession], asked: Period, filters: KpiFilters, group: str, bucket: Any) -> dict[Any, Any]:
    """The plain way."""
    zones = dict(Org.objects.values_list("pk", "zone"))
    names = {agent.pk: agent.name for org in Org.objects.all() for agent in org.agents.all()}
    found: dict[Any, Counter[str]] = defaultdict(Counter)
    for one in sessions:
        window = OrgWindow.of(asked, zones[one.org_id], NOW)
        wanted = (
            one.touched
            and filters.agent in ("", names.get(one.agent_id))
            and filters.version in ("", one.agent_version)
            and filters.channel in ("", one.channel)
            and filters.input_kind in ("", one.input_kind)
        )
        key = getattr(one, FIELD[group])
        if not wanted or key is None or not window.starts <= one.began_at < window.ends:
            continue
        local = one.began_at.astimezone(ZoneInfo(zones[one.org_id])).date()
        label: Any = hour_of(one.began_at) if bucket == "hour" else first_day(local, bucket)
        counts = found[one.org_id, str(key), label]
        counts["sessions"] += 1
        counts["contained"] += one.contained
        counts["settled"] += one.settled
        counts["abandoned"] += one.abandoned
        counts["old_enough"] += one.durable is not None
        counts["durable"] += one.durable is True
    return {at: SessionCounts(*(counts[name] for name in EACH)) for at, counts in found.items()}


def counted(asked: Period, filters: KpiFilters, group: Any, bucket: Any) -> dict[Any, SessionCounts]:
    scope = KpiScope.of(list(Org.objects.all()), asked, NOW, filters)
    return {at: counts for at, counts in kpi_sessions(scope, group, bucket).items() if counts.sessions}


def test_any_window_bucket_and_group_is_a_plain_recount(sessions: list[RoomSession]) -> None:
    @given(MOMENTS, st.one_of(st.none(), MOMENTS), SOME, st.sampled_from(GROUP_NAMES), st.sampled_from(BUCKET_NAMES))
    @settings(max_examples=60, deadline=None)
    def holds(starts: Any, ends: Any, filters: KpiFilters, group: Any, bucket: Any) -> None:
        try:
            asked = kpi_period(starts, ends, NOW)
        except BadPeriod:
            return
        assert counted(asked, filters, group, bucket) == recount(sessions, asked, filters, group, bucket)

    holds()


@pytest.mark.parametrize("bucket", BUCKET_NAMES)
def test_after_a_new_zone_each_session_counts_in_its_day_of_it(sessions: list[RoomSession], bucket: Any) -> None:
    Org.objects.filter(external_id="org-1").update(zone="America/New_York")
    sweep_sessions(NOW)
    asked = kpi_period(date(2026, 10, 22), None, NOW)
    assert counted(asked, KpiFilters(), "agent", bucket) == recount(sessions, asked, KpiFilters(), "agent", bucket)


@pytest.mark.parametrize("swept", [False, True])
def test_a_new_zone_loses_no_day_whose_sessions_are_gone(sessions: list[RoomSession], swept: bool) -> None:
    """They were counted by the days of the zone before, and stay in them: the seam."""
    org = Org.objects.get(external_id="org-0")
    asked = kpi_period(date(2026, 10, 22), date(2026, 11, 1), NOW)
    before = {at: one for at, one in counted(asked, KpiFilters(), "agent", "day").items() if at[0] == org.pk}
    RoomSession.objects.filter(org=org, began_at__lt=datetime(2026, 11, 2, tzinfo=UTC)).delete()
    Org.objects.filter(pk=org.pk).update(zone="America/New_York")
    if swept:
        sweep_sessions(NOW)
    after = {at: one for at, one in counted(asked, KpiFilters(), "agent", "day").items() if at[0] == org.pk}
    assert before and after == before
