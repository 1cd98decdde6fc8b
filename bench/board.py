"""How long the server takes for each page of a large installation, and whether its past makes them slower.

A real web process on a scratch database with 15 orgs, 500 assignments and 2,000 open alerts. Each page is asked for by
a specialist, who sees all orgs, and by a lead, who sees one: first with almost no past, then with a million resolved
alerts and all that hangs on them (bench/history.py), the days that are over closed as the sweeps do it. A time is the
shortest of several, so that what else the machine does counts little, from the request's first byte to the answer's
last over a kept-open connection. An empty view tells what a request costs before any page begins.

    python -m bench.board [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: the ratio of a page's limit to its
time is below half of its floor, a page is over MOST_GROWTH times what it was without a past, or over PAGE_BYTES.
"""

import argparse
import gzip
import http.client
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.feed_setup import HOST, environment, signed_in, web_process
from bench.history import Size, age, settle
from bench.table import Measured, tell

ROUNDS, ROUNDS_SMALL = 9, 3  # requests of a page, after a first one
PAGE, SEARCH = 100.0, 150.0  # ms; filter and search look through what is open
MOST_GROWTH = 4.0  # times; a page without rows fills up, and one that reads all of its past is far beyond
SMALLEST = 20.0  # ms; below it, what else the machine does decides
PAGE_BYTES = 250_000  # compressed
# Limit / figure as measured on two cores, where it is below 1; see docs/benchmarks.md. Half of it is a failure.
FLOORS = {
    ("success, 30 days", "specialist"): 0.32,
    ("success, 90 days", "specialist"): 0.3,
    ("success, a list", "specialist"): 0.8,
    ("reach", "specialist"): 0.7,
    ("board", "specialist"): 0.9,
    ("board, resolved", "specialist"): 0.75,
}


@dataclass(frozen=True)
class Page:
    """A page that somebody asks for: who, where, and how many ms it may take."""

    name: str
    path: str
    who: str = "specialist"
    limit: float = PAGE


