"""What the reach page says: each agent with its verdict and what to do, each supervisor with theirs."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import QueryDict
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.reach import AgentReach, Coverage, Supervisor, by_org, coverage_of
from console.pages.reach.words import Chain
from console.text.wording import bdi, short_name
from orgs.api import rfc3339
from orgs.auth import OrgIds
from orgs.identifiers import spelled
from orgs.imports import safe
from orgs.incoming import bounded_number
from orgs.models import Agent, Org, User

TABS = ("all", "nobody", "one")
SHOWN = 20  # agents on a page; "show more" doubles it
SHOWN_MOST = 640
NAMED = 3
COLUMNS = (
    "org", "agent", "tier", "sso_id", "name", "reachable", "reason", "tokens", "tokens_at",
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


# --- words -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Word:
    """A few words with their icon and colour."""

    tone: str
    icon: str
    text: str


def reach_word(one: AgentReach) -> Word:
    """Of an agent: how many of its people can be reached."""
    if one.reachable > 1:
        return Word("ok", "circle-check-f", _("{n} reachable").format(n=one.reachable))
    if one.reachable:
        return Word("warn", "alert-triangle-f", _("1 reachable: no second pair of hands"))
    if one.unproven:
        return Word("warn", "alert-triangle-f", _("Nobody proven yet"))
    return Word("crit", "circle-x-f", _("Nobody reachable"))


def advice(one: AgentReach) -> str:
    """What to do for an agent that reaches nobody for certain; empty for the others."""
    if one.reachable:
        return ""
    people = {
        reason: _names([person.user for person in one.supervisors if person.reason == reason])
        for reason in ("never_delivered", "no_phone", "refused", "never_asked", "inactive")
    }
    if names := people["never_delivered"]:
        return format_html(_("Send a test to {names}: it is proven when the phone has it."), names=names)
    if names := people["no_phone"]:
        return format_html(_("Ask {names} to sign in once in the chat app, then send a test."), names=names)
    if names := people["refused"]:
        return format_html(_("Ask {names} to open the chat app, then send a test."), names=names)
    if people["never_asked"]:
        return _("Press “Ask again” to learn who has a phone.")
    if names := people["inactive"]:
        return format_html(_("{names} is locked out: map a role to somebody else."), names=names)
    return _("No supervisor backs it up: map a role to somebody.")


def _names(users: Sequence[User]) -> SafeString:
    return _listed([short_name(str(user)) for user in users])


def _listed(names: list[str]) -> SafeString:
    shown: list[str] = [bdi(name) for name in names[:NAMED]]
    if more := names[NAMED:]:
        shown.append(_("{n} more").format(n=len(more)))
    return format_html_join(", ", "{}", ((one,) for one in shown))


def now_word(one: Supervisor) -> Word:
    """Of a person: reachable now, unproven, not reachable, or not known."""
    if one.reachable:
        return Word("ok", "circle-check-f", _("Reachable"))
    if one.state == "unproven":
        return Word("warn", "clock", _("Unproven"))
    if one.reason == "never_asked":
        return Word("none", "circle-dashed", _("Not known"))
    return Word("crit", "circle-x-f", _("Not reachable"))


def phone_word(one: Supervisor) -> Word:
    """Of a person's phones: how many, or what is wrong with them."""
    match one.reason:
        case "inactive":
            return Word("crit", "user-off", _("Locked out"))
        case "never_asked":
            return Word("none", "circle-dashed", _("Not asked yet"))
        case "no_phone":
            return Word("crit", "device-mobile-off", _("None registered"))
        case "refused":
            return Word("warn", "device-mobile-x", _("Last push refused"))
    tokens = one.user.push_tokens
    if tokens is None:
        return Word("none", "device-mobile", _("Proven by delivery"))
    return Word("ink", "device-mobile", ngettext("{n} phone", "{n} phones", tokens).format(n=tokens))


def nobody_sentence(found: Sequence[AgentReach]) -> str:
    """Which agents reach nobody, for the head of the page; empty if there is none."""
    agents = [one.agent for one in found if not one.reachable and not one.unproven]
    if not agents:
        return ""
    text = ngettext(
        "{names} can reach nobody: its failures show on the board and ring no phone.",
        "{names} can reach nobody: their failures show on the board and ring no phone.",
        len(agents),
    )
    return format_html(text, names=_listed([agent.name for agent in agents]))


# --- what the page shows ---------------------------------------------------------------------------------------------


@dataclass
class ReachRow:
    """A supervisor on the page; `tests`: whether the reader may send them a test push, `chain`: their newest one."""

    supervisor: Supervisor
    now: Word
    phone: Word
    tests: bool
    chain: Chain | None = None


@dataclass
class ReachGroup:
    """An agent on the page."""

    agent: Agent
    verdict: Word
    advice: str
    rows: list[ReachRow]


def groups(found: Sequence[AgentReach], led: OrgIds, me: User, tests: dict[Any, Chain]) -> list[ReachGroup]:
    """The agents with their rows; a test push shows once, where its person stands first in its org."""
    shown: set[tuple[int, int]] = set()
    made = []
    for one in found:
        leads = one.agent.org_id in led
        rows = [
            ReachRow(
                person, now_word(person), phone_word(person), person.user.is_active and (leads or person.user == me)
            )
            for person in one.supervisors
        ]
        for row in rows:
            key = (one.agent.org_id, row.supervisor.user.pk)
            if key not in shown:
                shown.add(key)
                row.chain = tests.get(key)
        made.append(ReachGroup(one.agent, reach_word(one), advice(one), rows))
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


# --- CSV -------------------------------------------------------------------------------------------------------------


def lines(found: Sequence[AgentReach]) -> Iterator[str]:
    """The same rows as CSV, header first; an agent without supervisors is one line."""
    yield _line(COLUMNS)
    for one in found:
        people: Sequence[Supervisor | None] = one.supervisors or [None]
        yield from (_line(_cells(one.agent, person)) for person in people)


def _cells(agent: Agent, one: Supervisor | None) -> list[str]:
    start = [agent.org.external_id, agent.name]
    if one is None:
        return [*start, *[""] * (len(COLUMNS) - len(start))]
    times = (one.user.push_tokens_at, one.delivered_at, one.opened_at, one.entered_at)
    known = "" if one.user.push_tokens is None else str(one.user.push_tokens)
    who = [str(one.tier), one.user.sso_id, str(one.user), "yes" if one.reachable else "no", one.reason, known]
    return [*start, *who, *[rfc3339(at) or "" for at in times]]


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([safe(cell) for cell in cells])
    return line.getvalue()
