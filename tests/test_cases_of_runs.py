"""Runs and days as they broke elsewhere: times that a client cut, local days at odd offsets, days of a clock change."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django_scopes import scopes_disabled

from orgs.models import Org
from runs.models import AgentRun
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, OrgFactory, SourceFactory, UserFactory
from tests.ingest_server import RUNS, Sender, make_key
from tests.recount import roll_ups_are_true
from tests.runs_made import run_of, stored

STARTED, ENDED = "2025-10-10T02:15:30.123456Z", "2025-10-10T02:16:12.654321Z"
RUN = {
    "run_id": "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e",
    "agent_name": "Bot",
    "input_kind": "chat",
    "started_at": STARTED,
    "ended_at": ENDED,
    "resolution": "resolved",
    "cost_usd": "0.5",
}
MOMENT = timedelta(microseconds=1)


# --- a re-sent item whose time was cut -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "status"),
    [
        ({"started_at": "2025-10-10T02:15:30.123Z"}, "conflict"),
        ({"started_at": "2025-10-10T02:15:30Z"}, "conflict"),
        ({"ended_at": "2025-10-10T02:16:12.654Z"}, "conflict"),
        ({"started_at": "2025-10-10T02:15:30.123Z", "ended_at": "2025-10-10T02:16:12.654Z"}, "conflict"),
        ({"started_at": "2025-10-10T07:45:30.123456+05:30"}, "duplicate"),
        ({"started_at": "2025-10-10T02:15:30.123456000Z"}, "duplicate"),
    ],
)
@pytest.mark.parametrize("whose", ["same source", "another source of the org"])
def test_a_time_that_was_cut_is_a_conflict_and_counts_nothing(
    sender: Sender, again: dict[str, str], status: str, whose: str
) -> None:
    """The key is org and run_id alone; times are kept and given back to the microsecond."""
    with scopes_disabled():
        other = sender
        if whose != "same source":
            source = SourceFactory(org=sender.source.org)
            row, key = make_key(source)
            other = Sender(sender.port, source, key, row)
        assert sender.post(RUN, RUNS).json["status"] == "created"
        assert other.post({**RUN, **again}, RUNS).json["status"] == status
        assert other.post([{**RUN, **again}, {**RUN, **again}], RUNS).statuses == [status] * 2
        (kept,) = AgentRun.objects.all()
        assert kept.cost_usd == AgentRun.objects.get().cost_usd
        roll_ups_are_true()
        reader = signed_in(supervisor_of(sender.source.org))
    (run,) = reader.get("/api/runs").json()["results"]
    assert (run["started_at"], run["ended_at"], run["duration_seconds"]) == (STARTED, ENDED, 42.530865)
    (figures,) = reader.get("/api/kpis?from=2025-10-10&to=2025-10-11").json()["results"]
    assert (figures["total_runs"], figures["avg_cost_usd"]) == (1, 0.5)
    assert figures["avg_resolution_seconds"] == pytest.approx(42.530865)


# --- a local day -----------------------------------------------------------------------------------------------------


def runs_around(org: Org, *at: datetime) -> None:
    agent, source = AgentFactory(org=org, name="Bot"), SourceFactory(org=org)
    stored([run_of(org, agent, source, one, 10.0, sla_target_seconds=60) for one in at])


def starts_of(day: date, zone: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def answered(client: Client, path: str) -> list[dict[str, Any]]:
    answer = client.get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()["results"]


def read(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Asia/Jakarta", "America/St_Johns"])
def test_a_local_day_is_one_day_at_any_offset(db: None, zone: str) -> None:
    """What was before its midnight or came after the next one is another day's: on API, page, list and in the file."""
    org, day = OrgFactory(zone=zone), date(2026, 3, 5)
    begins, ends = starts_of(day, zone), starts_of(day + timedelta(days=1), zone)
    runs_around(org, begins - MOMENT, begins, begins + timedelta(hours=6), ends - MOMENT, ends)
    client = signed_in(supervisor_of(org, zone=zone))
    span = "from=2026-03-05&to=2026-03-06"
    for bucket in ("day", "total"):
        (row,) = answered(client, f"/api/kpis?{span}&bucket={bucket}")
        assert (row["total_runs"], read(row["period_start"])) == (3, begins)
    both = answered(client, "/api/kpis?from=2026-03-04&to=2026-03-07&bucket=day")
    assert [row["total_runs"] for row in both] == [1, 3, 1]
    page = client.get(f"/kpis?{span}&bucket=day").content.decode()
    assert "n 3 ended runs" in page
    assert re.findall(r"data-n>n (\d+)<", client.get(f"/runs?{span}").content.decode()) == ["3"]
    assert b"".join(client.get(f"/runs.csv?{span}")).decode().count("\n") == 1 + 3
    assert ",3\r\n" in b"".join(client.get(f"/kpis.csv?{span}&bucket=day&widget=art")).decode()


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu"])
def test_hours_are_those_of_the_utc_clock_and_that_is_said(db: None, zone: str) -> None:
    org, begins = OrgFactory(zone=zone), starts_of(date(2026, 3, 5), zone)
    runs_around(org, begins, begins + timedelta(minutes=59), begins + timedelta(minutes=61))
    client = signed_in(supervisor_of(org, zone=zone))
    rows = answered(client, "/api/kpis?from=2026-03-05&to=2026-03-06&bucket=hour")
    assert [read(row["period_start"]).minute for row in rows] == [0] * len(rows)
    assert sum(row["total_runs"] for row in rows) == 3
    document = signed_in(UserFactory(is_specialist=True)).get("/api/schema").content.decode()
    assert "Hours are of UTC, others of the org's zone." in document.replace("''", "'")


# --- days of a change ------------------------------------------------------------------------------------------------

CHANGES = [
    ("Europe/Berlin", date(2026, 3, 29), 23),
    ("Europe/Berlin", date(2025, 10, 26), 25),
    ("America/New_York", date(2026, 3, 8), 23),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("Africa/Cairo", date(2026, 4, 24), 23),  # at midnight: the day begins at one
]


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGES)
def test_a_day_of_a_change_is_one_bucket_with_its_bounds(db: None, zone: str, day: date, hours: float) -> None:
    org = OrgFactory(zone=zone)
    first, begins = starts_of(day - timedelta(days=1), zone), starts_of(day, zone)
    ends = begins + timedelta(hours=hours)
    assert ends == starts_of(day + timedelta(days=1), zone)
    runs_around(
        org, *(first + n * timedelta(minutes=30) for n in range(int((ends - first) / timedelta(minutes=30)) + 2))
    )
    client = signed_in(supervisor_of(org, zone=zone))
    span = f"from={day - timedelta(days=1)}&to={day + timedelta(days=2)}"
    rows = answered(client, f"/api/kpis?{span}&bucket=day")
    assert [read(row["period_start"]) for row in rows] == [first, begins, ends]
    assert [row["total_runs"] for row in rows] == [48, 2 * hours, 2]
    page = client.get(f"/runs?{span}&bucket=day&at={day}").content.decode()
    assert re.findall(r"data-n>n (\d+)<", page) == [str(int(2 * hours))]
    per_hour = answered(client, f"/api/kpis?from={day}&to={day + timedelta(days=1)}&bucket=hour")
    assert sum(row["total_runs"] for row in per_hour) == 2 * hours
