"""What a person does with an alert. Compare-and-set under the room's lock: the loser gets the fresh alert.

Within 10 min the same person's `reopen` and `release` are an undo: all is as if the act had not been, clocks go on.
Later, or by somebody else, they are an act of their own: clocks start anew.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

from django.utils.translation import gettext as _

from alerts.actions.activity import end, react
from alerts.actions.book import Book
from alerts.actions.conversation import settle
from alerts.actions.outage_acts import (
    TakenAlert,
    give_back_of_ended,
    give_rooms_back,
    hold_alert,
    other_outage,
    rooms_to_lock,
    take_under,
)
from alerts.actions.outages import is_under
from alerts.actions.stored import stored
from alerts.actions.tiers import clock_stands_at, resume_tier_clock, start_tier_clock
from alerts.actions.undo import (
    HELD_BY,
    UndoableAct,
    acted_at,
    catch_up,
    lost_telling,
    marked,
    standing_resolution,
    take_back,
    undoable,
    undoable_by,
)
from alerts.due import due_timer
from alerts.masking import mask_cut
from alerts.models import Alert, Comment, Room, RoomActivity, new_id
from orgs.errors import BadValue
from orgs.models import User
from orgs.texts import TEXT_LENGTH

SNOOZE_AT_MOST = timedelta(hours=24)


class ActConflict(Exception):
    """Somebody was faster, or the alert is past this. `alert` is as it is now; `code` says which."""

    def __init__(self, code: str, alert: Alert) -> None:
        super().__init__(code)
        self.code = code
        self.alert = alert


class ActInvalid(BadValue):
    """The act does not make sense as asked."""


@contextmanager
def _locked(alert_id: UUID) -> Iterator[tuple[Book, Alert]]:
    """The alert under its room's lock; written on leaving. Raises Alert.DoesNotExist outside the scope."""
    place = stored()
    with place.atomic():
        found = place.alert(alert_id)
        book = Book(place.now())
        book.lock_rooms([found.room_id] if found.room_id else rooms_to_lock(found))
        yield book, book.lock_alert(alert_id)
        book.close()


def _refuse_resolved(alert: Alert) -> None:
    if alert.state == Alert.State.RESOLVED:
        raise ActConflict("already_resolved", alert)


def _refuse_taken(alert: Alert, by: User) -> None:
    _refuse_resolved(alert)
    acknowledged = alert.assigned_to_id or alert.acknowledged_by_id
    holder = alert.intervened_by_id if alert.state == Alert.State.INTERVENED else acknowledged
    if alert.state != Alert.State.OPEN and holder != by.pk:
        raise ActConflict("already_taken", alert)


def acknowledge(alert_id: UUID, by: User) -> Alert:
    """I have seen it: repeats stop until the acknowledge expires. Again by the same person changes nothing."""
    with _locked(alert_id) as (book, alert):
        _refuse_taken(alert, by)
        if alert.state == Alert.State.OPEN:
            with undoable(book, alert, "acknowledge", by):
                hold_alert(book, alert, by)
            book.record(alert, "acknowledged", actor=by)
        return alert


def take(alert_id: UUID, by: User) -> Alert:
    """Acknowledge, and it is mine. Raises Conflict already_taken for everybody but the first.

    An open alert assigned to somebody who has not reacted can be taken: who is here comes first.
    """
    return take_with_rooms(alert_id, by).alert


