"""What happens in a room: people coming, customers writing, the bot getting it back."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from alerts.actions.book import Book, room_facts
from alerts.actions.events import ATTEMPTS, judge_repeat, known_hashes
from alerts.decide import PRESENCE, human_present
from alerts.items import Accepted, ActivityItem, Result
from alerts.models import Alert, Room, RoomActivity
from orgs import clock
from orgs.models import Assignment, Source, User


def record_activity(source: Source, accepted: Sequence[Accepted]) -> list[Result]:
    """Store a batch of room activity and let it act on the alerts; one Result for each item, in its order.

    Raises OperationalError when the database is away; nothing is stored then.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic():
                return _record(source, accepted, clock.now())
        except IntegrityError:
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _record(source: Source, accepted: Sequence[Accepted], now: datetime) -> list[Result]:
    items = [(a, a.item) for a in accepted if isinstance(a.item, ActivityItem)]
    book = Book(now)
    book.lock((a.org_id, item.room_id) for a, item in items)
    seen = known_hashes(RoomActivity, "activity_id", source, [(a.org_id, i.activity_id) for a, i in items])
    actors = _actors(items)
    results, activities = [], []
    for one, item in items:
        key = (one.org_id, item.activity_id)
        result = judge_repeat(one, item.activity_id, seen.get(key))
        results.append(result)
        if result.status != "created":
            continue
        seen[key] = one.payload_hash
        activity = RoomActivity(
            org_id=one.org_id,
            source=source,
            activity_id=item.activity_id,
            payload_hash=one.payload_hash,
            room=book.rooms[(one.org_id, item.room_id)],
            kind=item.kind,
            actor=actors.get((one.org_id, item.actor_sso_id or item.actor_external_id or "")),
            actor_external_id=item.actor_external_id or "",
            at=item.at.astimezone(UTC),
            received_at=now,
            clock_flagged=one.clock_flagged,
        )
        activities.append(activity)
        react(book, activity)
    RoomActivity.objects.bulk_create(activities)
    book.close()
    return results


def _actors(items: list[tuple[Accepted, ActivityItem]]) -> dict[tuple[int, str], User]:
    """People by (org pk, sso_id or id in the chat product), only those with an assignment in that org."""
    ids = {name for _, item in items for name in (item.actor_sso_id, item.actor_external_id) if name}
    if not ids:
        return {}
    rows = Assignment.objects.filter(
        Q(user__sso_id__in=ids) | Q(external_user_id__in=ids), org__in={one.org_id for one, _ in items}
    ).select_related("user")
    by_external = {(row.org_id, row.external_user_id): row.user for row in rows if row.external_user_id}
    return by_external | {(row.org_id, row.user.sso_id): row.user for row in rows}


def react(book: Book, activity: RoomActivity) -> None:
    """Let one activity act on its locked room and the room's open alert. What is older than its effect does nothing."""
    book.changed_room(activity.room)
    REACTIONS[activity.kind](book, activity, activity.room, book.open_alert(activity.room))


def _detail(activity: RoomActivity) -> dict[str, str]:
    """`name` is only given for somebody we cannot match to an assignment."""
    return {"cause": activity.kind} | ({} if activity.actor else {"name": activity.actor_external_id})


