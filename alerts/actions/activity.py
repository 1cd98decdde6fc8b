"""What happens in a room: people coming, customers writing, the bot getting it back."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from django.db.models import Q
from msgspec.structs import replace

from alerts.actions.book import Book
from alerts.actions.conversation import Activity, hear_moment, hear_settled, of_activity, show_wait
from alerts.actions.events import Batch, judge_repeat, known_hashes, retried
from alerts.actions.spoken import find_talk_over
from alerts.actions.undelivered import undo_message
from alerts.decide import human_present
from alerts.items import Accepted, ActivityItem, Result, RoomNames
from alerts.known import Known, known_now
from alerts.models import Alert, Room, RoomActivity
from alerts.rows import ActivityRow
from alerts.times import heard
from orgs.models import Assignment, Org, Source

Actors = dict[tuple[int, str, str | None], int]  # pks of people by (org pk, kind of id, id)


def record_activity(source: Source, accepted: Sequence[Accepted[ActivityItem]]) -> list[Result]:
    """Store one batch of room activity and let it act: see `record_activity_batches`."""
    return record_activity_batches([(source, accepted)])[0]


def record_activity_batches(batches: Sequence[Batch[ActivityItem]]) -> list[list[Result]]:
    """Store some batches in one transaction, one after the other, and let each item act on the alerts.

    One Result for each item, in its order. Raises OperationalError when the database is away; nothing is stored then.
    """
    return retried(lambda: _record(batches, *known_now()))


def _record(batches: Sequence[Batch[ActivityItem]], now: datetime, known: Known) -> list[list[Result]]:
    items = [(source, one, one.item.activity_id) for source, accepted in batches for one in accepted]
    book = Book(now, known)
    book.lock((one.org_id, one.item.room_id) for _, one, _ in items)
    seen = known_hashes(RoomActivity, "activity_id", items)
    actors = _actors([one for _, one, _ in items])
    orgs = known.orgs({one.org_id for _, one, _ in items if one.names is not None})
    book.expect_tellings()
    activities: list[ActivityRow] = []
    answers: list[list[Result]] = []
    for source, accepted in batches:
        happened = heard([(one.item.at, one.received_at or now) for one in accepted])
        answers.append([])
        for one, at in zip(accepted, happened, strict=True):
            result = judge_repeat(seen, source, one, one.item.activity_id)
            answers[-1].append(result)
            if result.status == "duplicate" and one.undelivered:
                result.status = _take_back(book, source, one, activities)
            if result.status == "created":
                room = book.rooms[one.org_id, one.item.room_id]
                activities.append(_activity(source, one, room, actors, at, now))
                if one.names is not None:
                    _remember(book, room, orgs[one.org_id], one.names)
                if not one.undelivered:
                    react(book, activities[-1], room)
            book.tell()
    book.stored.write_activities(activities)
    book.close()
    return answers


def _activity(
    source: Source, one: Accepted[ActivityItem], room: Room, actors: Actors, at: datetime, now: datetime
) -> ActivityRow:
    item = one.item
    return ActivityRow(
        org_id=one.org_id,
        source_id=source.pk,
        activity_id=item.activity_id,
        payload_hash="\\x" + one.payload_hash.hex(),
        room_id=room.pk,
        kind=item.kind,
        actor_id=actors.get((one.org_id, "sso", item.actor_sso_id or None))
        or actors.get((one.org_id, "external", item.actor_external_id or None)),
        actor_external_id=item.actor_external_id or "",
        at=at,
        as_sent=item.at if at != item.at else None,
        received_at=now,
        clock_flagged=one.clock_flagged,
        undelivered=one.undelivered,
        asks=one.asks,
    )


def _take_back(
    book: Book, source: Source, one: Accepted[ActivityItem], told: Sequence[ActivityRow]
) -> Literal["updated", "duplicate"]:
    """A message heard of before never reached the customer: it did nothing. Hearing it again changes nothing."""
    key = (source.pk, one.org_id, one.item.activity_id)
    known = [activity for activity in told if (activity.source_id, activity.org_id, activity.activity_id) == key]
    stored = RoomActivity.objects.filter(org=one.org_id, source=source, activity_id=one.item.activity_id)
    activity: Activity = known[0] if known else stored.get()
    if activity.undelivered:
        return "duplicate"
    activity.undelivered = True
    if isinstance(activity, RoomActivity):
        activity.save(update_fields=["undelivered"])
    undo_message(book, activity, book.rooms[one.org_id, one.item.room_id], told)
    return "updated"


def _remember(book: Book, room: Room, org: Org, names: RoomNames) -> None:
    """What the chat product says of the room; the customer's new words show on its alert at once."""
    before = room.last_customer_text
    book.remember(room, org, names)
    alert = book.open_alert(room)
    if alert is not None and org.show_customer_text and room.last_customer_text != before:
        book.touch(alert)


def _actors(items: Sequence[Accepted[ActivityItem]]) -> Actors:
    """People by (org pk, kind of id, id), only those with an assignment in that org."""
    sso_ids = {one.item.actor_sso_id for one in items if one.item.actor_sso_id}
    external_ids = {one.item.actor_external_id for one in items if one.item.actor_external_id}
    if not sso_ids | external_ids:
        return {}
    rows = Assignment.objects.filter(
        Q(user__sso_id__in=sso_ids) | Q(external_user_id__in=external_ids), org__in={one.org_id for one in items}
    )
    found: Actors = {}
    for org_id, external, sso_id, user in rows.values_list("org_id", "external_user_id", "user__sso_id", "user_id"):
        found[org_id, "external", external] = found[org_id, "sso", sso_id] = user
    return found