def take_with_rooms(alert_id: UUID, by: User) -> TakenAlert:
    """The same; of an outage also every room under it that nobody has, and what became of each."""
    place = stored()
    wanted = {pk for pk, _ in place.rooms_under(found)} if (found := place.alert(alert_id)).is_outage else set()
    with _locked(alert_id) as (book, alert):
        _refuse_taken(alert, by)
        waits = alert.state == Alert.State.OPEN
        changes = waits or alert.assigned_to_id != by.pk  # one that is acknowledged too
        if changes:
            with undoable(book, alert, "take", by):
                if waits:
                    hold_alert(book, alert, by)
                alert.assigned_to = by
            book.record(alert, "acknowledged", actor=by, detail={"assigned": True})
        taken = TakenAlert(alert)
        for room_alert in list(book.alerts.values()) if alert.is_outage else []:
            if is_under(room_alert, alert):
                take_under(book, room_alert, alert, by)
                taken.rooms_done.append(room_alert.pk)
            elif room_alert.pk in wanted:
                resolved = room_alert.state == Alert.State.RESOLVED
                taken.rooms_refused.append((room_alert.pk, "already_resolved" if resolved else "already_taken"))
        if changes and taken.rooms_done:  # else this act changed nothing of the outage that its undo could take back
            alert.undoable[-1]["rooms"] = [str(pk) for pk in taken.rooms_done]
        return taken


def release(alert_id: UUID, by: User) -> Alert:
    """Nobody has it any more, and it is open again.

    Takes back what this person just did to have it or to give it away; repeats go on then, else they start anew.
    """
    with _locked(alert_id) as (book, alert):
        if give_back_of_ended(book, alert, undoable_by(alert, by, book.now, HELD_BY), by):
            return alert
        _refuse_resolved(alert)
        if alert.state == Alert.State.OPEN and alert.assigned_to_id is None:
            return alert
        was_open = alert.state == Alert.State.OPEN
        undone = _let_go(book, alert, by)
        missed = lost_telling(book, alert, undone, was_open=was_open) if undone else ""
        if not undone or (alert.state == Alert.State.ACKNOWLEDGED and alert.acknowledged_by_id == by.pk):
            alert.assigned_to = alert.acknowledged_by = None
            alert.acknowledged_at = alert.acknowledge_expires_at = None
            if alert.state == Alert.State.ACKNOWLEDGED:
                alert.state = Alert.State.OPEN
        if not undone:
            _start_clocks_anew(book, alert)
        as_before = undone and alert.state != Alert.State.OPEN
        detail = {"undo": True} if as_before else {}
        book.record(alert, "released", missed, actor=by, detail=detail, notify=bool(missed))
        return alert


def _let_go(book: Book, alert: Alert, by: User) -> datetime | None:
    """Undo, newest first, what `by` did in the last 10 min and nobody since, until it is open; since when, if that."""
    undone = None
    while (held := undoable_by(alert, by, book.now, HELD_BY)) is not None:
        undone = acted_at(held) if take_back(alert, held, book.now) else undone
        give_rooms_back(book, held, by)
        if alert.state == Alert.State.OPEN:
            break
    return undone


def _start_clocks_anew(book: Book, alert: Alert) -> None:
    alert.ladder_from, alert.repeats_done, alert.revived_at = book.now, 0, book.now
    start_tier_clock(alert, book.now, book.known)


def resolve(alert_id: UUID, by: User) -> Alert:
    """It is over: nobody waits in this room any more."""
    with _locked(alert_id) as (book, alert):
        if alert.state == Alert.State.RESOLVED and alert.resolved_by_id == by.pk:
            return alert
        _refuse_resolved(alert)
        with undoable(book, alert, "resolve", by):
            end(alert, Alert.By.HUMAN, book.now, by.pk)
            if alert.room is not None:
                settle(alert.room, Room.State.RESOLVED, book.now)
                alert.room.customer_waiting_since = None
        book.record(alert, "resolved", actor=by)
        return alert


def reopen(alert_id: UUID, by: User) -> Alert:
    """It is not over. Raises Conflict other_open when the room has another open alert by now."""
    with _locked(alert_id) as (book, alert):
        if alert.state != Alert.State.RESOLVED:
            raise ActConflict("not_resolved", alert)
        _reopen(book, alert, by)
        return alert


