"""How long the six KPIs take from the kept sums, against the seed's plain view over the runs, and each page's queries.

A scratch database with 15 orgs, 90 days of runs and their roll-ups by bulk SQL (bench/run_history.py). The view is the
metrics seed's, its columns and formulas, over the same rows. A time is the shortest of several. At the end the same
with `--scale` times the runs: what is read of the kept sums must not grow with them.

    python -m bench.kpis [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: a ratio is below half of its floor, a
statement of a page takes over STATEMENT ms, or more runs make the figures slower.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.board import collect_static
from bench.feed_setup import environment
from bench.table import Measured, tell

WHOLE, SMALL = 1_000_000, 60_000  # runs
ROUNDS = 7
STATEMENT = 100.0  # ms, of a page; BESIDE_OTHERS where .ci/run has other work at the same time
BESIDE_OTHERS = 1000.0  # ms
MOST_GROWTH = 2.5  # times, with ten times the runs: days and hours have as many keys
DAY_TARGET, MONTH_TARGET = 100.0, 400.0  # times the plain view, at 10 million runs
# As measured, half of it is a failure; the view over few runs is fast.
FLOORS = {SMALL: (1.0, 2.0), WHOLE: (20.0, 50.0)}
# The seed's view. Its reader asks for some of its days.
VIEW = """
CREATE OR REPLACE VIEW seed_agent_kpis AS
SELECT agent.name AS agent_name, date_trunc('day', run.started_at) AS day, count(*) AS total_runs,
       avg(extract(epoch FROM run.ended_at - run.started_at)) AS avg_resolution_seconds,
       100.0 * avg(coalesce(run.self_corrected, false)::int) AS self_correction_rate,
       100.0 * avg((run.resolution = 'escalated')::int) AS escalation_pct,
       avg(run.cost_usd) AS avg_cost_usd,
       100.0 * avg((extract(epoch FROM run.ended_at - run.started_at) <= run.sla_target_seconds)::int) AS sla_hit_rate,
       avg(qc.quality_score) AS avg_quality
  FROM runs_agentrun run JOIN orgs_agent agent ON agent.id = run.agent_id
  LEFT JOIN runs_agentqc qc ON qc.org_id = run.org_id AND qc.run_id = run.run_id
 GROUP BY 1, 2
"""


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.kpis", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="few runs, for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="then N times the runs")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in os.environ:
            parser.error(f"{name} is not set")
    os.environ["STATIC_COMPRESS"] = "0"
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    runs = SMALL if options.small else WHOLE
    with ExitStack() as stack:
        environment(stack)
        collect_static()
        first = measured(runs)
        rows, wrong = told(runs, first)
        if options.scale > 1:
            more = measured(runs * options.scale)
            more_rows, more_wrong = told(runs * options.scale, more)
            rows += more_rows
            wrong += [*more_wrong, *grown(first, more)]
        fast = tell(rows)
        print(*wrong, sep="\n")
        return 0 if fast and not wrong else 1


def measured(runs: int) -> dict[str, float]:
    """The times in ms, by what was done. Fills the database anew."""
    from django.db import connection
    from django_scopes import scopes_disabled

    from bench.run_history import RunSize, fill_runs

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE runs_agentrun, runs_hourkpi, runs_daykpi, runs_agentday, runs_agentqc")
        started = time.perf_counter()
        fill_runs(RunSize(runs=runs))
        cursor.execute("SELECT count(*) FROM runs_daykpi")
        print(f"{runs:,} runs, {cursor.fetchone()[0]:,} rows of days, in {time.perf_counter() - started:.0f} s")
        cursor.execute(VIEW)
    with scopes_disabled():
        return figures() | pages()


def shortest(act: Callable[[], object], rounds: int = ROUNDS) -> float:
    """ms."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        act()
        times.append(1000 * (time.perf_counter() - started))
    return min(times)


def figures() -> dict[str, float]:
    """The six KPIs of each agent, of 24 hours and of 30 days: from the sums, and from the view."""
    from alerts.figures import Period
    from orgs import clock
    from orgs.models import Org
    from runs.rollups import KpiFilters, KpiScope, kpi_durations, kpi_sums

    now, orgs = clock.now(), list(Org.objects.all())
    today = now.date()
    day = KpiScope.of(orgs, Period(now - timedelta(hours=24), now), now, KpiFilters())
    month = KpiScope.of(orgs, Period(today - timedelta(days=29), today + timedelta(days=1)), now, KpiFilters())
    return {
        "24 h": shortest(lambda: kpi_sums(day, "agent", "total")),
        "24 h, view": shortest(lambda: view(now - timedelta(hours=24)), 3),
        "30 days": shortest(lambda: kpi_sums(month, "agent", "day")),
        "30 days, view": shortest(lambda: view(now - timedelta(days=30)), 3),
        "30 days, percentiles": shortest(lambda: kpi_durations(month, "", "day")),
    }


def view(since: Any) -> object:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM seed_agent_kpis WHERE day >= %s", [since])
        return cursor.fetchall()


ONE = "org=org-001"
PAGES = (
    *(f"/kpis?days=30&{ONE}", f"/kpis?days=90&{ONE}", f"/kpis?days=1&{ONE}", f"/agents/agent-1?days=30&{ONE}"),
    *("/kpis?days=30", "/kpis?days=1", "/runs", "/runs?counted=escalated"),
)


def pages() -> dict[str, float]:
    """The slowest statement of each page, for a specialist, who sees every org."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from orgs.models import User

    person, _ = User.objects.get_or_create(sso_id="specialist", defaults={"is_specialist": True})
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(person)
    found: dict[str, float] = {}
    for path in PAGES:
        for _ in range(ROUNDS):
            with CaptureQueriesContext(connection) as captured:
                answer = client.get(path)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")
            slowest = max(1000 * float(one["time"]) for one in captured)
            found[path] = min(found.get(path, slowest), slowest)
    return found


def told(runs: int, found: dict[str, float]) -> tuple[list[Measured], list[str]]:
    """The rows of the table, and what must not be."""
    floors = FLOORS.get(runs, (DAY_TARGET, MONTH_TARGET))
    rows = [
        Measured(
            f"six KPIs, {span}, {runs:,} runs",
            f"{found[span]:.1f} ms",
            f"{found[f'{span}, view']:.0f} ms, the seed's view",
            found[f"{span}, view"] / found[span],
            target,
            floor / 2,
        )
        for span, target, floor in zip(("24 h", "30 days"), (DAY_TARGET, MONTH_TARGET), floors, strict=True)
    ]
    rows.append(Measured(f"percentiles, 30 days, {runs:,} runs", f"{found['30 days, percentiles']:.1f} ms", "100 ms"))
    limits = dict.fromkeys(PAGES, BESIDE_OTHERS if runs == SMALL else STATEMENT)
    rows += [
        Measured(f"{path}, slowest statement", f"{found[path]:.1f} ms", f"{limits[path]:.0f} ms") for path in PAGES
    ]
    return rows, [f"{path}: a statement of {found[path]:.0f} ms" for path in PAGES if found[path] > limits[path]]


def grown(first: dict[str, float], more: dict[str, float]) -> list[str]:
    """What became slower with more runs, though it reads kept sums."""
    kept = ("24 h", "30 days", "30 days, percentiles", *PAGES)
    return [
        f"{name}: {more[name] / first[name]:.1f} times what it was"
        for name in kept
        if more[name] > MOST_GROWTH * max(first[name], 10.0)
    ]


if __name__ == "__main__":
    sys.exit(main())
