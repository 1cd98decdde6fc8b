"""What holds of alerts, pushes and rooms after any step. The tables are read once, whatever is asked of them."""

import itertools
from collections import Counter, defaultdict
from datetime import timedelta

from alerts import actions
from alerts.actions.telling import TELLS
from alerts.decide import RANK, TO_HOLDER, RoomFacts
from alerts.due import next_timer
from alerts.models import Alert, DigestAlert, FailureEvent, Push, Room, RoomActivity, Silence, Transition
from alerts.policy import DEFAULT_POLICY

PEOPLE_OF_TIER = {0: 1, 1: 2, 2: 1}  # tier 0: the specialist
BUDGET = 3


class Seen:
    """All rows of the few rooms of a test, as they are now."""

    def __init__(self):
        self.rooms = {room.pk: room for room in Room.objects.all()}
        self.alerts = {alert.pk: alert for alert in Alert.objects.all()}
        self.events = {event.pk: event for event in FailureEvent.objects.all()}
        self.heard = list(RoomActivity.objects.all())
        self.changes = list(Transition.objects.order_by("id"))
        self.pushes = list(Push.objects.order_by("planned_at", "occurrence"))
        self.silences = list(Silence.objects.all())
        self.changes_of = defaultdict(list)
        for change in self.changes:
            self.changes_of[change.alert_id].append(change)

    def open_alerts(self, scope="room"):
        return [one for one in self.alerts.values() if one.scope == scope and one.state != "resolved"]

    def told(self):
        """The pushes that tell of alerts, oldest first."""
        return [push for push in self.pushes if push.state in TELLS and push.kind == "alert"]

    def later(self, push):
        """Pushes of the same alert to the same person; two of one instant go by their occurrence."""
        at = (push.planned_at, push.occurrence)
        theirs = [one for one in self.pushes if one.supervisor_id == push.supervisor_id]
        return [one for one in theirs if one.alert_id == push.alert_id and (one.planned_at, one.occurrence) > at]


def check_one_open_alert_per_room(seen):
    assert max(Counter(one.room_id for one in seen.open_alerts()).values(), default=1) == 1


def check_no_two_pushes_in_a_window_unless_worsened(seen):
    """Nor unless it is worse than all that they were told within it: it got so while something held it."""
    told = defaultdict(list)
    for push in seen.told():
        theirs = told[push.room_id, push.supervisor_id]
        lately = [one for one in theirs if push.planned_at - one.planned_at < DEFAULT_POLICY.throttle]
        breaks = push.reason in ("worsened", "escalated", "window_closing") or _is_worse(seen, push)
        assert breaks or all(RANK[one.severity] < RANK[push.severity] for one in lately)
        theirs.append(push)


def _is_worse(seen, push):
    """Of a human in the room, its reason says so even where it got worse."""
    rows = [one for one in seen.changes_of[push.alert_id] if one.occurrence == push.occurrence]
    return push.reason in TO_HOLDER and any(one.change == "worsened" for one in rows)


def check_every_event_is_counted_and_says_why(seen):
    assert all(event.reason for event in seen.events.values())
    counted = Counter(event.alert_id for event in seen.events.values())
    for alert in seen.alerts.values():
        if alert.scope == "room":
            assert alert.event_count == counted[alert.pk] == sum(entry["count"] for entry in alert.signals)


def check_every_timer_is_in_its_row(seen):
    for alert in seen.alerts.values():
        room = seen.rooms.get(alert.room_id)
        timer = next_timer(alert.facts, room.facts if room else RoomFacts(), DEFAULT_POLICY)
        assert alert.due_at == (timer[0] if timer else None)


def check_nobody_is_told_of_what_is_over(seen):
    """By the events' own times, not by the reason the code under test gave them."""
    for change in seen.changes:
        event = seen.events.get(change.event_id)
        late = event is not None and event.received_at > event.occurred_at + timedelta(minutes=10)
        if not late or (change.change, change.occurrence) == ("attached", 0):
            continue
        assert (change.change in ("opened", "rearmed"), change.occurrence) == (True, 0)
        heard = [one for one in seen.heard if one.room_id == event.room_id and one.at >= event.occurred_at]
        heard = [one for one in heard if one.kind in ("human_message", "resolved", "returned_to_agent")]
        assert not [one for one in heard if not one.undelivered and one.received_at < event.received_at]
    for again in [one for one in seen.changes if one.change == "rearmed"]:
        at = seen.events[again.event_id].occurred_at
        before = [one for one in seen.changes_of[again.alert_id] if one.id < again.id]
        ends = [one for one in before if one.change in ("resolved", "returned")]
        ends = [one for one in ends if one.reason != "quiet"]  # nobody said it was over
        assert not [one for one in ends if one.at > at]


def check_an_open_alert_waits_as_its_room_does(seen):
    for alert in seen.open_alerts():
        assert alert.customer_waiting_since == seen.rooms[alert.room_id].customer_waiting_since


def check_nobody_waits_whom_a_human_answered(seen):
    """And a bot's answer counts only if no failure that left the customer waiting came after what they asked."""
    for room in seen.rooms.values():
        if room.answered_at is None or room.customer_waiting_since is None:
            continue
        human = [one for one in seen.heard if one.room_id == room.pk and one.kind == "human_message"]
        human = [one for one in human if not one.undelivered and one.at == room.answered_at]
        assert not human or room.customer_waiting_since >= room.answered_at