def _reopen(book: Book, alert: Alert, by: User) -> None:
    other = book.open_alert(alert.room) if alert.room else other_outage(alert)
    if other is not None:
        raise ActConflict("other_open", other)
    mine = undoable_by(alert, by, book.now, ("resolve",))
    missed = ""
    if mine is not None and mine is standing_resolution(alert) and not _settled_again(alert):
        _unresolve(book, alert, mine)
        missed = lost_telling(book, alert, acted_at(mine), over=True)
    else:
        _revive(book, alert)
    if alert.is_outage:
        rule = book.known.policies([(alert.org_id, alert.agent_id or 0)])[alert.org_id, alert.agent_id or 0].outage
        alert.ends_at, alert.released_at = book.now + timedelta(minutes=rule.clean_minutes), None
    book.record(alert, "reopened", missed, actor=by, notify=bool(missed))


def _settled_again(alert: Alert) -> bool:
    """The room was resolved, or given back, after this alert was: that stands."""
    return alert.room is not None and alert.room.settled_at != alert.resolved_at


def _unresolve(book: Book, alert: Alert, resolution: UndoableAct) -> None:
    """As if it had not been resolved. It stays open even if its quiet time ran out meanwhile: a person says so."""
    resolved_at = alert.resolved_at
    assert resolved_at is not None
    take_back(alert, resolution, book.now)
    if alert.room is None:
        return
    catch_up(book, alert, resolved_at)
    if due_timer(alert.facts, alert.room.facts, book.policy_of(alert), book.now) in ("quiet", "abandoned"):
        alert.revived_at = book.now


def _revive(book: Book, alert: Alert) -> None:
    """Open again, with clocks that start anew; that of a handoff too, if no human came since."""
    resolution, resolved_at, room = standing_resolution(alert), alert.resolved_at, alert.room
    if room is not None:
        _wait_again(alert, room)
        unanswered = room.human_last_at is None or resolved_at is None or room.human_last_at <= resolved_at
        if resolution and resolution["room"].get("handed_off_at") and unanswered and not _settled_again(alert):
            room.handed_off_at, room.state = book.now, Room.State.HANDED_OFF
    alert.state = Alert.State.OPEN
    alert.resolved_at = alert.resolved_by = alert.acknowledged_at = alert.acknowledged_by = None
    alert.resolved_kind = ""
    _start_clocks_anew(book, alert)


def _wait_again(alert: Alert, room: Room) -> None:
    """A customer who waited when it was resolved, or began to since, waits, unless somebody answered meanwhile.

    A bot that wrote by itself after the resolution answered nobody.
    """
    waits = [at for at in (alert.customer_waiting_since, room.customer_waiting_since) if at is not None]
    over, answered = alert.resolved_at or alert.opened_at, room.answered_at
    spoke = any(at is not None and at > over for at in (room.human_last_at, room.customer_last_at))
    if answered is not None and (spoke or answered <= over):
        waits = [at for at in waits if at > answered]
    room.customer_waiting_since = alert.customer_waiting_since = min(waits, default=None)


def snooze(alert_id: UUID, by: User, until: datetime) -> Alert:
    """Repeats are held until `until` (in the future, at most 24 h off); worsening breaks it. Raises Invalid."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        if not book.now < until <= book.now + SNOOZE_AT_MOST:
            raise ActInvalid("until", _("Choose a time in the next 24 hours."))
        with undoable(book, alert, "snooze", by):
            stood_at, alert.snoozed_until = clock_stands_at(alert, book.now), until
            resume_tier_clock(alert, stood_at, book.now)
        book.record(alert, "snoozed", actor=by, detail={"until": until.isoformat()})
        return alert


def wake(alert_id: UUID, by: User) -> Alert:
    """End a snooze: it needs a human again, and a repeat that was held is due. Changes nothing if it is not snoozed."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        if alert.is_snoozed(book.now):
            with undoable(book, alert, "wake", by):
                stood_at, alert.snoozed_until = clock_stands_at(alert, book.now), None
                resume_tier_clock(alert, stood_at, book.now)
            book.record(alert, "snoozed", actor=by, detail={"until": None})
        return alert


