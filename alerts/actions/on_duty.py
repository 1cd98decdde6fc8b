"""Who comes on duty is told of what is open and untaken, in one digest: of what was told, or passed, before they came.

A row keeps up to when it was looked at, so that a restart forgets nobody; looking twice tells nobody twice, for what
named an alert to a person since they came is left out.

Hours begin at an instant that can be reckoned. Who is called back early, or given a role, comes when somebody says so;
and what is snoozed, silenced or in somebody's hands is told to nobody who comes then, but may be open again later. Both
are looked for once a minute: who is on duty and was told nothing of it is told.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from alerts.actions.book import Book
from alerts.actions.digests import Joining
from alerts.actions.stored import stored
from alerts.actions.tiers import any_present, may_stand_in, standing_for, start_tier_clock
from alerts.decide import FLAPS_FROM, FLAPS_WITHIN, INFO
from alerts.faults import contained
from alerts.models import Alert
from orgs.duty.roster import Roster, Shift, duty_spans, told_spans
from orgs.duty.spans import INSTANT, DutySpan

LOOKS_BACK = timedelta(days=7)
MARKS_EVERY = timedelta(minutes=1)  # else each sweep would write a row
COMMITTED_BY = timedelta(minutes=2)  # after its time what changed is seen by everybody


@dataclass(frozen=True, slots=True)
class Arrival:
    """A shift that is on duty now. Since when its person is told of what passes quiet hours, and since when of all
    else (None: not now); not before the last sweep.
    """

    shift: Shift
    on_duty: datetime
    told: datetime | None


def sweep_on_duty(now: datetime) -> int:
    """Let what waits join the digests of whoever came on duty since the last sweep; how many alerts are told anew.

    The lock is the mark's row; a sweep that finds it locked leaves it to the other.
    """
    with contained("on_duty_not_told"), stored().atomic():
        seen = stored().duty_seen(now)
        if seen is None:
            return 0
        since = max(min(seen, now), now - LOOKS_BACK)
        orgs = stored().duty_orgs(since)
        told, complete = _tell(orgs, since, now) if orgs else (0, True)
        if complete and (told or now - since > MARKS_EVERY):
            told += _tell_untold(since, now)
            stored().see_duty(now)
        return told
    return 0


def _tell(orgs: set[int], since: datetime, now: datetime) -> tuple[int, bool]:
    """How many alerts are told anew, and whether all were looked at."""
    book = Book(now)
    waited, complete = _tell_waiting(book, stored().open_alerts(orgs, now, waiting=True))
    joining = _join_told(book, orgs, since, now)
    _join(book, joining)
    return waited + len({one.alert_id for one in joining}), complete


def _join(book: Book, joining: list[Joining]) -> None:
    book.tell()
    book.outbox.joining += joining
    book.close()


def _tell_untold(since: datetime, now: datetime) -> int:
    """Who came since otherwise than by the hour, or while it was put aside: how many alerts are told anew."""
    orgs, again = stored().open_anew(since - COMMITTED_BY, now)
    if not (orgs or again):
        return 0
    book = Book(now)
    waited, _ = _tell_waiting(book, stored().open_alerts(orgs, now, waiting=None) if orgs else [])
    rosters = book.known.rosters(orgs | set(again.values()), now)
    alerts = stored().open_alerts(orgs, now, waiting=False) if orgs else []
    elsewhere = [pk for pk, org in again.items() if org not in orgs]
    alerts += stored().open_alerts(rosters, now, waiting=False, only=elsewhere) if elsewhere else []
    present = {org: _present(roster, now - LOOKS_BACK, now) for org, roster in rosters.items()}
    _join(book, joining := _joining(book, alerts, present))
    return waited + len({one.alert_id for one in joining})


def _tell_waiting(book: Book, waiting: Iterable[Alert]) -> tuple[int, bool]:
    """Of these nobody could be told: their telling goes on where somebody can be now. What repeats starts anew."""
    found = [alert for alert in waiting if _somebody_came(alert, book)]
    rooms = {alert.room_id for alert in found if alert.room_id}
    book.lock_rooms(rooms, skip_locked=True)
    alerts = [alert for alert in book.alerts.values() if _waits(alert)]
    complete = len(book.rooms) == len(rooms)
    alerts += [book.lock_alert(alert.pk) for alert in found if not alert.room_id]
    book.outages.load({(alert.org_id, alert.agent_id or 0) for alert in alerts})
    told = [alert for alert in alerts if _waits(alert) and not (alert.room and alert.room.recovered)]
    for alert in told:
        alert.duty_waits, alert.hours_until = False, None
        alert.ladder_from = alert.revived_at = book.now
        alert.repeats_done = 0
        start_tier_clock(alert, book.now, book.known)
        book.record(alert, "released_hold", "on_duty", digest=True)
    return len(told), complete


def _waits(alert: Alert) -> bool:
    """Whether nobody could be told of it yet, for nobody was on duty, or there was nobody at all."""
    return alert.state == Alert.State.OPEN and (alert.duty_waits or (alert.tier, alert.tier_from) == (0, None))


def _somebody_came(alert: Alert, book: Book) -> bool:
    standing = standing_for(alert, alert.severity, book.now, book.known, book.outages.agent_keys(alert))
    if alert.severity == INFO:
        return any_present(one for one in standing.people if one.tier == standing.people[0].tier)
    return any_present(standing.people) or may_stand_in(standing)


def _join_told(book: Book, orgs: set[int], since: datetime, now: datetime) -> list[Joining]:
    """What was told or passed, for whom that tier's duty began since, and nothing has named it to since they came."""
    rosters = book.known.rosters(orgs, now)
    present = {org: _present(roster, since, now) for org, roster in rosters.items() if not roster.is_plain}
    coming = {org for org, some in present.items() if any((one.told or one.on_duty) > since for one in some)}
    alerts = stored().open_alerts(coming, now, waiting=False) if coming else []
    return _joining(book, alerts, present, since)


