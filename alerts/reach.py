"""Whether a push can reach somebody: one answer for the page, the API and the count in the navigation.

Reachable is proven, not hoped for: a push of this org came to the person's phone, and nothing newer speaks against it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.conf import settings
from django.db.models import Max, Q, QuerySet

from alerts.models import Push, Transition
from orgs.models import Agent, Assignment, User

ReachState = Literal["reachable", "unproven", "unreachable"]
ReachReason = Literal["", "never_delivered", "never_asked", "no_phone", "refused", "inactive", "standin"]
Times = Mapping[str, Any]  # of the newest pushes to a person: delivered, opened, failed, refused, no_token
ENTERING = (Transition.Change.OPENED_ROOM, Transition.Change.INTERVENED)


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
    """Somebody who backs up an agent; times are those of pushes of its org, `entered_at` of this agent's rooms."""

    user: User
    tier: int
    state: ReachState = "unreachable"
    reason: ReachReason = "never_asked"
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    refused_at: datetime | None = None
    entered_at: datetime | None = None

    @property
    def reachable(self) -> bool:
        return self.state == "reachable"


@dataclass(slots=True)
class AgentReach:
    """An agent with everybody who backs it up, tier 1 first."""

    agent: Agent
    supervisors: list[Supervisor] = field(default_factory=list)

    @property
    def told(self) -> list[User]:
        return [one.user for one in self.supervisors]

    @property
    def reached(self) -> list[User]:
        return [one.user for one in self.supervisors if one.reachable]

    @property
    def reachable(self) -> int:
        """How many can be reached."""
        return len(self.reached)

    @property
    def outcome(self) -> str:
        """As what it counts in the figure of coverage."""
        return "reachable" if self.reached else "unreachable"

    @property
    def unproven(self) -> bool:
        """Nobody is proven to be reached, but somebody may be."""
        return not self.reachable and any(one.state == "unproven" for one in self.supervisors)


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

    @property
    def percent(self) -> int | None:
        """Whole percent, rounded down so that 100 means all; None without an agent."""
        return 100 * self.covered // self.total if self.total else None


def coverage_of(found: Iterable[AgentReach]) -> Coverage:
    agents = list(found)
    covered = sum(1 for one in agents if one.reachable)
    unproven = sum(1 for one in agents if one.unproven)
    return Coverage(covered, unproven, len(agents) - covered - unproven)


def production_agents() -> QuerySet[Agent]:
    """The agents that reach is about, with their orgs."""
    return Agent.objects.filter(production=True).select_related("org")


def reach_of(agents: Iterable[Agent], *, rooms: bool = True) -> list[AgentReach]:
    """Everybody who backs up these agents, and whether they can be reached; in the order given.

    Any number costs four queries, three without `rooms`, which leaves `entered_at` out; run it inside a scope.
    A role backs up all agents of its org unless it lists some.
    """
    agents = list(agents)
    rows = Assignment.objects.filter(org__in={agent.org_id for agent in agents}).select_related("user", "role")
    held = list(rows.prefetch_related("role__agents").order_by("role__tier", "user__name", "user_id"))
    users = {row.user_id for row in held}
    pushes, entered = _pushes(users), _entered(agents, users) if rooms else {}
    found = []
    for agent in agents:
        one = AgentReach(agent)
        for user, tier in _backing(agent, held):
            supervisor = _supervisor(user, tier, pushes.get((agent.org_id, user.pk), {}))
            supervisor.entered_at = entered.get((agent.pk, user.pk))
            one.supervisors.append(supervisor)
        found.append(one)
    return found


def _backing(agent: Agent, held: Sequence[Assignment]) -> list[tuple[User, int]]:
    """People and tiers; somebody with two roles stands once, at the lower tier."""
    people: dict[int, tuple[User, int]] = {}
    for row in held:
        only = row.role.agents.all()
        if row.org_id == agent.org_id and (not only or agent in only):
            people.setdefault(row.user_id, (row.user, row.role.tier))
    return list(people.values())


def _pushes(users: set[int]) -> dict[tuple[int, int], Times]:
    """(org, person) -> when a push was last delivered, opened, refused, or found no phone."""
    refused = Q(state=Push.State.DEAD, ended_reason="refused")
    rows = (
        Push.objects.filter(supervisor__in=users)
        .order_by()
        .values("org", "supervisor")
        .annotate(
            delivered=Max("delivered_at"),
            opened=Max("opened_at"),
            failed=Max("failed_at"),
            refused=Max("ended_at", filter=refused),
            no_token=Max("sent_at", filter=Q(push="no_token")),
        )
    )
    return {(row["org"], row["supervisor"]): row for row in rows}


def _entered(agents: Sequence[Agent], users: set[int]) -> dict[tuple[int, int], datetime]:
    """(agent, person) -> when they last entered a room of this agent."""
    rows = (
        Transition.objects.filter(change__in=ENTERING, actor__in=users, alert__agent__in=agents)
        .order_by()
        .values_list("alert__agent", "actor")
        .annotate(Max("at"))
    )
    return {(agent, user): at for agent, user, at in rows}


def _supervisor(user: User, tier: int, pushes: Times) -> Supervisor:
    standin = settings.NOTIFICATION_SERVICE_IS_STANDIN
    pushes = {} if standin else pushes
    delivered = pushes.get("delivered")
    refused = max((at for at in (pushes.get("failed"), pushes.get("refused")) if at), default=None)
    facts = ReachFacts(
        user.is_active, user.push_tokens, user.push_tokens_at, delivered, refused, pushes.get("no_token"), standin
    )
    state, reason = judge_reach(facts)
    return Supervisor(user, tier, state, reason, delivered, pushes.get("opened"), refused)


def by_org(found: Iterable[AgentReach]) -> dict[int, list[AgentReach]]:
    orgs: dict[int, list[AgentReach]] = defaultdict(list)
    for one in found:
        orgs[one.agent.org_id].append(one)
    return orgs
