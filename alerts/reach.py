"""Whether a push can reach somebody: one answer for the page, the API and the count in the navigation.

Reachable is proven, not hoped for: a push of this org came to the person's phone, and nothing newer speaks against it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal, NamedTuple

from django.conf import settings
from django.db.models import QuerySet

from alerts.tables import fetch
from orgs.models import Agent, Assignment, SupervisorRole, User

ReachState = Literal["reachable", "unproven", "unreachable"]
ReachReason = Literal["", "never_delivered", "never_asked", "no_phone", "refused", "inactive", "standin"]
ENTERED_LATELY = 50  # rooms: a person's newest, among which the last one of an agent is looked for


@dataclass(frozen=True, slots=True)
class ReachFacts:
    """What is known of a person's phones in an org; a time is None where it never happened."""

    active: bool = True
    tokens: int | None = None  # None: not asked yet
    tokens_at: datetime | None = None
    delivered_at: datetime | None = None
    refused_at: datetime | None = None  # the phone's provider or notification-service refused a push
    no_token_at: datetime | None = None  # notification-service answered a push with "no phone"
    standin: bool = False  # a stand-in answers for notification-service: it knows no phone


def judge_reach(facts: ReachFacts) -> tuple[ReachState, ReachReason]:
    """Whether this person can be reached, and why not. The newest fact counts; no fact is no good news."""
    if not facts.active:
        return "unreachable", "inactive"
    if facts.standin:
        return "unreachable", "standin"
    if facts.tokens is None and facts.delivered_at is None:
        return "unreachable", "never_asked"
    if facts.tokens == 0 or _newer(facts.no_token_at, facts.tokens_at, facts.delivered_at):
        return "unreachable", "no_phone"
    if _newer(facts.refused_at, facts.delivered_at):
        return "unreachable", "refused"
    if facts.delivered_at is None:
        return "unproven", "never_delivered"
    return "reachable", ""


def _newer(at: datetime | None, *others: datetime | None) -> bool:
    return at is not None and all(other is None or at > other for other in others)


@dataclass(slots=True)
class Supervisor:
    """Somebody who backs up an agent; times are those of pushes of its org, `entered_at` of this agent's rooms.

    `absent`: why routing tells them nothing now, if somebody asked (`alerts/present.py`).
    """

    user: User
    tier: int
    state: ReachState = "unreachable"
    reason: ReachReason = "never_asked"
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    refused_at: datetime | None = None
    entered_at: datetime | None = None
    absent: str = ""
    quiet_until: datetime | None = None

    @property
    def reachable(self) -> bool:
        return self.state == "reachable"


