"""Whom to tell about an agent's failure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q

from orgs.models import Assignment, User


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person to tell, and the tier of the role that makes them one."""

    user_id: int
    sso_id: str
    name: str
    locale: str
    tier: int


def recipients(agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Recipient]]:
    """The people to tell for each (org id, agent id): the lowest tier that has anybody, by name.

    A role backs up all agents of its org unless it lists some. One query for all; run it inside a scope.
    An agent that maps to an empty list is unroutable.
    """
    wanted = set(agents)
    rows = (
        Assignment.objects.filter(user__is_active=True, org_id__in={org for org, _ in wanted})
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
    people = {key: list(found[key].values()) for key in wanted}  # the lowest tier first
    return {key: [one for one in all_tiers if one.tier == all_tiers[0].tier] for key, all_tiers in people.items()}


def specialists() -> list[Recipient]:
    """Whom to tell about the service itself, such as a silent source: every active specialist, by name."""
    rows = User.objects.filter(is_active=True, is_specialist=True).order_by("name", "pk")
    return [Recipient(one.pk, one.sso_id, one.name, one.locale, 1) for one in rows]
