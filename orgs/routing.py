"""Whom to tell about an agent's failure, and whom not, each with a reason: at any instant."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import Q

from orgs.duty.roster import QUIET, Roster, Shift, absence, is_quiet, quiet_ends
from orgs.models import Assignment, Membership, SupervisorRole, User

NO_TIER = 0  # of whom belongs to none: a fallback role, and
SPECIALISTS = NO_TIER  # a specialist who is told of a room because nobody of any tier acted


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to tell, and the tier of the role that makes them one.

    `absent`: why not to tell them now: away, off_duty, or quiet_hours, then with their end in `quiet_until`.
    """

    user_id: int
    sso_id: str
    name: str
    locale: str
    tier: int
    absent: str = ""
    quiet_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Who backs up an agent at an instant: `people` of all tiers, by tier and name, and those of fallback roles."""

    people: list[Recipient] = field(default_factory=list)
    fallback: list[Recipient] = field(default_factory=list)
    _quiet: bool = field(init=False, repr=False, compare=False)  # somebody has quiet hours
    _woken: "Standing | None" = field(init=False, default=None, repr=False, compare=False)  # None: nobody asked yet

    def __post_init__(self) -> None:
        object.__setattr__(self, "_quiet", any(one.absent == QUIET for one in self.everybody))

    @property
    def everybody(self) -> list[Recipient]:
        return [*self.people, *self.fallback]

    @classmethod
    def together(cls, several: Iterable["Standing"]) -> "Standing":
        """Of several agents: each person once."""
        several = list(several)
        return cls(together(one.people for one in several), together(one.fallback for one in several))

    def through_quiet(self) -> "Standing":
        """The same for what passes quiet hours."""
        if not self._quiet:
            return self
        woken = self._woken or Standing([_woken(one) for one in self.people], [_woken(one) for one in self.fallback])
        object.__setattr__(self, "_woken", woken)
        return woken


def _woken(one: Recipient) -> Recipient:
    return replace(one, absent="", quiet_until=None) if one.absent == QUIET else one


def standing_at(roster: Roster, agent: int, at: datetime) -> Standing:
    """Who backs up this agent now, and who of them is not told, with the reason. A person in several tiers counts in
    the lowest in which they are on duty, else in the lowest of theirs.
    """
    backing = [one for one in roster.backing(agent) if one.only is None or one.only.begin <= at < one.only.end]
    people = _recipients(roster, [one for one in backing if not one.fallback], at)
    fallback = _recipients(roster, [one for one in backing if one.fallback], at)
    return Standing(sorted(people, key=lambda one: one.tier), [replace(one, tier=NO_TIER) for one in fallback])


def absent_from_org(roster: Roster, user_id: int, at: datetime) -> str | None:
    """Why this person is on duty in no role of the org now; "" if they are in one, None if they have none."""
    return min((absence(roster, one, at) for one in roster.shifts if one.user_id == user_id), default=None)


def _recipients(roster: Roster, shifts: Sequence[Shift], at: datetime) -> list[Recipient]:
    found: dict[int, Recipient] = {}
    for one in shifts:
        known = found.get(one.user_id)
        if known is None or known.absent:
            why = absence(roster, one, at)
            if known is None or not why:
                found[one.user_id] = Recipient(one.user_id, one.sso_id, one.name, one.locale, one.tier, why)
    return [_in_peace(roster, one, at) for one in found.values()]


def _in_peace(roster: Roster, one: Recipient, at: datetime) -> Recipient:
    """Who is on duty may have quiet hours."""
    if one.absent or not is_quiet(roster, one.user_id, at):
        return one
    return replace(one, absent=QUIET, quiet_until=quiet_ends(roster, one.user_id, at))


def recipients(agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Recipient]]:
    """The people to tell first for each (org id, agent id): the lowest tier that has anybody, by name.

    An agent that maps to an empty list is unroutable.
    """
    return {key: lowest_tier(people) for key, people in backing_up(agents).items()}


def lowest_tier(people: Sequence[Recipient]) -> list[Recipient]:
    """Of these, lowest tier first, those of the first tier that has anybody."""
    return [one for one in people if one.tier == people[0].tier]


def together(found: Iterable[Sequence[Recipient]]) -> list[Recipient]:
    """Everybody of several such lists, each once, in the lowest tier of theirs in which they are present: by tier, then
    by name.
    """
    people: dict[int, Recipient] = {}
    for one in (one for some in found for one in some):
        before = people.get(one.user_id)
        better = before is None or (one.absent != "", one.tier) < (before.absent != "", before.tier)
        people[one.user_id] = one if better or before is None else before
    return sorted(people.values(), key=lambda one: (one.tier, one.name, one.user_id))


def backing_up(agents: Iterable[tuple[int, int]], *, fallback: bool = False) -> dict[tuple[int, int], list[Recipient]]:
    """Everybody of a tier who backs up each (org id, agent id), each in their lowest: by tier, then by name; on duty or
    not. With `fallback` those of fallback roles too.

    A role backs up all agents of its org unless it lists some. One query for all; run it inside a scope.
    """
    wanted = set(agents)
    rows = (
        Assignment.objects.filter(user__is_active=True, org_id__in={org for org, _ in wanted})
        .filter(role__fallback__in=[False, fallback])
        .filter(Q(role__agents__isnull=True) | Q(role__agents__in={agent for _, agent in wanted}))
        .order_by("role__tier", "user__name", "user_id")
        .values_list("org_id", "role__agents", "role__tier", "user_id", "user__sso_id", "user__name", "user__locale")
    )
    found: dict[tuple[int, int], dict[int, Recipient]] = defaultdict(dict)
    for org_id, only_agent, tier, user_id, sso_id, name, locale in rows:
        person = Recipient(user_id, sso_id, name, locale, tier)
        for key in wanted:
            if key[0] == org_id and only_agent in (None, key[1]):
                found[key].setdefault(user_id, person)
    return {key: list(found[key].values()) for key in wanted}


def tiers_of(agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
    """The tiers of the roles that back up each (org id, agent id), also of those with nobody; the first told first.

    Fallback roles belong to none.
    """
    wanted = set(agents)
    rows = (
        SupervisorRole.objects.filter(org_id__in={org for org, _ in wanted}, fallback=False)
        .filter(Q(agents__isnull=True) | Q(agents__in={agent for _, agent in wanted}))
        .values_list("org_id", "agents", "tier")
    )
    found: dict[tuple[int, int], set[int]] = defaultdict(set)
    for org_id, only_agent, tier in rows:
        for key in wanted:
            if key[0] == org_id and only_agent in (None, key[1]):
                found[key].add(tier)
    return {key: sorted(found[key]) for key in wanted}


def leads_of(org_id: int) -> list[Recipient]:
    """Whom to tell about an org as a whole: its active leads who have a role in it, by name. Run it inside a scope."""
    assigned = Assignment.objects.filter(org_id=org_id).values("user")
    led = Membership.objects.filter(org_id=org_id, role=Membership.Role.LEAD).values("user")
    rows = User.objects.filter(is_active=True, pk__in=assigned).filter(pk__in=led).order_by("name", "pk")
    return [Recipient(one.pk, one.sso_id, one.name, one.locale, 1) for one in rows]


def specialists() -> list[Recipient]:
    """Whom to tell about the service itself, such as a silent source: every active specialist, by name."""
    rows = User.objects.filter(is_active=True, is_specialist=True).order_by("name", "pk")
    return [Recipient(one.pk, one.sso_id, one.name, one.locale, 1) for one in rows]