def _opened(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """Somebody entered the room: that is a follow-up and acknowledges; it is not `intervened`.

    Told by a chat product with an older time than the failure, it is no answer to it; our own drill-in always is.
    """
    if alert is None or (activity.source_id is not None and activity.at < alert.first_failure_at):
        return
    alert.human_acted_at = alert.human_acted_at or max(activity.at, alert.first_failure_at)
    if alert.state in (Alert.State.OPEN, Alert.State.ACKNOWLEDGED):
        if alert.state == Alert.State.OPEN:
            alert.state = Alert.State.ACKNOWLEDGED
            alert.acknowledged_at, alert.acknowledged_by = activity.at, activity.actor
        until = activity.at + PRESENCE
        alert.acknowledge_expires_at = max(until, alert.acknowledge_expires_at or until)
    book.record(alert, "opened_room", at=activity.at, actor=activity.actor, detail=_detail(activity))


def _human(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """A human wrote, or was assigned: they hold the room, and the alarm stops without a button."""
    if room.settled_at is not None and activity.at < room.settled_at:
        return
    _hold(room, activity)
    waited = alert.customer_waiting_since if alert else None
    if activity.kind == RoomActivity.Kind.HUMAN_MESSAGE:
        _answer(room, activity.at)
        if room.handed_off_at is not None and activity.at >= room.handed_off_at:
            room.handed_off_at = None
    if alert is None:
        return
    alert.customer_waiting_since = room.customer_waiting_since
    in_time = activity.at >= alert.first_failure_at or human_present(room_facts(room), book.now)
    if in_time:
        alert.human_acted_at = alert.human_acted_at or max(activity.at, alert.first_failure_at)
    if in_time and alert.state != Alert.State.INTERVENED:
        alert.state = Alert.State.INTERVENED
        alert.acknowledge_expires_at = None
        alert.intervened_at, alert.intervened_by = activity.at, activity.actor
        book.record(alert, "intervened", at=activity.at, actor=activity.actor, detail=_detail(activity))
    elif waited != alert.customer_waiting_since:
        book.touch(alert)


def _hold(room: Room, activity: RoomActivity) -> None:
    if not human_present(room_facts(room), activity.at):
        room.human_since = activity.at
    room.state = Room.State.HUMAN
    if room.human_last_at is None or activity.at >= room.human_last_at:
        room.human_last_at, room.human = activity.at, activity.actor


def _answer(room: Room, at: datetime) -> None:
    """The customer was written to at `at`: whoever waited since before waits no longer."""
    room.answered_at = max(at, room.answered_at or at)
    if room.customer_waiting_since is not None and room.customer_waiting_since <= room.answered_at:
        room.customer_waiting_since = None


def _settle(room: Room, state: str, at: datetime) -> None:
    room.state, room.settled_at = state, max(at, room.settled_at or at)
    room.human = room.human_since = room.handed_off_at = None


def _resolved(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The room was resolved: so is its alert, unless the agent failed again after it."""
    if alert is not None and activity.at < alert.last_event_at:
        return
    _settle(room, Room.State.RESOLVED, activity.at)
    room.customer_waiting_since = None
    if alert is not None:
        end(alert, Alert.By.ROOM, book.now, activity.actor)
        book.record(alert, "resolved", "room", at=activity.at, actor=activity.actor, detail=_detail(activity))


def end(alert: Alert, kind: str, now: datetime, by: User | None = None) -> None:
    """Resolve the alert; the caller records why."""
    alert.state, alert.resolved_at, alert.resolved_kind, alert.resolved_by = (
        Alert.State.RESOLVED,
        now,
        kind,
        by,
    )
    alert.snoozed_until = alert.acknowledge_expires_at = None


def _returned(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The bot got the room back: the next failure is a new episode and alarms again."""
    if room.human_last_at is not None and activity.at < room.human_last_at:
        return
    _settle(room, Room.State.BOT, activity.at)
    if alert is not None and alert.state == Alert.State.INTERVENED:
        book.record(alert, "returned", at=activity.at, actor=activity.actor, detail=_detail(activity))


def _customer(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The customer wrote and waits, unless they were answered since."""
    if room.state == Room.State.RESOLVED:
        room.state = Room.State.BOT
    if room.answered_at is not None and activity.at <= room.answered_at:
        return
    _wait(book, room, alert, min(activity.at, room.customer_waiting_since or activity.at))


def _wait(book: Book, room: Room, alert: Alert | None, since: datetime | None) -> None:
    room.customer_waiting_since = since
    if alert is not None and alert.customer_waiting_since != since:
        alert.customer_waiting_since = since
        book.touch(alert)


def _bot(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The bot wrote: the customer is answered; after a human's message it means the bot has the room back."""
    _answer(room, activity.at)
    _wait(book, room, alert, room.customer_waiting_since)
    if room.human_since is not None and activity.at > (room.human_last_at or room.human_since):
        _returned(book, activity, room, alert)


REACTIONS: dict[str, Callable[[Book, RoomActivity, Room, Alert | None], None]] = {
    RoomActivity.Kind.HUMAN_OPENED: _opened,
    RoomActivity.Kind.HUMAN_MESSAGE: _human,
    RoomActivity.Kind.ASSIGNED: _human,
    RoomActivity.Kind.RESOLVED: _resolved,
    RoomActivity.Kind.RETURNED_TO_AGENT: _returned,
    RoomActivity.Kind.CUSTOMER_MESSAGE: _customer,
    RoomActivity.Kind.BOT_MESSAGE: _bot,
}
