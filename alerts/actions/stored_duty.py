"""What is asked about who is on duty, and what they are yet to be told: a part of the one seam."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from alerts.actions.statements import CHANGED_DUTY, OPEN_ANEW, WITH_DUTY
from alerts.models import Alert, DigestAlert, Push, put_aside, under_outage
from alerts.tables import fetch
from orgs.models import DutyMark

NOT_THERE = ("removed", "away", "off_duty", "quiet_hours")  # why a push reached nobody: its reader was not there


class StoredDuty:
    """The part of `alerts.actions.stored.Stored` that is about duty."""

    def duty_seen(self, now: datetime) -> datetime | None:
        """Up to when it was looked at who came on duty, for this transaction alone; None: never, or others do now."""
        mark = DutyMark.objects.select_for_update(skip_locked=True).first()
        if mark is None:
            DutyMark.objects.bulk_create([DutyMark(swept_to=now)], ignore_conflicts=True)
        return None if mark is None else mark.swept_to

    def see_duty(self, now: datetime) -> None:
        """It was looked at up to now."""
        DutyMark.objects.update(swept_to=now)

    def duty_orgs(self, since: datetime) -> set[int]:
        """Orgs in which time changes who is on duty, and those in which somebody is waited for."""
        return {org for (org,) in fetch(WITH_DUTY, [since, since, since])}

    def open_anew(self, since: datetime, now: datetime) -> tuple[set[int], dict[UUID, int]]:
        """Orgs in which it changed since then who backs up whom, or when; and what people were told of that is open
        again since: nobody has it any more, or what put it aside is over. By alert its org (pk).
        """
        orgs = {org for (org,) in fetch(CHANGED_DUTY, {"since": since})}
        return orgs, dict(fetch(OPEN_ANEW, {"since": since, "now": now}))

    def open_alerts(
        self, orgs: Iterable[int], now: datetime, *, waiting: bool | None, only: Collection[UUID] | None = None
    ) -> list[Alert]:
        """What nobody has and nothing holds, of which people were told; or those `waiting` until anybody can be; or
        (None) those of which nobody could be, for there was nobody.
        """
        of_rooms = Q(agent__isnull=False) | Q(room__isnull=False) | Q(covers_from__isnull=False)
        found = Alert.objects.filter(of_rooms, org__in=list(orgs), state=Alert.State.OPEN).exclude(put_aside(now))
        found = found.exclude(held_until__gt=now).exclude(under_outage())
        if waiting:
            return list(found.filter(duty_waits=True).exclude(hours_until__lte=now))  # its timer tells of that
        if waiting is None:
            return list(found.filter(duty_waits=False, tier=0, tier_from=None, last_told_at=None))
        found = found if only is None else found.filter(pk__in=only)
        return list(found.filter(duty_waits=False, tier__gt=0).select_related("room"))

    def named_to(self, alerts: Collection[UUID], people: Collection[int]) -> Iterable[tuple[UUID, int, datetime]]:
        """When each of these alerts was planned for each of these people who were there, alone or in a digest that did
        not go without it.
        """
        alone = Push.objects.filter(alert__in=alerts, supervisor__in=people).exclude(ended_reason__in=NOT_THERE)
        yield from alone.values_list("alert_id", "supervisor_id", "planned_at")
        named = DigestAlert.objects.filter(alert__in=alerts, push__supervisor__in=people).exclude(named=False)
        named = named.exclude(push__ended_reason="no_longer_needed")
        yield from named.values_list("alert_id", "push__supervisor_id", "push__planned_at")
