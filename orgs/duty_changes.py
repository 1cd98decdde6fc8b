"""What people say beside the hours of assignments: quiet hours, the org's calendar, temporary schedules, hand-overs.

Values are checked by whoever took them in; each change is one transaction, and the history keeps it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from orgs.history import tracked
from orgs.models import (
    Assignment,
    BusinessHours,
    DutyReminder,
    Handover,
    Holiday,
    Org,
    QuietHours,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
    User,
)

TEMPORARY = (TemporarySchedule, TemporaryDuty)
HANDOVER_MINUTES = (30, 60)


def quiet_hours_of(org: Org, user: User) -> list[dict[str, Any]]:
    """As they are stored; none: never quiet."""
    found = QuietHours.objects.filter(org=org, user=user).first()
    return found.hours if found else []


def set_quiet_hours(org: Org, user: User, hours: list[dict[str, Any]]) -> None:
    QuietHours.objects.update_or_create(org=org, user=user, defaults={"hours": hours})


def wants_duty_pushes(org: Org, user: User) -> bool:
    """Whether the person asked to be pushed about their duty in this org."""
    return DutyReminder.objects.filter(org=org, user=user).exists()


def set_duty_pushes(org: Org, user: User, on: bool, now: datetime) -> None:
    """Asking again changes nothing; without it what waits to be sent is cancelled when its turn comes."""
    if on:
        DutyReminder.objects.get_or_create(org=org, user=user, defaults={"asked_at": now, "due_at": now})
    else:
        DutyReminder.objects.filter(org=org, user=user).delete()


def changed_own_duty(org: int, user: int, since: datetime) -> bool:
    """Whether this person (pk) alone changed since then what their duty in the org (pk) hangs on: the histories say who
    it was, whichever way it was done.
    """
    tables = tracked()
    of_org = [tables[Org]._base_manager.filter(pgh_obj=org)]
    of_org += [tables[one]._base_manager.filter(org=org) for one in (SupervisorRole, Holiday, *TEMPORARY)]
    theirs = [tables[one]._base_manager.filter(org=org, user=user) for one in (Assignment, Handover)]
    authors = [
        events.filter(pgh_created_at__gt=since).order_by().values_list("pgh_context__metadata__user")
        for events in (*of_org, *theirs)
    ]
    return set(authors[0].union(*authors[1:])) == {(user,)}


def business_hours_of(org: Org) -> list[dict[str, Any]]:
    """As they are stored; none: nobody said."""
    found = BusinessHours.objects.filter(org=org).first()
    return found.hours if found else []


def set_business_hours(org: Org, hours: list[dict[str, Any]]) -> None:
    BusinessHours.objects.update_or_create(org=org, defaults={"hours": hours})


def set_holidays(org: Org, days: Mapping[date, str]) -> None:
    """The holidays of the org are these days and no others. The lock is the org's row."""
    with transaction.atomic():
        Org.objects.select_for_update().get(pk=org.pk)
        known = {one.date: one for one in Holiday.objects.filter(org=org)}
        Holiday.objects.filter(pk__in=[one.pk for day, one in known.items() if day not in days]).delete()
        for day, name in days.items():
            if day not in known:
                Holiday.objects.create(org=org, date=day, name=name)
            elif known[day].name != name:
                Holiday.objects.filter(pk=known[day].pk).update(name=name)


@dataclass(frozen=True, slots=True)
class StandIn:
    """Somebody who has a role while a temporary schedule lasts; no hours: always."""

    role: SupervisorRole
    user: User
    duty: Sequence[Mapping[str, Any]] = ()


def add_schedule(org: Org, begin: datetime, end: datetime, stand_ins: Iterable[StandIn]) -> TemporarySchedule:
    """From `begin` to `end` each role that is named is staffed by these people alone."""
    with transaction.atomic():
        made = TemporarySchedule.objects.create(org=org, starts_at=begin, ends_at=end)
        for one in stand_ins:
            TemporaryDuty.objects.create(org=org, schedule=made, role=one.role, user=one.user, duty=list(one.duty))
    return made


def hand_over(org: Org, user: User, minutes: int, now: datetime) -> Handover:
    """The person is told of nothing for so long; one that lasts already is made longer, never shorter."""
    ends = now + timedelta(minutes=minutes)
    with transaction.atomic():
        User.objects.select_for_update(of=("self",)).get(pk=user.pk)  # two clicks are one hand-over
        lasting = Handover.objects.filter(org=org, user=user, ends_at__gt=now).order_by("-ends_at").first()
        if lasting is None:
            return Handover.objects.create(org=org, user=user, starts_at=now, ends_at=ends)
        if lasting.ends_at < ends:
            lasting.ends_at = ends
            lasting.save(update_fields=["ends_at"])
        return lasting


def end_handover(org: Org, user: User, now: datetime) -> bool:
    """The person is told again from now on; whether they were not."""
    rows = Handover.objects.filter(org=org, user=user, starts_at__lt=now, ends_at__gt=now)
    return rows.update(ends_at=now) > 0
