"""What time alone does to alerts. Every timer is a due time in its row: Redis down stops no clock."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from alerts.actions.activity import end
from alerts.actions.book import Book
from alerts.actions.on_duty import sweep_on_duty
from alerts.actions.outage_acts import release_room
from alerts.actions.outages import is_under
from alerts.actions.recovery import EXPIRED_WITHIN, digest_expired
from alerts.actions.reply_window import note_window_over, tell_window_closing
from alerts.actions.silences import sweep_silences
from alerts.actions.stalls import sweep_stalls
from alerts.actions.stored import stored
from alerts.actions.tiers import any_present, standing_for, start_tier_clock, tiers_together
from alerts.blind import GRACE, Downtimes
from alerts.decide import CRITICAL, INFO, RoomFacts
from alerts.due import Timer, due_now, next_timer, repeats_passed
from alerts.faults import PASSING, contained, report
from alerts.models import Alert, Room
from alerts.policy import PolicyFacts

ON_TIME = timedelta(seconds=60)  # a timer that runs later decides as of now
DOWN_LOOKS_BACK = timedelta(days=7)  # for downtimes in which what is due now fell due
LOOK_AGAIN = timedelta(minutes=2)  # whether a source that is silent still is
UNKNOWN_WHILE_SILENT: tuple[Timer, ...] = ("quiet", "abandoned")
DIED_WITHIN = timedelta(minutes=2)  # sweeps come every few seconds
TELLING = ("repeat", "escalate", "quiet_ended")  # timers that do nothing but tell people
HELD_AT_LEAST = timedelta(seconds=10)  # of a room whose outage is about to end
NEVER = datetime.max.replace(tzinfo=UTC)
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 15, 60))  # of an alert whose timers fail, in a row


def sweep_timers(limit: int = 200) -> int:
    """Work the alerts whose time has come, oldest first; returns how many. Rooms locked by others wait their turn.

    What fell due while we were down waits until others could tell what happened. All together; if that fails each
    alone, so that a broken alert holds up nobody. Raises what PASSING names.
    """
    stored().notice_down()
    now = stored().now()
    downs = stored().downtimes(now - DOWN_LOOKS_BACK)
    held = downs.holds_from(now)
    if not stored().anything_due(now, now - DIED_WITHIN, now - EXPIRED_WITHIN):
        return sweep_on_duty(now) if held is None else 0
    done, rooms = sweep_silences(now, held), stored().due_rooms(now, limit, held)
    done += sweep_outages(now, held) + _sweep_rooms(rooms, now, downs) + sweep_stalls(now, held, downs, limit)
    done += pass_unreached(now) + sweep_on_duty(now) if held is None else 0
    return done + digest_expired(now)


def _sweep_rooms(rooms: Sequence[int], now: datetime, downs: Downtimes) -> int:
    with contained("timers_one_by_one", alerts=len(rooms)):  # which alert it was shows when each is worked alone
        return _sweep(rooms, now, downs) if rooms else 0
    return sum(_sweep_alone(room, now, downs) for room in rooms)


def pass_unreached(now: datetime) -> int:
    """A tier none of whose pushes can reach anybody is passed at once: the next one is told."""
    with contained("tiers_not_passed"), stored().atomic():
        found = stored().unreached(now - DIED_WITHIN, now)
        book = _book_of_time(now)
        book.lock_rooms([room for room in found.values() if room is not None], skip_locked=True)
        opened = [alert for alert in book.alerts.values() if alert.id in found and alert.state == Alert.State.OPEN]
        outages = [book.lock_alert(pk) for pk in sorted(found) if found[pk] is None]
        opened += [outage for outage in outages if outage.state == Alert.State.OPEN]
        book.outages.load({(alert.org_id, alert.agent_id or 0) for alert in opened})
        passed = 0
        for alert in opened:
            room = alert.room or Room()
            if not (book.silenced.is_held(alert) or book.outages.covering(alert) or room.recovered):
                _escalate(book, alert, room)
                passed += 1
        book.close()
        return passed
    return 0


def sweep_outages(now: datetime, held: datetime | None = None) -> int:
    """Work the outages whose time has come, then tell of the rooms that still wait when one is over; how many.

    `held`: what fell due from then on waits.
    """
    done = 0
    for pk in stored().due_outages(now, held):
        with contained("outage_failed", alert=str(pk)), stored().atomic():
            done += work_outage(pk, now, held)
    for pk in stored().outages_over():
        with contained("outage_not_released", alert=str(pk)), stored().atomic():
            done += release_rooms(pk, now)
    return done


def work_outage(pk: UUID, now: datetime, held: datetime | None = None) -> int:
    """Work the timers of one outage that are due; 0 if none is. `held`: what fell due from then on waits."""
    book = _book_of_time(now)
    outage = book.lock_alert(pk)
    if outage.state == Alert.State.RESOLVED or outage.due_at is None or outage.due_at > now:
        return 0
    book.blind = stored().downtimes(outage.due_at).covers(outage.due_at)
    outage.timer_failures, outage.due_at = 0, None
    while due := due_now(outage.facts, RoomFacts(), book.policy_of(outage), now, held):
        book.as_of(now if now - due[0] > ON_TIME else due[0])
        if not (due[1] in TELLING and book.silenced.is_held(outage)):
            TIMERS[due[1]](book, outage, Room())
    book.close()
    return 1


def release_rooms(pk: UUID, now: datetime) -> int:
    """The outage is over: the rooms that were under it and still wait are told, all in one digest for each person, and
    follow their own rules again.
    """
    book = _book_of_time(now)
    book.lock_rooms(room for _, room in book.stored.rooms_under(book.stored.alert(pk)))
    outage = book.lock_alert(pk)
    if outage.state != Alert.State.RESOLVED or outage.released_at is not None:
        return 0
    assert outage.resolved_at is not None
    book.as_of(now if now - outage.resolved_at > ON_TIME else outage.resolved_at)
    book.outages.load([(outage.org_id, outage.agent_id or 0)])
    for alert in book.alerts.values():
        told_since = alert.last_told_at is not None and alert.last_told_at > outage.resolved_at
        if is_under(alert, outage) and alert.opened_at <= outage.resolved_at and not told_since:
            release_room(book, alert)
    outage.released_at = book.now
    book.close()
    return 1


def _sweep(rooms: Sequence[int], now: datetime, downs: Downtimes) -> int:
    with stored().atomic():
        return work_rooms(rooms, now, downs)


def work_rooms(rooms: Sequence[int], now: datetime, downs: Downtimes) -> int:
    """Work what is due in these rooms."""
    book = _book_of_time(now)
    book.lock_rooms(rooms, skip_locked=True)
    due = [alert for alert in book.alerts.values() if alert.due_at is not None and alert.due_at <= now]
    due.sort(key=lambda alert: alert.due_at or now)
    agents = {(alert.org_id, alert.agent_id or 0) for alert in due}
    book.known.policies(agents)  # read once for all
    book.known.tiers(agents)
    book.outages.load(agents)
    held = downs.holds_from(now)
    for alert in due:
        assert alert.due_at is not None
        book.blind = downs.covers(alert.due_at)
        alert.timer_failures, alert.due_at = 0, None  # the book sets the next
        _run_timers(book, alert, now, held)
        book.as_of(now)
    book.blind = False
    book.close()
    return len(due)


def _run_timers(book: Book, alert: Alert, now: datetime, held: datetime | None) -> None:
    """What is due by now, each as of when it was, unless that is too long ago: then as of now. `held`: as `due_now`."""
    room, policy = alert.room, book.policy_of(alert)
    assert room is not None
    while due := due_now(alert.facts, room.facts, policy, now, held):
        at, timer = due
        late = now - at
        book.late_seconds = int(late.total_seconds()) if late > ON_TIME else 0
        book.as_of(now if book.late_seconds else at)
        if timer in TELLING and book.silenced.is_held(alert):
            continue
        outage = book.outages.covering(alert) if timer in TELLING else None
        if outage is not None and outage.ends_at is not None:
            _hold(alert, outage, now)
        elif timer in UNKNOWN_WHILE_SILENT and stored().was_silent(room, now - GRACE):
            alert.ends_not_before = now + LOOK_AGAIN
        else:
            TIMERS[timer](book, alert, room)
    book.late_seconds = 0


def _hold(alert: Alert, outage: Alert, now: datetime) -> None:
    assert outage.ends_at is not None
    alert.held_until = max(outage.ends_at, now + HELD_AT_LEAST)


def stays_held(
    alert: Alert, outage: Alert, policy: PolicyFacts, now: datetime, otherwise: datetime | None
) -> datetime | None:
    """Hold on an alert that is due, if all that is due by `now` is to tell people. For a replay, which spares a book
    for what most of its timers find.

    Gives when time does anything but that to it: `otherwise`, if that is known of an alert as it still is. None: it is
    not held on, for that is due too.
    """
    assert alert.room is not None
    if otherwise is None:
        before, alert.held_until = alert.held_until, NEVER
        timer = next_timer(alert.facts, alert.room.facts, policy)
        otherwise, alert.held_until = timer[0] if timer else now, before
    if otherwise <= now:
        return None
    _hold(alert, outage, now)
    assert alert.held_until is not None
    alert.due_at = min(alert.held_until, otherwise)
    return otherwise


def _book_of_time(now: datetime) -> Book:
    """A book in which time alone is at work: what it decides says when."""
    book = Book(now)
    book.swept_at = now
    return book


def _sweep_alone(room: int, now: datetime, downs: Downtimes) -> int:
    """One that fails is tried again after a pause that grows; until its timers work it is counted as broken."""
    try:
        return _sweep([room], now, downs)
    except PASSING:
        raise
    except Exception as error:  # noqa: BLE001 - it is put off, logged and shown; the other alerts go on
        broken = Alert.objects.filter(room=room, due_at__lte=now).exclude(state=Alert.State.RESOLVED)
        for pk, org_id, failures in broken.values_list("pk", "org_id", "timer_failures"):
            pause = PAUSES[min(failures, len(PAUSES) - 1)]
            Alert.objects.filter(pk=pk).update(timer_failures=min(failures + 1, 1000), due_at=now + pause)
            report("timer_failed", error, alert=str(pk), org=org_id, failures=failures + 1)
    return 0


def _expired(book: Book, alert: Alert, room: Room) -> None:
    """Somebody acknowledged it, or was assigned, and did not come or write: it is open again, and people are told."""
    gone = alert.intervened_by if alert.state == Alert.State.INTERVENED else alert.acknowledged_by
    detail = {"name": str(gone), "sso_id": gone.sso_id} if gone else {}
    if alert.state == Alert.State.INTERVENED:
        _leave(alert, room, book.now)
    else:
        alert.expiries += 1
    alert.state = Alert.State.OPEN
    alert.acknowledged_at = alert.acknowledged_by = alert.acknowledge_expires_at = alert.assigned_to = None
    notify = alert.severity != INFO and not alert.is_snoozed(book.now) and not room.recovered
    book.expire(alert, notify, detail=detail)


def _handed_off(book: Book, alert: Alert, room: Room) -> None:
    """The room was handed off a while ago, by policy, and no human wrote: critical, even if somebody was assigned."""
    detail: dict[str, Any] = {"from": alert.severity, "to": CRITICAL, "cause": "handed_off"}
    if room.handed_off_at is not None:
        detail |= _after(book.now - room.handed_off_at)
    book.worsen(alert, CRITICAL)
    if alert.state == Alert.State.INTERVENED:
        alert.state = Alert.State.OPEN
        _leave(alert, room, book.now)
    book.record(alert, "worsened", "worsened", detail=detail, notify=True)


def _leave(alert: Alert, room: Room, now: datetime) -> None:
    alert.intervened_at = alert.intervened_by = None
    room.human = room.human_since = None
    room.left_at = now


def _repeat(book: Book, alert: Alert, room: Room) -> None:
    alert.repeats_done = repeats_passed(alert.facts, book.policy_of(alert), book.now)
    book.record(alert, "repeated", "repeat_due", detail=_after(book.now - alert.ladder_from), notify=True)


def _after(length: timedelta) -> dict[str, Any]:
    """For how many s nobody acted, kept with what that led to: clocks start anew and policies change."""
    return {"after": int(length.total_seconds())}


def _escalate(book: Book, alert: Alert, room: Room) -> None:
    """Nobody of the tiers told so far acted: the next one is told, one with nobody on duty is passed; after the last
    one the specialists are, once.
    """
    keys = book.outages.agent_keys(alert)
    before, following = alert.tier, [tier for tier in tiers_together(book.known, keys) if tier > alert.tier]
    people = standing_for(alert, alert.severity, book.now, book.known, keys).people
    if not any_present(people) and any(person.quiet_until for person in people):
        _hold_for_hours(book, alert)
        return
    if not following:
        alert.tiers_over_at, alert.escalate_at = book.now, None
        book.record(alert, "escalated", "escalated", detail={"from": before, "to": None}, notify=True)
        return
    alert.tier = following[0]
    detail = {"from": before, "to": alert.tier}
    if any_present(person for person in people if person.tier == alert.tier):
        start_tier_clock(alert, book.now, book.known)
        book.record(alert, "escalated", "escalated", detail=detail, notify=True)
    else:
        alert.escalate_at = book.now
        book.record(alert, "escalated", "nobody_on_duty", detail={"passed": alert.tier})


def _hold_for_hours(book: Book, alert: Alert) -> None:
    """Everybody on duty in any tier is in quiet hours: no tier is passed, it waits until the first of these end."""
    alert.repeats_done = repeats_passed(alert.facts, book.policy_of(alert), book.now)
    book.record(alert, "repeated", "repeat_due", detail=_after(book.now - alert.ladder_from), notify=True)
    book.tell()


def _quiet_ended(book: Book, alert: Alert, room: Room) -> None:
    """Everybody on duty was in quiet hours; the first of them is not any more. What repeats, and the clock of the tier
    that was told before, start anew.
    """
    alert.hours_until = None
    alert.ladder_from = alert.revived_at = book.now
    alert.repeats_done = 0
    start_tier_clock(alert, book.now, book.known)
    book.record(alert, "released_hold", "quiet_ended", notify=True)


def _recovered(book: Book, alert: Alert, room: Room) -> None:
    """No other room of the agent failed for long enough."""
    end(alert, Alert.By.RECOVERED, book.now)
    book.record(alert, "resolved", "recovered")


def _quiet(book: Book, alert: Alert, room: Room) -> None:
    """Nobody waits and nothing happened. A failure of just now that is still on its way arms it again."""
    end(alert, Alert.By.QUIET, book.now)
    book.record(alert, "resolved", "quiet")


def _unsilenced(book: Book, alert: Alert, room: Room) -> None:
    """The window that silences it is over: another one does, or it is told of if it waits."""
    book.silenced.judge(alert)


def _abandoned(book: Book, alert: Alert, room: Room) -> None:
    """A customer waited for a day and nobody came: closed, and counted as unresolved."""
    end(alert, Alert.By.ABANDONED, book.now)
    room.customer_waiting_since = room.handed_off_at = None
    book.record(alert, "abandoned", "abandoned")


TIMERS: dict[Timer, Callable[[Book, Alert, Room], None]] = {
    "escalate": _escalate,
    "expired": _expired,
    "handed_off": _handed_off,
    "repeat": _repeat,
    "quiet": _quiet,
    "quiet_ended": _quiet_ended,
    "recovered": _recovered,
    "abandoned": _abandoned,
    "unsilenced": _unsilenced,
    "window_closing": tell_window_closing,
    "window_over": note_window_over,
}