def react(book: Book, activity: Activity, room: Room) -> None:
    """Let one activity act on its room, which is locked, and the room's open alert, unless it is too old to."""
    REACTIONS[activity.kind](book, activity, room, book.open_alert(room))


def _detail(activity: Activity) -> dict[str, str]:
    return {"cause": activity.kind}


def _opened(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """Somebody entered the room: that is a follow-up and acknowledges; it is not `intervened`.

    An entry that a chat product dates before the failure does not answer it; our own drill-in always does. One that is
    told so late that whoever came has left again holds nothing back.
    """
    if alert is None or (activity.source_id is not None and activity.at < alert.first_failure_at):
        return
    alert.human_acted_at = alert.human_acted_at or max(activity.at, alert.first_failure_at)
    until = activity.at + book.policy_of(alert).presence
    if alert.state in (Alert.State.OPEN, Alert.State.ACKNOWLEDGED) and until > book.now:
        if alert.state == Alert.State.OPEN:
            alert.state = Alert.State.ACKNOWLEDGED
            alert.acknowledged_at, alert.acknowledged_by_id = activity.at, activity.actor_id
        alert.acknowledge_expires_at = max(until, alert.acknowledge_expires_at or until)
    book.record(alert, "opened_room", at=activity.at, actor=activity.actor_id, detail=_detail(activity))


def _human(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """A human wrote, or was assigned: they hold the room, and the alarm stops without a button."""
    if room.settled_at is not None and activity.at < room.settled_at:
        return
    waited_since = alert.customer_waiting_since if alert is not None else None
    hear_moment(book, room, of_activity(activity))
    if alert is None:
        return
    show_wait(book, room, alert)
    if activity.at < alert.first_failure_at and not human_present(room.facts, book.policy_in(room), book.now):
        return
    alert.human_acted_at = alert.human_acted_at or max(activity.at, alert.first_failure_at)
    if alert.state != Alert.State.INTERVENED:
        alert.state = Alert.State.INTERVENED
        alert.acknowledge_expires_at = None
        alert.intervened_at, alert.intervened_by_id, alert.waited_since = activity.at, activity.actor_id, waited_since
        book.record(alert, "intervened", at=activity.at, actor=activity.actor_id, detail=_detail(activity))


def _resolved(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """The room was resolved: so is its alert, unless the agent failed or a human acted after it."""
    acted_after = room.human_last_at is not None and activity.at < room.human_last_at
    hear_settled(book, room, Room.State.RESOLVED, activity.at)
    if alert is None:
        return
    if acted_after or activity.at < alert.last_event_at:
        show_wait(book, room, alert)
    else:
        end(alert, Alert.By.ROOM, book.now, activity.actor_id)
        book.record(alert, "resolved", "room", at=activity.at, actor=activity.actor_id, detail=_detail(activity))


def end(alert: Alert, kind: str, now: datetime, by: int | None = None) -> None:
    """Resolve the alert, `by` the person with this pk; the caller records why."""
    alert.state, alert.resolved_at = Alert.State.RESOLVED, now
    alert.resolved_kind, alert.resolved_by_id = kind, by
    alert.snoozed_until = alert.acknowledge_expires_at = None


def _returned(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """The bot was given the room back, and nobody waits: the next failure is a new episode and alarms again."""
    acted_after = room.human_last_at is not None and activity.at < room.human_last_at
    hear_settled(book, room, Room.State.BOT, activity.at)
    show_wait(book, room, alert)
    if not acted_after:
        _tell_return(book, activity, alert)


def _tell_return(book: Book, activity: Activity, alert: Alert | None) -> None:
    if alert is not None and alert.state == Alert.State.INTERVENED:
        book.record(alert, "returned", at=activity.at, actor=activity.actor_id, detail=_detail(activity))


def _customer(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """The customer wrote and waits, unless they were answered, or the room resolved, since."""
    hear_moment(book, room, of_activity(activity))
    show_wait(book, room, alert)


def _bot(book: Book, activity: Activity, room: Room, alert: Alert | None) -> None:
    """The bot wrote: it may have answered the customer, have the room back, or talk over the human who has it."""
    held = room.human_since is not None
    find_talk_over(book, activity, room)
    unheard = held and book.stored.was_silent(room, room.human_last_at or activity.at)
    hear_moment(book, room, replace(of_activity(activity), unheard=unheard))
    show_wait(book, room, alert)
    if held and room.human_since is None:
        _tell_return(book, activity, alert)


REACTIONS: dict[str, Callable[[Book, Activity, Room, Alert | None], None]] = {
    RoomActivity.Kind.HUMAN_OPENED: _opened,
    RoomActivity.Kind.HUMAN_MESSAGE: _human,
    RoomActivity.Kind.ASSIGNED: _human,
    RoomActivity.Kind.RESOLVED: _resolved,
    RoomActivity.Kind.RETURNED_TO_AGENT: _returned,
    RoomActivity.Kind.CUSTOMER_MESSAGE: _customer,
    RoomActivity.Kind.BOT_MESSAGE: _bot,
}