def check_only_the_newest_push_waits(seen):
    waiting = [push for push in seen.pushes if push.state == "pending" and push.kind == "alert"]
    assert max(Counter((push.alert_id, push.supervisor_id) for push in waiting).values(), default=1) == 1


def check_planned_pushes_are_explained(seen):
    """Every decision to tell people left a push for each recipient, and every one not sent says why."""
    assert all(push.ended_reason for push in seen.pushes if push.state in ("skipped", "cancelled", "dead"))
    for change in seen.changes:
        if not change.occurrence or change.reason == "unroutable":
            continue
        told = [push for push in seen.pushes if push.alert_id == change.alert_id]
        told = [push for push in told if push.occurrence == change.occurrence]
        tiers = {push.tier for push in told}
        wanted = change.detail.get("wanted", change.reason)  # whatever held it back
        if wanted in (*TO_HOLDER, "window_closing") and len(told) == 1:
            continue  # whoever has the room, or the alert, alone
        if change.change == "escalated":
            assert tiers == {change.detail["to"] or 0}
        else:
            assert tiers in ({1}, {1, 2})
        assert len(told) == sum(PEOPLE_OF_TIER[tier] for tier in tiers)


def check_each_tier_is_told_before_the_next(seen):
    """In each episode the first tier first, then each once; nobody of a tier is told that was not reached."""
    for alert in seen.alerts.values():
        rows = [one for one in seen.changes_of[alert.pk] if one.episode == alert.episode]
        reached = [row.detail["to"] for row in rows if row.change == "escalated"]
        on = any((row.change, row.reason) == ("rearmed", "flapping") for row in rows)
        steps = [1, 2, None] if reached[:1] == [1] else [2, None]  # first of all whoever has the room
        assert reached == steps[: len(reached)] or (on and reached == [None])
        if reached and not on:
            assert alert.tier == max(tier for tier in (*reached, 0) if tier) if any(reached) else alert.tier == 2
            assert (alert.tiers_over_at is not None) == (None in reached)


def check_no_budget_is_exceeded(seen):
    """In no 10 min more than 6 pushes about alerts to one person; digests 10 min apart, with a critical one 5."""
    times = defaultdict(list)
    for push in seen.pushes:
        if push.state in TELLS:
            times[push.supervisor_id, push.kind].append(push.planned_at)
    for (_, kind), planned in times.items():
        if kind == "alert":
            assert all(b - a >= timedelta(minutes=10) for a, b in zip(planned, planned[BUDGET:], strict=False))
        else:
            assert all(b - a >= timedelta(minutes=5) for a, b in itertools.pairwise(planned))


def check_what_went_over_a_budget_is_in_a_digest(seen):
    over = {(push.supervisor_id, push.alert_id) for push in seen.pushes if push.ended_reason == "over_budget"}
    assert not over or over <= set(DigestAlert.objects.values_list("push__supervisor", "alert"))


def check_what_an_outage_held_is_released_or_over(seen):
    """A room whose push was held is under an outage still, was told of since, or nobody waits for anybody to come."""
    for push in seen.pushes:
        if push.ended_reason not in ("held_by_agent_outage", "held_by_source_outage"):
            continue
        alert = seen.alerts[push.alert_id]
        changes = seen.changes_of[alert.pk]
        released = any(one.change == "released_hold" and one.at >= push.planned_at for one in changes)
        over = any(one.scope == "agent" and one.released_at is None for one in seen.alerts.values())
        over = over or alert.state != "open"
        moved = any(one.actor_id is not None and one.at > push.planned_at for one in changes)
        snoozed = alert.is_snoozed(alert.updated_at)
        assert over or released or seen.later(push) or moved or alert.episode > 1 or snoozed


def check_nobody_is_told_of_a_room_under_an_outage(seen):
    """Unless somebody had it meanwhile."""
    for outage in seen.open_alerts("agent"):
        for pk in actions.rooms_under(outage).values_list("pk", flat=True):
            since = [one for one in seen.changes_of[pk] if one.at >= outage.opened_at]
            told = [push for push in seen.told() if push.alert_id == pk and push.planned_at > outage.opened_at]
            assert not told or any(one.actor_id or one.change in ("expired", "opened_room") for one in since)


def check_nobody_is_told_of_what_is_silenced(seen):
    """Neither worsening nor escalation breaks a silence of a room, or of the whole org."""
    for silence in seen.silences:
        until = silence.ended_at or silence.ends_at
        told = [push for push in seen.told() if push.tier > 0 and silence.starts_at < push.planned_at < until]
        if silence.room_id:
            told = [push for push in told if push.room_id and seen.rooms[push.room_id].room_id == silence.room_id]
        assert silence.signal or not told


def check_what_a_silence_held_is_released_or_over(seen):
    """A telling that was held waits for the end of a silence, was let go since, or nobody waits for anybody."""
    for push in seen.pushes:
        if push.ended_reason != "silenced":
            continue
        alert = seen.alerts[push.alert_id]
        since = {one.change for one in seen.changes_of[alert.pk] if one.at >= push.ended_at}
        released = "released_hold" in since or any(one.ended_reason != "silenced" for one in seen.later(push))
        over = alert.state == "resolved" or since & {"resolved", "rearmed", "abandoned"}
        assert alert.silenced_until is not None or released or over
        assert alert.silenced_until is None or alert.silenced_until > alert.silenced_from


CHECKS = [value for name, value in list(globals().items()) if name.startswith("check_")]