@dataclass
class AgentReach:
    """An agent with everybody who backs it up, tier 1 first; who of them is reached is asked often, and found once."""

    agent: Agent
    supervisors: list[Supervisor] = field(default_factory=list)

    @property
    def told(self) -> list[User]:
        return [one.user for one in self.supervisors]

    @property
    def present(self) -> list[Supervisor]:
        return [one for one in self.supervisors if not one.absent]

    @cached_property
    def reached(self) -> list[User]:
        return [one.user for one in self.present if one.reachable]

    @property
    def reachable(self) -> int:
        """How many can be reached."""
        return len(self.reached)

    @property
    def outcome(self) -> str:
        """As what it counts in the figure of coverage."""
        return "reachable" if self.reached else "unreachable"

    @cached_property
    def unproven(self) -> bool:
        """Nobody is proven to be reached, but somebody may be."""
        return not self.reachable and any(one.state == "unproven" for one in self.present)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many agents have a reachable supervisor, only unproven ones, or nobody."""

    covered: int = 0
    unproven: int = 0
    nobody: int = 0

    @property
    def total(self) -> int:
        return self.covered + self.unproven + self.nobody

    @property
    def missing(self) -> int:
        return self.unproven + self.nobody

    @classmethod
    def together(cls, parts: Iterable["Coverage"]) -> "Coverage":
        parts = list(parts)
        return cls(*(sum(getattr(one, name) for one in parts) for name in ("covered", "unproven", "nobody")))

    @property
    def percent(self) -> int | None:
        """Whole percent, rounded down so that 100 means all; None without an agent."""
        return 100 * self.covered // self.total if self.total else None


def coverage_of(found: Iterable[AgentReach]) -> Coverage:
    """Of those who are present."""
    counts = Counter(_best({one.state for one in agent.supervisors if not one.absent}) for agent in found)
    return _coverage(counts)


def _best(states: Collection[ReachState]) -> str:
    """What an agent counts as, whose people are in these states."""
    return next((one for one in ("reachable", "unproven") if one in states), "")


def _coverage(counts: Counter[str]) -> Coverage:
    return Coverage(counts["reachable"], counts["unproven"], counts[""])


def production_agents() -> QuerySet[Agent]:
    """The agents that reach is about, with their orgs."""
    return Agent.objects.filter(production=True).prefetch_related("org")  # few orgs, of many agents


def reach_of(agents: Iterable[Agent], *, rooms: bool = True) -> list[AgentReach]:
    """Everybody who backs up these agents, and whether they can be reached; in the order given.

    Any number costs five queries, four without `rooms`, which leaves `entered_at` out; run it inside a scope.
    A role backs up all agents of its org unless it lists some.
    """
    agents = list(agents)
    orgs = {agent.org_id for agent in agents}
    held = _held(orgs)
    people = Assignment.objects.filter(org__in=orgs).order_by().values("user")
    users = {user.pk: user for user in User.objects.filter(pk__in=people)}
    backing = _Backing(held)
    found = []
    for agent in agents:
        backs = backing.of(agent.pk, agent.org_id)
        found.append(AgentReach(agent, [Supervisor(users[one.user_id], *one[1:]) for one in backs]))
    if rooms:
        add_entered(found)
    return found


def add_entered(found: Collection[AgentReach]) -> None:
    """Fill in when each supervisor last entered a room of the agent, if that was among their newest. One query."""
    people = {user.pk for one in found for user in one.told}
    entered = _entered({one.agent.pk for one in found}, people)
    for one in found:
        for supervisor in one.supervisors:
            supervisor.entered_at = entered.get((one.agent.pk, supervisor.user.pk))


def coverage_now(agents: QuerySet[Agent]) -> dict[int, Coverage]:
    """What `coverage_of` says of these agents, by org: four queries."""
    listed = list(agents.order_by().values_list("pk", "org_id"))
    backing = _Backing(_held({org for _, org in listed}))
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for agent, org in listed:
        counts[org][_best({one.state for one in backing.of(agent, org)})] += 1
    return {org: _coverage(found) for org, found in counts.items()}


# --- who backs up what ------------------------------------------------------------------------------------------------

HELD = (
    "org_id", "role_id", "role__tier", "user_id", "user__is_active", "user__push_tokens", "user__push_tokens_at",
)  # fmt: skip


class _Held(NamedTuple):
    """An assignment, as far as reach is about it."""

    org_id: int
    role_id: int
    tier: int
    user_id: int
    active: bool
    tokens: int | None
    tokens_at: datetime | None


def _held(orgs: Collection[int]) -> list[_Held]:
    """The assignments of these orgs, tier 1 first, and by name. One query: no row becomes an object."""
    rows = Assignment.objects.filter(org__in=orgs).order_by("role__tier", "user__name", "user_id")
    return [_Held(*row) for row in rows.values_list(*HELD)]


class _Backs(NamedTuple):
    """Somebody who backs up an agent, as in `Supervisor`."""

    user_id: int
    tier: int
    state: ReachState
    reason: ReachReason
    delivered_at: datetime | None
    opened_at: datetime | None
    refused_at: datetime | None


class _Backing:
    """Who backs up the agents of some orgs, and whether they are reached. Two queries."""

    def __init__(self, held: list[_Held]) -> None:
        times = _newest_pushes({(one.org_id, one.user_id) for one in held})
        self._of_org: dict[int, list[tuple[int, _Backs]]] = defaultdict(list)  # (role, one who has it)
        for one in held:
            newest = times[one.org_id, one.user_id]
            facts = (*_judge(one, newest), newest.delivered, newest.opened, newest.refused)
            self._of_org[one.org_id].append((one.role_id, _Backs(one.user_id, one.tier, *facts)))
        self._only: dict[int, set[int]] = defaultdict(set)  # role -> the agents that it lists
        listed = SupervisorRole.agents.through.objects.filter(supervisorrole__in={one.role_id for one in held})
        for role, agent in listed.values_list("supervisorrole_id", "agent_id"):
            self._only[role].add(agent)
        self._of_all: dict[int, list[_Backs]] = {}  # of the orgs in which every role backs up all agents

    def of(self, agent: int, org: int) -> list[_Backs]:
        """Somebody with two roles stands once, at the lower tier."""
        if org in self._of_all:
            return self._of_all[org]
        people: dict[int, _Backs] = {}
        for role, one in self._of_org[org]:
            if role not in self._only or agent in self._only[role]:
                people.setdefault(one.user_id, one)
        found = list(people.values())
        if not any(role in self._only for role, _ in self._of_org[org]):
            self._of_all[org] = found
        return found


def _judge(held: _Held, times: "_Times") -> tuple[ReachState, ReachReason]:
    standin = settings.NOTIFICATION_SERVICE_IS_STANDIN
    facts = (held.active, held.tokens, held.tokens_at, times.delivered, times.refused, times.no_token, standin)
    return judge_reach(ReachFacts(*facts))


# --- what their pushes and rooms tell ---------------------------------------------------------------------------------

# Raw SQL knows no scope: the pairs come from a scoped query. Each of the five is one look at the end of an index.
NEWEST_PUSHES = """
SELECT org, person,
       (SELECT max(delivered_at) FROM alerts_push WHERE org_id = org AND supervisor_id = person),
       (SELECT max(opened_at) FROM alerts_push WHERE org_id = org AND supervisor_id = person),
       greatest((SELECT max(failed_at) FROM alerts_push WHERE org_id = org AND supervisor_id = person),
                (SELECT max(ended_at) FROM alerts_push WHERE org_id = org AND supervisor_id = person
                    AND state = 'dead' AND ended_reason = 'refused')),
       (SELECT max(sent_at) FROM alerts_push WHERE org_id = org AND supervisor_id = person AND push = 'no_token')
  FROM unnest(%s::bigint[], %s::bigint[]) AS pair (org, person)"""


class _Times(NamedTuple):
    """When a push of an org to a person last was delivered, opened, refused, or found no phone."""

    delivered: datetime | None = None
    opened: datetime | None = None
    refused: datetime | None = None
    no_token: datetime | None = None


def _newest_pushes(pairs: Collection[tuple[int, int]]) -> dict[tuple[int, int], _Times]:
    """(org, person) -> these times; all unknown while a stand-in answers for notification-service."""
    if settings.NOTIFICATION_SERVICE_IS_STANDIN or not pairs:
        return dict.fromkeys(pairs, _Times())
    orgs, people = zip(*pairs, strict=True)
    rows = fetch(NEWEST_PUSHES, [list(orgs), list(people)])
    return {(org, person): _Times(*times) for org, person, *times in rows}


# SELECT hides from the planner how few are wanted: it would read all that a person ever entered and sort that, where it
# takes them for no more than these.
ENTERED = """
SELECT alert.agent_id, person, max(entering.at)
  FROM unnest(%(people)s::bigint[]) AS person
 CROSS JOIN LATERAL (
       SELECT alert_id, at FROM alerts_transition
        WHERE actor_id = person AND change IN ('opened_room', 'intervened')
        ORDER BY at DESC LIMIT (SELECT %(lately)s::int)
       ) entering
  JOIN alerts_alert alert ON alert.id = entering.alert_id
 WHERE alert.agent_id = ANY (%(agents)s::bigint[])
 GROUP BY alert.agent_id, person"""


def _entered(agents: Collection[int], people: Collection[int]) -> dict[tuple[int, int], datetime]:
    """(agent, person) -> when they last entered a room of this agent, if that was among their newest rooms."""
    rows = fetch(ENTERED, {"people": list(people), "agents": list(agents), "lately": ENTERED_LATELY})
    return {(agent, person): at for agent, person, at in rows}


def by_org(found: Iterable[AgentReach]) -> dict[int, list[AgentReach]]:
    orgs: dict[int, list[AgentReach]] = defaultdict(list)
    for one in found:
        orgs[one.agent.org_id].append(one)
    return orgs
