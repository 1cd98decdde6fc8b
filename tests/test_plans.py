"""What pages and workers ask the database in a large installation: no table with a past is read from end to end, and
nothing is asked more often because there is more of it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_scopes import scopes_disabled

from alerts import actions
from alerts.delivery.claim import claim
from alerts.figures.closing import AT_ONCE, close_days
from alerts.models import Alert, Push
from alerts.sources import inbox, watch
from bench.board import pages
from bench.history import TABLES, Size, age, settle
from bench.run_history import RunSize, fill_runs
from console.live import hub
from console.pages.runs.query import runs_of_room
from orgs import clock
from orgs.auth import EVERY_ORG
from orgs.models import Assignment, Membership, User
from runs.containment import sweep_sessions
from runs.late import stamp_overdue
from runs.models import AgentRun
from runs.presence import note_flows
from runs.watch import sweep_agents
from tests.factories import UserFactory

LARGE = Size(orgs=4, agents=4, people=24, open=100, resolved=12_000, events_each=2)
RUN_TABLES = {"runs_agentrun", "runs_hourkpi"}
BIG = {*TABLES} - {"alerts_room"}


@pytest.fixture
def installation(db: None) -> Iterator[Callable[[Size], dict[str, Client]]]:
    """Makes an installation of a size: a specialist's browser, and a lead's."""

    def made(size: Size) -> dict[str, Client]:
        settle(size)
        age(size)
        with scopes_disabled():
            while close_days(clock.now()) == AT_ONCE:
                pass
            for _ in range(4):  # reads 20,000 rows of each table at a time
                sweep_sessions(clock.now())
            held = Assignment.objects.select_related("user").order_by("pk")[0]
            Membership.objects.create(org_id=held.org_id, user=held.user, role=Membership.Role.LEAD)
        people: dict[str, User] = {"specialist": UserFactory(is_specialist=True), "lead": held.user}
        browsers = {name: Client() for name in people}
        for name, browser in browsers.items():
            browser.force_login(people[name])
        return browsers

    yield made
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS history_slot")


def asked(act: Callable[[], object]) -> list[str]:
    """The statements that an act sends, as they are sent."""
    with CaptureQueriesContext(connection) as captured:
        act()
    return [one["sql"] for one in captured.captured_queries]


def read_whole(statement: str, big: Collection[str] = BIG) -> set[str]:
    """Those of the big tables that the plan of a statement reads from end to end."""
    statement = re.sub(r"^SELECT set_config\('pghistory.*?\); ", "", statement, flags=re.DOTALL)
    if not re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)\b", statement):
        return set()
    options = "FORMAT JSON"
    if "%b" in statement:  # it was bound on the server, to values that are not known here
        if connection.pg_version < 160000:  # type: ignore[attr-defined]
            return set()
        numbers = count(1)
        options, statement = "FORMAT JSON, GENERIC_PLAN", re.sub("%b", lambda _: f"${next(numbers)}", statement)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({options}) " + statement.replace("%", "%%"), [])
        (answer,) = cursor.fetchone()
    plan = json.loads(answer) if isinstance(answer, str) else answer
    return {node["Relation Name"] for node in _nodes(plan[0]["Plan"]) if _is_whole(node)} & {*big}


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


def _is_whole(node: dict[str, Any]) -> bool:
    return node["Node Type"] == "Seq Scan"


def sweeps() -> dict[str, Callable[[], object]]:
    """What the workers and the hub do every few seconds."""
    return {
        "timers": actions.sweep_timers,
        "pushes": claim,
        "deliveries": inbox.work,
        "sources": watch.sweep_sources,
        "figures": lambda: close_days(clock.now()),
        "sessions": lambda: sweep_sessions(clock.now()),
        "agents": sweep_agents,
        "flows": lambda: note_flows(clock.now()),
        "stalled runs": lambda: stamp_overdue(clock.now()),
        "hub, the list": lambda: hub._open_alerts(EVERY_ORG, clock.now()),
        "hub, the sums": lambda: hub.stored_checksums(EVERY_ORG),
    }


def test_no_page_and_no_worker_reads_a_table_with_a_past_from_end_to_end(
    installation: Callable[[Size], dict[str, Client]],
) -> None:
    browsers, found = installation(LARGE), []
    for page in pages():
        statements = asked(partial(browsers[page.who].get, page.path))
        found += [(page.name, page.who, table, said) for said in statements for table in read_whole(said)]
    with scopes_disabled():
        for name, sweep in sweeps().items():
            found += [(name, "worker", table, said) for said in asked(sweep) for table in read_whole(said)]
    assert not found, "\n\n".join(
        f"{name} ({who}) reads all of {table}: {said[:300]}" for name, who, table, said in found
    )


RUN_PAGES = (
    *("/kpis", "/kpis?days=1", "/kpis?days=90", "/kpis?agent=agent-1", "/kpis.csv", "/runs", "/runs?counted=escalated"),
    *(
        "/runs?q=room-5",
        "/runs?q={run}",
        "/runs/{run}",
        "/agents/agent-1?days=1",
        "/api/runs",
        "/api/runs?room_id=room-5",
    ),
    *("/api/runs/{run}?org_id=org-001", "/api/kpis", "/api/kpis?bucket=hour"),
    "/api/agents/agent-1/versions?org_id=org-001&from={day}",
)


def test_no_page_about_runs_reads_them_from_end_to_end(db: None) -> None:
    fill_runs(RunSize(runs=12_000, orgs=4, agents=4))
    with scopes_disabled():
        run = AgentRun.objects.filter(org__external_id="org-001").order_by("started_at")[0]
    browser = Client()
    browser.force_login(UserFactory(is_specialist=True))
    found = []
    for path in RUN_PAGES:
        statements = asked(lambda path=path: _shown(browser, path.format(run=run.run_id, day=clock.now().date())))  # type: ignore[misc]
        found += [(path, table, said[:600]) for said in statements for table in read_whole(said, RUN_TABLES)]
    with scopes_disabled():
        for name, act in {**sweeps(), "a room": lambda: runs_of_room(run.org_id, "room-5")}.items():
            found += [(name, table, said) for said in asked(act) for table in read_whole(said, RUN_TABLES)]
    assert not found


def _shown(browser: Client, path: str) -> None:
    assert browser.get(path).status_code == 200, path


def test_a_query_without_an_index_is_found(installation: Callable[[Size], dict[str, Client]]) -> None:
    installation(Size(orgs=2, agents=2, people=4, open=10, resolved=40, events_each=2))
    with scopes_disabled():
        (statement,) = asked(lambda: list(Push.objects.filter(last_answer="unknown")))
    assert read_whole(statement) == {"alerts_push"}


def test_each_page_asks_as_much_of_a_small_installation_as_of_a_large_one(
    installation: Callable[[Size], dict[str, Client]],
) -> None:
    def counts(size: Size, wanted: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
        with suppress(_Undone), transaction.atomic():
            browsers = installation(size)
            found: dict[tuple[str, str], int] = {}
            for page in pages() * 3:  # what the process keeps for a minute is read at first, and once more as one ends
                key = page.name, page.who
                if key in wanted and found.get(key) == wanted[key]:
                    continue
                n = len(asked(partial(browsers[page.who].get, page.path)))
                found[key] = min(n, found.get(key, n))
            with scopes_disabled():
                assert Alert.objects.count() == size.open + size.resolved
            raise _Undone
        return found

    # What is open is under 15 min old in both: a list begins with these.
    few = counts(Size(orgs=2, agents=2, people=4, open=55, resolved=100, events_each=2), {})
    assert counts(Size(orgs=2, agents=6, people=40, open=90, resolved=700, events_each=3), few) == few


class _Undone(Exception):
    """Takes an installation back."""
