"""What happens in a room: people coming, customers writing, the bot getting it back."""

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import Q

from alerts.actions.book import Book, room_facts
from alerts.actions.events import ATTEMPTS, judge_repeat, known_hashes
from alerts.decide import PRESENCE, WAITING_SIGNALS, human_present
from alerts.items import Accepted, ActivityItem, Result, RoomNames
from alerts.models import Alert, Room, RoomActivity
from alerts.times import heard
from orgs import clock
from orgs.models import Assignment, Org, Source, User


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
    orgs = Org.objects.in_bulk({one.org_id for one, _ in items if one.names is not None})
    happened = heard([(item.at, one.received_at or now) for one, item in items])
    results, activities = [], []
    for (one, item), at in zip(items, happened, strict=True):
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
            actor=_actor(actors, one.org_id, item),
            actor_external_id=item.actor_external_id or "",
            at=at,
            as_sent=item.at if at != item.at else None,
            received_at=now,
            clock_flagged=one.clock_flagged,
        )
        activities.append(activity)
        if one.names is not None:
            _remember(book, activity.room, orgs[one.org_id], one.names)
        react(book, activity)
    RoomActivity.objects.bulk_create(activities)
    book.close()
    return results


def _remember(book: Book, room: Room, org: Org, names: RoomNames) -> None:
    """What the chat product says of the room; the customer's new words show on its alert at once."""
    before = room.last_customer_text
    book.remember(room, org, names)
    alert = book.open_alert(room)
    if alert is not None and org.show_customer_text and room.last_customer_text != before:
        book.touch(alert)


def _actors(items: list[tuple[Accepted, ActivityItem]]) -> dict[tuple[int, str, str], User]:
    """People by (org pk, kind of id, id), only those with an assignment in that org."""
    sso_ids = {item.actor_sso_id for _, item in items if item.actor_sso_id}
    external_ids = {item.actor_external_id for _, item in items if item.actor_external_id}
    if not sso_ids | external_ids:
        return {}
    rows = Assignment.objects.filter(
        Q(user__sso_id__in=sso_ids) | Q(external_user_id__in=external_ids), org__in={one.org_id for one, _ in items}
    ).select_related("user")
    return {(row.org_id, "external", row.external_user_id): row.user for row in rows} | {
        (row.org_id, "sso", row.user.sso_id): row.user for row in rows
    }


def _actor(actors: dict[tuple[int, str, str], User], org_id: int, item: ActivityItem) -> User | None:
    found = actors.get((org_id, "sso", item.actor_sso_id)) if item.actor_sso_id else None
    if found is None and item.actor_external_id:
        found = actors.get((org_id, "external", item.actor_external_id))
    return found


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
        _answer(room, alert, activity.at)
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


def _answer(room: Room, alert: Alert | None, at: datetime) -> None:
    """The customer was written to at `at`: whoever waited since before waits no longer, unless it failed after it."""
    room.answered_at = max(at, room.answered_at or at)
    if room.customer_waiting_since is not None and room.customer_waiting_since <= room.answered_at:
        room.customer_waiting_since = _failed_since(alert, room.answered_at)


def _failed_since(alert: Alert | None, answered_at: datetime) -> datetime | None:
    """The newest failure that left the customer without an answer, if it came after `answered_at`."""
    signals = alert.signals if alert is not None else []
    times = [datetime.fromisoformat(one["last_at"]) for one in signals if one["signal"] in WAITING_SIGNALS]
    return max((at for at in times if at > answered_at), default=None)


def settle(room: Room, state: str, at: datetime) -> None:
    """The room was resolved or given back at `at`: no human holds it; a handoff that came later still runs."""
    room.settled_at = max(at, room.settled_at or at)
    room.human = room.human_since = None
    if room.handed_off_at is None or room.handed_off_at <= at:
        room.handed_off_at = None
        room.state = state


def _resolved(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The room was resolved: so is its alert, unless the agent failed or a human acted after it."""
    if alert is not None and activity.at < alert.last_event_at:
        return
    if room.human_last_at is not None and activity.at < room.human_last_at:
        return
    settle(room, Room.State.RESOLVED, activity.at)
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
    settle(room, Room.State.BOT, activity.at)
    if alert is not None and alert.state == Alert.State.INTERVENED:
        book.record(alert, "returned", at=activity.at, actor=activity.actor, detail=_detail(activity))


def _customer(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The customer wrote and waits, unless they were answered, or the room resolved, since."""
    if room.answered_at is not None and activity.at <= room.answered_at:
        return
    if room.state == Room.State.RESOLVED:
        if room.settled_at is not None and activity.at <= room.settled_at:
            return
        room.state = Room.State.BOT
    _wait(book, room, alert, min(activity.at, room.customer_waiting_since or activity.at))


def _wait(book: Book, room: Room, alert: Alert | None, since: datetime | None) -> None:
    room.customer_waiting_since = since
    if alert is not None and alert.customer_waiting_since != since:
        alert.customer_waiting_since = since
        book.touch(alert)


def _bot(book: Book, activity: RoomActivity, room: Room, alert: Alert | None) -> None:
    """The bot wrote: the customer is answered; after a human's message it means the bot has the room back.

    While the clock of a handoff runs no human has written yet: "you are being connected" gives nothing back.
    """
    _answer(room, alert, activity.at)
    _wait(book, room, alert, room.customer_waiting_since)
    if (
        room.handed_off_at is None
        and room.human_since is not None
        and activity.at > (room.human_last_at or room.human_since)
    ):
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