def assign(alert_id: UUID, by: User | None, to: User) -> Alert:
    """Give it to somebody who may see it (`by` None: a machine did). Raises Invalid for anybody else."""
    with _locked(alert_id) as (book, alert):
        _refuse_resolved(alert)
        if not book.stored.may_see(to, alert.org_id):
            raise ActInvalid("sso_id", _("This person does not back up the agents of this org."))
        if alert.assigned_to_id != to.pk:
            with undoable(book, alert, "assign", by):
                alert.assigned_to = to
            book.record(alert, "assigned", actor=by, detail={"sso_id": to.sso_id, "name": str(to)})
        return alert


def undo(alert_id: UUID, by: User, mark: str = "") -> Alert:
    """Take back the act of this person with this mark (`mark_of`), else the newest; at most 10 min old.

    Raises Conflict nothing_to_undo.
    """
    with _locked(alert_id) as (book, alert):
        mine = marked(alert, by, book.now, mark) if mark else undoable_by(alert, by, book.now)
        nothing = ActConflict("nothing_to_undo", alert)
        if mine is None:
            raise nothing
        if mine["act"] == "resolve":
            if alert.state != Alert.State.RESOLVED or mine is not standing_resolution(alert):
                raise nothing
            _reopen(book, alert, by)
            return alert
        if give_back_of_ended(book, alert, mine, by):
            return alert
        _refuse_resolved(alert)
        was_open = alert.state == Alert.State.OPEN
        if not take_back(alert, mine, book.now):
            raise nothing
        give_rooms_back(book, mine, by)
        change = "snoozed" if mine["act"] in ("snooze", "wake") else "released"
        missed = lost_telling(book, alert, acted_at(mine), was_open=was_open)
        book.record(alert, change, missed, actor=by, detail={"undo": True, "mark": mine["at"]}, notify=bool(missed))
        return alert


def verdict(alert_id: UUID, by: User, verdict: str, note: str = "") -> Alert:
    """A supervisor's word: `confirmed` or `false_alarm`; a later one replaces it. Raises Invalid."""
    with _locked(alert_id) as (book, alert):
        if verdict not in Alert.Verdict.values:
            raise ActInvalid("verdict", _("Choose confirmed or false_alarm."))
        note = mask_cut(note, TEXT_LENGTH)
        if (alert.verdict, alert.verdict_note) != (verdict, note):
            alert.verdict, alert.verdict_by, alert.verdict_note = verdict, by, note
            book.record(alert, "verdict", actor=by, detail={"to": verdict, "note": note})
        return alert


def comment(alert_id: UUID, by: User, text: str) -> Alert:
    """Say something about an alert, open or not; whoever looks at it sees it at once. Raises Invalid for no text."""
    with _locked(alert_id) as (book, alert):
        said = mask_cut(text.strip(), TEXT_LENGTH)
        if not said:
            raise ActInvalid("text", _("Write something first."))
        Comment.objects.create(org_id=alert.org_id, alert=alert, at=book.now, author=by, text=said)
        book.touch(alert)
        return alert


def open_room(alert_id: UUID, by: User) -> Alert:
    """The drill-in: this person enters the room now. Recorded as room activity `human_opened`."""
    with _locked(alert_id) as (book, alert):
        activity_id = f"drill-in:{new_id()}"
        activity = RoomActivity(
            org_id=alert.org_id,
            activity_id=activity_id,
            payload_hash=hashlib.sha256(activity_id.encode()).digest(),
            room=alert.room,
            kind=RoomActivity.Kind.HUMAN_OPENED,
            actor=by,
            at=book.now,
            received_at=book.now,
        )
        activity.save(force_insert=True)
        assert alert.room is not None
        react(book, activity, alert.room)
        return alert