@dataclass
class Timing:
    ms: float
    bytes: int


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.board", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a hundredth of the past, for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="N times the past")
    parser.add_argument("--events-each", type=int, default=3, metavar="N", help="failure events of an alert")
    options = parser.parse_args()
    for name in ("DATABASE_URL", "REDIS_URL"):
        if name not in os.environ:
            parser.error(f"{name} is not set")
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    os.environ["STATIC_COMPRESS"] = "0"
    whole = Size(events_each=options.events_each)
    size = replace(whole, resolved=whole.resolved * options.scale // (100 if options.small else 1))
    with ExitStack() as stack:
        environment(stack)
        collect_static()
        settle(size)
        cookies = people()
        _, port = stack.enter_context(web_process())
        rounds = ROUNDS_SMALL if options.small else ROUNDS
        before = measured(port, pages(), cookies, rounds)
        started = time.perf_counter()
        age(size)
        made = time.perf_counter()
        days = close()
        print(f"{size.open:,} open alerts, {size.people} assignments, {size.orgs} orgs; {size.resolved:,} resolved and")
        print(f"{size.resolved * size.events_each:,} failure events made in {made - started:.0f} s, ", end="")
        print(f"{days:,} days closed in {time.perf_counter() - made:.0f} s")
        return show(pages(), before, measured(port, pages(), cookies, rounds))


def close() -> int:
    """Close the days that are over: how many."""
    from django_scopes import scopes_disabled

    from alerts.figures.closing import AT_ONCE, close_days
    from orgs import clock

    with scopes_disabled():
        counted = [AT_ONCE]
        while counted[-1] == AT_ONCE:
            counted.append(close_days(clock.now()))
    return sum(counted[1:])


def collect_static() -> None:
    """A page names its scripts by what is in them."""
    from django.core.management import call_command

    call_command("collectstatic", "--noinput", verbosity=0)


def people() -> dict[str, str]:
    """A specialist and a lead: the cookie of each."""
    from django.conf import settings
    from django_scopes import scopes_disabled

    from orgs.models import Assignment, Membership, User

    with scopes_disabled():
        specialist = User.objects.create(sso_id="specialist", name="Specialist", is_specialist=True)
        held = Assignment.objects.select_related("user").order_by("pk")[0]
        Membership.objects.create(org_id=held.org_id, user=held.user, role=Membership.Role.LEAD)
        named = {"specialist": specialist, "lead": held.user}
    return {name: f"{settings.SESSION_COOKIE_NAME}={signed_in(user)}" for name, user in named.items()}


def pages() -> list[Page]:
    """What is asked for. The alert is an open one, which is there from the start."""
    from django_scopes import scopes_disabled

    from alerts.models import Alert

    with scopes_disabled():
        alert: UUID = Alert.objects.filter(org__external_id="org-000", state="open").values_list("pk", flat=True)[0]
    lists = ("orgs/org", "orgs/agent", "orgs/supervisorrole", "orgs/assignment", "orgs/user", "orgs/source")
    shared = [
        ("board", "/", PAGE),
        ("board, filter", "/?severity=critical&signal=agent_error", SEARCH),
        ("board, search", "/?q=customer+1", SEARCH),
        ("board, resolved", "/?tab=resolved", PAGE),
        ("board, counts", "/?partial=counts&q=customer+1", PAGE),
        ("alert", f"/alerts/{alert}", PAGE),
        ("reach", "/reach", PAGE),
        ("success, 30 days", "/success", PAGE),
        ("success, 90 days", "/success?days=90", PAGE),
        ("success, a list", "/success/follow_up_15min_pct?days=7", PAGE),
        ("sources", "/sources", PAGE),
        ("pushes", "/pushes", PAGE),
        ("api, alerts", "/api/alerts", PAGE),
    ]
    found = [Page(name, path, who, limit) for who in ("specialist", "lead") for name, path, limit in shared]
    admin = (*lists, "alerts/alert", "alerts/push")
    return [Page("empty view", "/livez"), *found, *(Page(f"admin, {one}", f"/admin/{one}/") for one in admin)]


def measured(port: int, asked: list[Page], cookies: dict[str, str], rounds: int) -> dict[Page, Timing]:
    """The shortest time of each page, and its size. By turns, so that a busy moment falls on one request of each."""
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    found: dict[Page, Timing] = {}
    for _ in range(1 + rounds):
        for page in asked:
            started = time.perf_counter()
            connection.request("GET", page.path, headers={"Cookie": cookies[page.who]})
            answer = connection.getresponse()
            body = answer.read()
            ms = 1000 * (time.perf_counter() - started)
            if answer.status != 200:
                raise SystemExit(f"{page.path}: {answer.status}")
            if page not in found or ms < found[page].ms:
                found[page] = Timing(ms, len(gzip.compress(body, 6)))
    return found


def show(asked: list[Page], before: dict[Page, Timing], after: dict[Page, Timing]) -> int:
    """The table, and what must not be; the exit code."""
    rows = []
    for page in asked:
        was, now = before[page], after[page]
        value = f"{now.ms:.1f} ms, {was.ms:.1f} without a past, {now.bytes / 1000:.0f} kB"
        floor = FLOORS.get((page.name, page.who), 1.0) / 2
        rows.append(
            Measured(f"{page.name} ({page.who})", value, f"{page.limit:.0f} ms", page.limit / now.ms, 1.0, floor)
        )
    fast = tell(rows)
    wrong = list(faults(asked, before, after))
    print(*wrong, sep="\n")
    return 0 if fast and not wrong else 1


def faults(asked: list[Page], before: dict[Page, Timing], after: dict[Page, Timing]) -> Iterator[str]:
    for page in asked:
        was, now = before[page], after[page]
        if now.ms > MOST_GROWTH * max(was.ms, SMALLEST) and not page.name.startswith("success"):
            yield f"{page.name} of the {page.who}: {now.ms / was.ms:.1f} times what it was without a past"
        if now.bytes > PAGE_BYTES:
            yield f"{page.name} of the {page.who}: {now.bytes:,} bytes compressed"


if __name__ == "__main__":
    sys.exit(main())
