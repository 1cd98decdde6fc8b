"""Whose people they are: whom an org may rename, and who must agree before they take a role in it."""

from collections.abc import Collection
from dataclasses import dataclass

from django_scopes import scopes_disabled

from orgs.history import tracked
from orgs.models import Assignment, Org, User


@dataclass(frozen=True, slots=True)
class Others:
    """sso_ids of people who are not this org's own. `named`: it cannot change their names; `waiting`: they take no
    role here before they or a specialist agree.
    """

    named: frozenset[str] = frozenset()
    waiting: frozenset[str] = frozenset()


def others_of(org: Org, sso_ids: Collection[str]) -> Others:
    """Who of these people is not the org's own, when the org itself sends a list. A person nobody knew is its own.

    So is a person who has a role here, or had one and has none elsewhere: a list that left them out by mistake must
    not silence the org until a specialist comes. Four queries.
    """
    people = User.objects.filter(sso_id__in=[sso_id for sso_id in sso_ids if "\0" not in sso_id])
    events = tracked()[Assignment]
    with scopes_disabled():
        held = set(Assignment.objects.filter(user__in=people).values_list("user", "org"))
        before = set(
            events.objects.filter(org=org, pending=False, user__in=people).values_list("user", flat=True)  # type: ignore[attr-defined]
        )
    elsewhere = {user for user, where in held if where != org.pk}
    known = list(people.values_list("pk", "sso_id", "is_specialist"))
    of_others = {pk for pk, _, is_specialist in known if is_specialist or pk in elsewhere}
    waiting = {pk for pk, _, _ in known if (pk, org.pk) not in held and (pk in of_others or pk not in before)}
    return Others(
        frozenset(sso_id for pk, sso_id, _ in known if pk in of_others | waiting),
        frozenset(sso_id for pk, sso_id, _ in known if pk in waiting),
    )


def confirm(user: User, org: Org) -> int:
    """The person takes the roles that the org named them for: they or a specialist agreed. Returns how many."""
    with scopes_disabled():  # the person sees nothing of the org yet
        return Assignment.every.filter(user=user, org=org, pending=True).update(pending=False)
