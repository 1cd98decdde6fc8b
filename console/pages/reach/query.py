"""What the reach page shows: its filters, the agents with their supervisors, the orgs; and the same as CSV."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.urls import reverse
from django.utils.safestring import SafeString

from alerts.prepared import NOW, PreparedCounts
from alerts.reach import AgentReach, Coverage, Supervisor, by_org, coverage_of
from console.pages.reach.words import advice, cells, reach_word
from console.text.hops import Chain
from console.text.wording import Word, bdi
from orgs import spreadsheet
from orgs.auth import OrgIds
from orgs.clock import rfc3339
from orgs.conflicts import Dispute, disputes, in_dispute, removed_by_sync
from orgs.identifiers import spelled
from orgs.incoming import bounded_number
from orgs.models import Agent, Org, User

TABS = ("all", "nobody", "one")
SHOWN = 20  # agents on a page; "show more" doubles it
SHOWN_MOST = 640
PEOPLE_EACH = 5  # of the agents of a page on average: a page of 20 agents has at most 100 rows
COLUMNS = (
    "org", "agent", "tier", "sso_id", "name", "reachable", "reason", "absent", "tokens", "tokens_at",
    "last_delivered_at", "last_opened_at", "last_entered_at",
)  # fmt: skip


@dataclass(frozen=True)
class ReachFilters:
    """The filters of the URL; an unknown value counts as none."""

    tab: str = "all"
    org: str = ""
    limit: int = SHOWN

    def url(self, **changes: Any) -> str:
        """The query of these filters, some of them changed; what is at its default is left out."""
        values = {"tab": self.tab, "org": self.org, "limit": self.limit, **changes}
        kept = {k: v for k, v in values.items() if v and (k, v) not in (("tab", "all"), ("limit", SHOWN))}
        return "?" + urlencode(kept) if kept else "?"


def reach_filters(query: QueryDict) -> ReachFilters:
    """The filters of a request."""
    tab = query.get("tab", "")
    return ReachFilters(
        tab=tab if tab in TABS else "all",
        org=spelled(query.get("org", ""))[:200],
        limit=bounded_number(query.get("limit", ""), SHOWN, SHOWN_MOST),
    )


def matching_agents(found: Sequence[AgentReach], tab: str) -> list[AgentReach]:
    """The agents of a tab, the worst first."""
    wanted = {"all": (0, 1, 2), "nobody": (0,), "one": (1,)}[tab]
    chosen = [one for one in found if min(one.reachable, 2) in wanted]
    return sorted(chosen, key=lambda one: (min(one.reachable, 2), one.unproven, one.agent.org.name, one.agent.name))


def fitting(chosen: Sequence[AgentReach], limit: int) -> list[AgentReach]:
    """The first ones that make a page, however many people back each up; never none."""
    rows = list(accumulate(len(one.supervisors) for one in chosen[:limit]))
    return list(chosen[: max(1, bisect_right(rows, limit * PEOPLE_EACH))])


@dataclass(frozen=True)
class ReachPerson:
    """Somebody who backs up agents of an org, as each row of theirs shows them: rendered once."""

    one: Supervisor
    now: datetime

    @cached_property
    def cells(self) -> SafeString:
        return cells(self.one, self.now)

    @cached_property
    def pk(self) -> str:
        return str(self.one.user.pk)

    @cached_property
    def name(self) -> SafeString:
        return bdi(self.one.user)

    @cached_property
    def test_url(self) -> str:
        return reverse("test_push", args=[self.one.user.sso_id])


@dataclass
class ReachRow:
    """A supervisor on the page; `tests`: whether the reader may send them a test push, `chain`: their newest one."""

    supervisor: Supervisor
    person: ReachPerson
    tests: bool
    chain: Chain | None = None


@dataclass
class ReachGroup:
    """An agent on the page."""

    agent: Agent
    verdict: Word
    advice: str
    rows: list[ReachRow]
    off_duty: str = ""  # when nobody is on duty for it, in the next 7 days


def groups(
    found: Sequence[AgentReach],
    led: OrgIds,
    me: User,
    tests: dict[Any, Chain],
    off_duty: Mapping[int, str],
    now: datetime,
) -> list[ReachGroup]:
    """The agents with their rows; a test push shows once, where its person stands first in its org. `off_duty`: by
    agent, when nobody is on duty for it.
    """
    people: dict[tuple[int, int, int, str], ReachPerson] = {}  # by org, user, tier and what they are away for
    shown: set[tuple[int, int]] = set()
    made = []
    for one in found:
        org, rows = one.agent.org_id, []
        for each in one.supervisors:
            person = people.setdefault((org, each.user.pk, each.tier, each.absent), ReachPerson(each, now))
            row = ReachRow(each, person, each.user.is_active and (org in led or each.user == me))
            key = (org, each.user.pk)
            if key not in shown:
                shown.add(key)
                row.chain = tests.get(key)
            rows.append(row)
        made.append(ReachGroup(one.agent, reach_word(one), advice(one), rows, off_duty.get(one.agent.pk, "")))
    return made


@dataclass(frozen=True)
class OrgTile:
    """The coverage of one org."""

    org: Org
    coverage: Coverage

    @property
    def tone(self) -> str:
        return "crit" if self.coverage.nobody else "warn" if self.coverage.unproven else "ok"


def org_tiles(found: Sequence[AgentReach]) -> list[OrgTile]:
    """One per org that has a production agent: the least covered first, of those the targeted ones."""
    tiles = [OrgTile(agents[0].agent.org, coverage_of(agents)) for agents in by_org(found).values()]
    return sorted(tiles, key=lambda one: (one.coverage.percent or 0, not one.org.targeted, one.org.name))


DISPUTED = PreparedCounts(
    said=(lambda: in_dispute().values("pk"), "org_id"),
    removed=(lambda: removed_by_sync(NOW).values("pk"), "org_id"),
)


def found_disputes(orgs: Sequence[int], now: datetime) -> list[Dispute]:
    """`disputes`, looked at where there is any. One query, three then."""
    return disputes(orgs, now) if any(DISPUTED.of(said=orgs, removed=orgs).values()) else []


def lines(found: Sequence[AgentReach]) -> Iterator[str]:
    """The same rows as CSV, header first; an agent without supervisors is one line."""
    yield spreadsheet.line(COLUMNS)
    for one in found:
        people: Sequence[Supervisor | None] = one.supervisors or [None]
        yield from (spreadsheet.line(_cells(one.agent, person)) for person in people)


def _cells(agent: Agent, one: Supervisor | None) -> list[object]:
    start = [agent.org.external_id, agent.name]
    if one is None:
        return [*start, *[None] * (len(COLUMNS) - len(start))]
    user, reachable = one.user, "yes" if one.reachable else "no"
    moments = (user.push_tokens_at, one.delivered_at, one.opened_at, one.entered_at)
    times = [at and rfc3339(at) for at in moments]
    return [*start, one.tier, user.sso_id, user, reachable, one.reason, one.absent, user.push_tokens, *times]
