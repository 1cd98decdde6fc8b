"""Silences: made, ended and swept. What begins or ends is due in its row, and then the alerts that it meets are judged.

The decision reads the times of a silence, not what the sweep has made of it: a silence that begins holds at once, and
one that ends holds nothing more. The sweep marks what was open before, and lets go of what was held.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from alerts.actions.book import Book
from alerts.actions.people import ActInvalid
from alerts.actions.stored import stored
from alerts.delivery.silenced import is_silenced
from alerts.faults import contained
from alerts.masking import mask_cut
from alerts.models import Alert, Room, Silence, SilencedAlert
from alerts.silencing import FURTHEST, LONGEST, channel_name, overlaps_itself, window_at, windows
from orgs import clock
from orgs.auth import leads, visible_orgs
from orgs.identifiers import spelled
from orgs.models import Agent, Org, Source, User
from orgs.signals import ROOM_SIGNALS
from orgs.signals.agent_outage import AGENT_OUTAGE
from orgs.texts import TEXT_LENGTH

SILENCEABLE = (*ROOM_SIGNALS, AGENT_OUTAGE.name)
IDLE_AT_MOST = int(LONGEST.total_seconds() // 60)  # minutes
BEGAN_WITHIN = timedelta(minutes=5)  # a begin so long ago is now: the clocks of two machines differ
SUPERVISORS_AT_MOST = timedelta(hours=2, minutes=1)
STANDING_AT_MOST = 200  # of an org: each event is compared with all of them
UNDO_END_WITHIN = timedelta(minutes=10)
LOOKS_AGAIN = timedelta(seconds=10)  # whoever decided before it began or ended has committed by then
AT_ONCE = 100  # rooms of one transaction


@dataclass(frozen=True, slots=True)
class AskedSilence:
    """A silence as somebody asks for it. Empty: not named; `starts_at` None: now. Times are aware."""

    org: Org
    ends_at: datetime
    starts_at: datetime | None = None
    agent_name: str = ""
    signal: str = ""
    room_id: str = ""
    channel: str = ""
    whole_org: bool = False
    recurrence: str = ""
    until: datetime | None = None
    until_idle_minutes: int | None = None
    note: str = ""


class TooManySilences(Exception):
    """The org has as many as it may have at a time."""


def make_silence(asked: AskedSilence, by: User | None, source: Source | None = None) -> Silence:
    """It holds from its begin on. Raises ActInvalid, whose field is the API's; TooManySilences.

    `by` None: the key of `source` asked, and named nobody.
    """
    now = clock.now()
    silence = checked_silence(asked, now)
    silence.created_at, silence.created_by, silence.made_by, silence.due_at = now, by, source, silence.starts_at
    with transaction.atomic():
        list(Org.objects.select_for_update(no_key=True, of=("self",)).filter(pk=asked.org.pk))
        if Silence.objects.filter(org=asked.org, ended_at=None).count() >= STANDING_AT_MOST:
            raise TooManySilences
        _turn(silence, now)
        silence.save(force_insert=True)
    _settle(silence, now, at_most=AT_ONCE)
    return silence


def end_silence(silence_id: UUID, by: User | None) -> Silence:
    """It holds nothing more, now and for good; what it held and still waits is told. Again changes nothing.

    Raises Silence.DoesNotExist outside the scope.
    """
    now = clock.now()
    with transaction.atomic():
        silence = _locked_silence(silence_id)
        _turn(silence, now)
        if silence.ended_at is None:
            silence.ended_at, silence.ended_how, silence.ended_by = now, Silence.Ended.PERSON, by
            _turn(silence, now)
        silence.save()
    _settle(silence, now, at_most=AT_ONCE)
    return silence


def restore_silence(silence_id: UUID, by: User) -> Silence:
    """Undo of `end_silence` by the same person within 10 min. Raises ActInvalid, Silence.DoesNotExist."""
    now = clock.now()
    with transaction.atomic():
        silence = _locked_silence(silence_id)
        if not may_restore_silence(silence, by, now):
            raise ActInvalid("silence", _("This can no longer be undone."))
        silence.ended_at, silence.ended_how, silence.ended_by = None, "", None
        _turn(silence, now)
        silence.save()
    _settle(silence, now, at_most=AT_ONCE)
    return silence


def may_silence(user: User, asked: AskedSilence, now: datetime) -> bool:
    """Leads of the org and specialists anything; who just sees it one room, from now on, for up to two hours."""
    if asked.org.pk in leads(user):
        return True
    others = any((asked.agent_name, asked.signal, asked.channel, asked.whole_org, asked.recurrence))
    begins = asked.starts_at is None or asked.starts_at <= now
    brief = begins and asked.ends_at <= now + SUPERVISORS_AT_MOST
    return asked.org.pk in visible_orgs(user) and bool(asked.room_id) and brief and not others


def may_end_silence(user: User, silence: Silence) -> bool:
    """Whoever made it, leads of its org, and specialists."""
    return silence.created_by_id == user.pk or silence.org_id in leads(user)


def may_restore_silence(silence: Silence, user: User, now: datetime) -> bool:
    """Whether this person ended it within the last 10 min, so that they may take that back."""
    recent = silence.ended_at is not None and now - silence.ended_at <= UNDO_END_WITHIN
    return recent and silence.ended_how == Silence.Ended.PERSON and silence.ended_by_id == user.pk


def open_matches(asked: AskedSilence, now: datetime) -> int:
    """How many alerts are open now that it would cover. Raises ActInvalid: an agent, signal or room that is none."""
    hour = replace(asked, starts_at=None, ends_at=now + timedelta(hours=1), recurrence="", until=None)
    facts = checked_silence(hour, now).facts
    scopes = Q(scope=Alert.Scope.ROOM) | Q(covers_from__isnull=False)
    rows = Alert.objects.filter(scopes, org=asked.org, state=Alert.State.OPEN).select_related("room")
    return sum(is_silenced(alert, [facts], now) for alert in rows)


def _locked_silence(pk: UUID) -> Silence:
    return Silence.objects.select_for_update(of=("self",)).select_related("org").get(pk=pk)


# --- what is asked ---------------------------------------------------------------------------------------------------


def checked_silence(asked: AskedSilence, now: datetime) -> Silence:
    """The silence that is asked for, not saved. Raises ActInvalid: `field` is the one of the API."""
    starts_at = _begin(asked, now)
    _check_end(asked, starts_at, now)
    _check_recurrence(asked, starts_at, now)
    if asked.until_idle_minutes is not None and not 1 <= asked.until_idle_minutes <= IDLE_AT_MOST:
        message = _("Choose a whole number of minutes from 1 to {most}.").format(most=IDLE_AT_MOST)
        raise ActInvalid("until_idle_minutes", message)
    return Silence(
        org=asked.org,
        agent=_agent(asked),
        signal=_signal(asked.signal),
        room_id=_room_id(asked),
        channel=channel_name(asked.channel),
        whole_org=_whole_org(asked),
        starts_at=starts_at,
        ends_at=asked.ends_at,
        recurrence=asked.recurrence,
        until=asked.until,
        until_idle_minutes=asked.until_idle_minutes,
        note=mask_cut(asked.note.strip(), TEXT_LENGTH),
    )


def _whole_org(asked: AskedSilence) -> bool:
    named = any((asked.agent_name, asked.signal, asked.room_id, asked.channel.strip()))
    if asked.whole_org and named:
        raise ActInvalid("whole_org", _("The whole org, or an agent, signal, room or channel: not both."))
    if not asked.whole_org and not named:
        raise ActInvalid("whole_org", _("Name an agent, a signal, a room or a channel, or the whole org."))
    return asked.whole_org


def _begin(asked: AskedSilence, now: datetime) -> datetime:
    starts_at = asked.starts_at or now
    if starts_at < now - BEGAN_WITHIN:
        raise ActInvalid("starts_at", _("The begin lies in the past."))
    if starts_at > now + FURTHEST:
        raise ActInvalid("starts_at", _("The begin is more than a year ahead."))
    return starts_at


def _check_end(asked: AskedSilence, starts_at: datetime, now: datetime) -> None:
    if asked.ends_at <= now:
        raise ActInvalid("ends_at", _("The end lies in the past."))
    if asked.ends_at <= starts_at:
        raise ActInvalid("ends_at", _("The end is not after the begin."))
    if asked.ends_at > starts_at + LONGEST:
        raise ActInvalid("ends_at", _("A silence lasts at most 31 days."))


def _check_recurrence(asked: AskedSilence, starts_at: datetime, now: datetime) -> None:
    if not asked.recurrence:
        if asked.until is not None:
            raise ActInvalid("until", _("Only a silence that recurs has a last day."))
        return
    if asked.recurrence not in Silence.Recurrence.values:
        raise ActInvalid("recurrence", _("Choose daily or weekly."))
    if asked.until is None:
        raise ActInvalid("until", _("Say until when it recurs."))
    if asked.until < asked.ends_at:
        raise ActInvalid("until", _("It recurs until a time after its first end."))
    if asked.until > now + FURTHEST:
        raise ActInvalid("until", _("It recurs for at most a year."))
    if overlaps_itself(starts_at, asked.ends_at, asked.recurrence, asked.org.zone):
        raise ActInvalid("ends_at", _("It must end before it begins the next time."))


def _agent(asked: AskedSilence) -> Agent | None:
    if not asked.agent_name:
        return None
    found = Agent.objects.filter(org=asked.org, name=asked.agent_name).first()
    if found is None:
        raise ActInvalid("agent_name", _("This org has no agent of this name."))
    return found


def _signal(name: str) -> str:
    if name and name not in SILENCEABLE:
        raise ActInvalid("signal", _("Choose a signal of rooms, or the outage of an agent."))
    return name


def _room_id(asked: AskedSilence) -> str:
    room_id = spelled(asked.room_id)
    if room_id and not Room.objects.filter(org=asked.org, room_id=room_id).exists():
        raise ActInvalid("room_id", _("This org has no room of this id."))
    return room_id


# --- what time does --------------------------------------------------------------------------------------------------


def sweep_silences(now: datetime, held: datetime | None) -> int:
    """Begin, end and judge what is due; how many silences. One that fails holds up no other.

    `held`: what fell due from then on waits: a human may have had the room before it ended.
    """
    done = 0
    for pk in stored().silences_due(now, held):
        with contained("silence_failed", silence=str(pk)), transaction.atomic():
            rows = Silence.objects.select_for_update(of=("self",), skip_locked=True).select_related("org")
            silence = rows.filter(pk=pk, due_at__lte=now).first()
            if silence is not None:
                _turn(silence, now)
                silence.save()
                done += 1
    for silence in stored().silences_unsettled():
        with contained("silence_not_settled", silence=str(silence.pk)):
            _settle(silence, now)
    return done


def _turn(silence: Silence, now: datetime) -> None:
    """Let it begin, end or be idle, as it is at `now`, and say when it is due again. The caller saves it."""
    window = None if silence.ended_at else window_at(silence.facts, now)
    idle_at = _idle_at(silence, window.starts) if window else None
    is_idle = idle_at is not None and idle_at <= now
    if window and is_idle:
        silence.closed_at, window, idle_at = window.starts, None, None
    coming = None if silence.ended_at else next(windows(silence.facts, now), None)
    if coming is None and silence.ended_at is None:
        silence.ended_at = now if is_idle or silence.recurrence else silence.ends_at
        silence.ended_how = Silence.Ended.IDLE if is_idle else Silence.Ended.EXPIRED
    begun_at = window.starts if window else None
    if begun_at != silence.begun_at:
        silence.begun_at, silence.turned_at, silence.unsettled = begun_at, now, True
    elif silence.turned_at is not None and silence.turned_at + LOOKS_AGAIN <= now:
        silence.turned_at, silence.unsettled = None, True
    turns = [window.ends if window else coming.starts if coming else None, idle_at]
    turns.append(silence.turned_at and silence.turned_at + LOOKS_AGAIN)
    silence.due_at = min(filter(None, turns), default=None)


def _idle_at(silence: Silence, since: datetime) -> datetime | None:
    """When it ends if nothing more matches; None: it does not end so."""
    if silence.until_idle_minutes is None:
        return None
    last = SilencedAlert.objects.filter(silence=silence).aggregate(last=Max("last_at"))["last"]
    return max(since, last or since) + timedelta(minutes=silence.until_idle_minutes)


def _settle(silence: Silence, now: datetime, at_most: int | None = None) -> None:
    """Judge the alerts that it holds, and where it lasts those that it may; rooms that others work on wait."""
    if not silence.unsettled:
        return
    found = list(_to_judge(silence, lasts=silence.begun_at is not None))
    rooms = sorted({room for _, room in found if room is not None})
    left = len(rooms)
    for start in range(0, min(left, at_most or left), AT_ONCE):
        with transaction.atomic():
            book = Book(now)
            book.lock_rooms(rooms[start : start + AT_ONCE], skip_locked=True)
            for alert in list(book.alerts.values()):
                book.silenced.judge(alert)
            book.close()
            left -= len(book.rooms)
    for pk in [alert for alert, room in found if room is None]:
        with transaction.atomic():
            book = Book(now)
            book.silenced.judge(book.lock_alert(pk))
            book.close()
    if not left:
        seen = {"begun_at": silence.begun_at, "ended_at": silence.ended_at, "turned_at": silence.turned_at}
        Silence.objects.filter(pk=silence.pk, **seen).update(unsettled=False)


def _to_judge(silence: Silence, *, lasts: bool) -> list[tuple[UUID, int | None]]:
    """(alert, room pk) of what it marks, and, if it `lasts`, of what is open and may be its."""
    marked: list[tuple[UUID, int | None]] = list(Alert.objects.filter(silence=silence).values_list("pk", "room_id"))
    if not lasts:
        return marked
    scopes = Q(scope=Alert.Scope.ROOM) | Q(covers_from__isnull=False)
    rows = Alert.objects.filter(scopes, org=silence.org_id, state=Alert.State.OPEN, silenced_until=None)
    if silence.agent_id is not None:
        rows = rows.filter(agent=silence.agent_id)
    if silence.room_id:
        rows = rows.filter(room__room_id=silence.room_id)
    if silence.channel:
        rows = rows.filter(room__isnull=False)
    fitting = rows.values_list("pk", "room_id", "room__channel")
    return marked + [
        (pk, room) for pk, room, channel in fitting if not silence.channel or channel_name(channel) == silence.channel
    ]