def _joining(
    book: Book, alerts: Iterable[Alert], present: Mapping[int, Sequence[Arrival]], since: datetime | None = None
) -> list[Joining]:
    """Of these, what nothing has named to those who are present (by org pk) since they came, or since it began.

    With `since` only to those who came after that.
    """
    alerts = [alert for alert in alerts if not (alert.room and alert.room.recovered)]
    policies = book.known.policies({(alert.org_id, alert.agent_id or 0) for alert in alerts})
    found: dict[tuple[UUID, int], tuple[datetime, Joining]] = {}
    for alert in alerts:
        passes = alert.severity in policies[alert.org_id, alert.agent_id or 0].quiet_hours_pass
        agents = {agent for _, agent in book.outages.agent_keys(alert)}
        for user, (came, tier) in _came(alert, agents, present[alert.org_id], passes).items():
            if since is None or came > since:
                about = Joining((alert.org_id, user), tier, alert.pk, alert.severity, "on_duty", "on_duty")
                found[alert.pk, user] = max(came, _began_to_be_told(alert)), about
    named = defaultdict(list)
    if found:
        for alert_id, user, at in stored().named_to({one for one, _ in found}, {one for _, one in found}):
            named[alert_id, user].append(at)
    return [one for key, (came, one) in found.items() if not any(at >= came for at in named[key])]


def _began_to_be_told(alert: Alert) -> datetime:
    """People were told of this episode at its begin, or of what is flapping within the hour before."""
    told_since = alert.last_told_at is not None and alert.last_told_at >= alert.opened_at
    return alert.opened_at if told_since or len(alert.episodes_at) < FLAPS_FROM else alert.opened_at - FLAPS_WITHIN


def _present(roster: Roster, since: datetime, now: datetime) -> list[Arrival]:
    """The shifts of tiers that are on duty now, and since when."""
    found = []
    for shift in roster.shifts:
        on_duty = None if shift.fallback else _began(duty_spans(roster, shift, since, now + INSTANT), now)
        if on_duty is not None:
            found.append(Arrival(shift, on_duty, _began(told_spans(roster, shift, since, now + INSTANT), now)))
    return found


def _began(spans: Sequence[DutySpan], now: datetime) -> datetime | None:
    return spans[-1].begin if spans and spans[-1].end > now else None


def _came(
    alert: Alert, agents: Collection[int], present: Iterable[Arrival], passes: bool
) -> dict[int, tuple[datetime, int]]:
    """Since when each person on duty is told of this alert, in the tiers told or passed; and their lowest tier.

    `agents`: pks, 0 for none; whoever backs up any of them is told.
    """
    found: dict[int, tuple[datetime, int]] = {}
    for one in present:
        since = one.on_duty if passes else one.told
        if since is not None and one.shift.tier <= alert.tier and any(map(one.shift.backs_up, agents)):
            before = found.get(one.shift.user_id, (since, one.shift.tier))
            found[one.shift.user_id] = min(since, before[0]), min(one.shift.tier, before[1])
    return found
