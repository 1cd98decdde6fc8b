"""The pure decisions: one table row or rule per test, no database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs

from alerts.decide import AlertFacts, EventFacts, PushFacts, RoomFacts, decide, plan, recheck, waiting_since
from alerts.due import next_timer, repeats_passed
from alerts.policy import PolicyFacts

NOW = datetime(2026, 11, 21, 2, 14, tzinfo=UTC)
ROOM = RoomFacts()
POLICY = PolicyFacts()
MINUTE = timedelta(minutes=1)


def event(signal="agent_error", ago=timedelta(0), **facts):
    return EventFacts(signal, NOW - ago, **facts)


def alert(state="open", severity="warning", **facts):
    return AlertFacts(
        **{"state": state, "severity": severity, "last_event_at": NOW - MINUTE, "ladder_from": NOW - MINUTE, **facts}
    )


def verdict(decision):
    return (decision.change, decision.severity, decision.notify, decision.reason)


@pytest.mark.parametrize(
    ("signal", "facts", "severity"),
    [
        ("agent_error", {}, "critical"),
        ("unexpected_handoff", {"handoff_completed": True}, "warning"),
        ("unexpected_handoff", {"handoff_completed": False}, "critical"),
        ("message_cap", {}, "warning"),
        ("low_confidence", {"confidence": 0.2}, "info"),
        ("help_requested", {}, "critical"),
    ],
)
def test_the_first_failure_opens_and_tells_with_the_default_severity(signal, facts, severity):
    assert verdict(decide(None, ROOM, event(signal, **facts), POLICY, NOW)) == ("opened", severity, True, "first")


def test_severity_comes_from_the_policy_of_the_org():
    policy = PolicyFacts({"low_confidence": "critical"})
    assert decide(None, ROOM, event("low_confidence", confidence=0.1), policy, NOW).severity == "critical"


def test_no_policy_softens_a_handoff_that_nobody_took():
    policy = PolicyFacts({"unexpected_handoff": "info"})
    assert decide(None, ROOM, event("unexpected_handoff", handoff_completed=False), policy, NOW).severity == "critical"


@pytest.mark.parametrize(
    ("of_policy", "of_event", "confidence", "change"),
    [
        (None, None, 0.49, "opened"),
        (None, None, 0.5, None),
        (None, 0.7, 0.6, "opened"),
        (0.4, 0.7, 0.6, None),
        (0.0, 0.7, 0.6, None),
    ],
)
def test_at_or_above_the_threshold_of_policy_then_event_then_half_nothing_is_decided(
    of_policy, of_event, confidence, change
):
    low = event("low_confidence", confidence=confidence, threshold=of_event)
    decision = decide(None, ROOM, low, PolicyFacts(confidence_threshold=of_policy), NOW)
    assert decision.change == change
    assert decision.reason == ("above_threshold" if change is None else "first")


def test_only_rising_severity_is_worsened():
    assert verdict(decide(alert(severity="info"), ROOM, event("message_cap"), POLICY, NOW)) == (
        "worsened",
        "warning",
        True,
        "worsened",
    )
    assert verdict(decide(alert(severity="critical"), ROOM, event("message_cap"), POLICY, NOW)) == (
        "attached",
        "critical",
        False,
        "attached",
    )


@pytest.mark.parametrize(
    ("minutes", "unseen", "change"),
    [(11, False, "opened"), (60, False, "opened"), (61, False, None), (61, True, "opened"), (3000, True, "opened")],
)
def test_a_late_event_opens_its_alert_within_the_hour_or_if_we_were_down(minutes, unseen, change):
    late = structs.replace(event(ago=minutes * MINUTE), unseen=unseen)
    assert verdict(decide(None, ROOM, late, POLICY, NOW)) == (change, "critical", False, "late")


@pytest.mark.parametrize("heard", ["human_last_at", "answered_at", "settled_at", "returned_at"])
def test_a_late_event_opens_nothing_where_something_was_heard_since(heard):
    late, room = event(ago=20 * MINUTE), RoomFacts(**{heard: NOW - 15 * MINUTE})
    assert verdict(decide(None, room, late, POLICY, NOW)) == (None, "critical", False, "late")
    assert decide(None, RoomFacts(**{heard: NOW - 25 * MINUTE}), late, POLICY, NOW).change == "opened"


def test_a_late_event_joins_an_open_alert_without_raising_it():
    late = event(ago=11 * MINUTE)
    assert verdict(decide(alert(severity="info"), ROOM, late, POLICY, NOW)) == ("attached", "info", False, "late")


def test_what_happened_before_the_room_was_resolved_arms_nothing_again():
    closed = alert("resolved", resolved_at=NOW - MINUTE)
    room = RoomFacts(settled_at=NOW - MINUTE)
    assert decide(closed, room, event(ago=2 * MINUTE), POLICY, NOW).reason == "late"
    assert decide(closed, room, event(), POLICY, NOW).reason == "rearmed"


@pytest.mark.parametrize(("minutes", "change"), [(59, "rearmed"), (60, "rearmed"), (61, "opened")])
def test_failing_again_within_the_hour_arms_the_same_alert(minutes, change):
    closed = alert("resolved", severity="critical", resolved_at=NOW - minutes * MINUTE)
    decision = decide(closed, ROOM, event("message_cap"), POLICY, NOW)
    assert (decision.change, decision.severity, decision.notify) == (change, "warning", True)


def test_while_a_human_holds_the_room_failures_attach_silently_even_when_they_worsen():
    room = RoomFacts(human_since=NOW - 20 * MINUTE, human_last_at=NOW - 14 * MINUTE)
    decision = decide(alert("intervened", "info"), room, event(), POLICY, NOW)
    assert verdict(decision) == ("worsened", "critical", False, "human_present")


def test_a_human_is_gone_15_minutes_after_their_last_act():
    room = RoomFacts(human_since=NOW - 20 * MINUTE, human_last_at=NOW - 15 * MINUTE)
    assert decide(alert("intervened", "info"), room, event(), POLICY, NOW).reason == "rearmed"


def test_after_return_to_the_bot_failing_again_is_a_new_episode():
    assert verdict(decide(alert("intervened", "critical"), ROOM, event("message_cap"), POLICY, NOW)) == (
        "rearmed",
        "warning",
        True,
        "rearmed",
    )


def test_an_acknowledged_alert_takes_more_of_the_same_quietly_but_not_worse():
    assert decide(alert("acknowledged"), ROOM, event("message_cap"), POLICY, NOW).reason == "acknowledged"
    assert decide(alert("acknowledged"), ROOM, event("agent_error"), POLICY, NOW).notify


def test_snoozed_holds_more_of_the_same_but_worsening_breaks_it():
    snoozed = alert(snoozed_until=NOW + MINUTE)
    assert decide(snoozed, ROOM, event("message_cap"), POLICY, NOW).reason == "snoozed"
    assert decide(snoozed, ROOM, event("agent_error"), POLICY, NOW).reason == "worsened"


def test_a_room_that_fails_with_a_human_in_it_opens_without_a_sound():
    room = RoomFacts(human_since=NOW - MINUTE)
    assert verdict(decide(None, room, event(), POLICY, NOW)) == ("opened", "critical", False, "human_present")


# --- who waits -------------------------------------------------------------------------------------------------------


def test_a_customer_waits_since_the_event_says_so_else_since_a_failure_without_answer():
    said = NOW - 3 * MINUTE
    assert waiting_since(event("message_cap", customer_waiting_since=said)) == said
    assert waiting_since(event("agent_error")) == NOW
    assert waiting_since(event("unexpected_handoff")) == NOW
    assert waiting_since(event("help_requested")) == NOW
    assert waiting_since(event("message_cap")) is None


# --- who is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "ago", "sends"),
    [("rearmed", 299, False), ("rearmed", 300, True), ("worsened", 1, True), ("repeat_due", 0, False)],
)
def test_one_push_per_supervisor_and_room_in_five_minutes_unless_it_worsened(reason, ago, sends):
    decided = plan(reason, NOW - timedelta(seconds=ago), NOW, throttle=POLICY.throttle)
    assert (decided.send, decided.reason) == (sends, "" if sends else "throttled")


def test_who_was_never_told_is_told():
    assert plan("first", None, NOW, throttle=POLICY.throttle).send


PUSH = PushFacts("first", NOW - MINUTE, False, True, "open", None, None)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"still_recipient": False}, "removed"),
        ({"newer_planned": True}, "superseded"),
        ({"alert_state": "resolved"}, "no_longer_needed"),
        ({"alert_state": "intervened"}, "no_longer_needed"),
        ({"alert_state": "acknowledged", "acknowledged_at": NOW}, "no_longer_needed"),
        ({"alert_state": "acknowledged", "acknowledged_at": NOW - 2 * MINUTE}, ""),
        ({"snoozed_until": NOW + MINUTE}, "no_longer_needed"),
        ({"snoozed_until": NOW + MINUTE, "reason": "worsened"}, ""),
        ({"planned_at": NOW - 31 * MINUTE}, "expired"),
    ],
)
def test_a_push_is_checked_again_when_it_is_claimed(change, reason):
    decided = recheck(replace(PUSH, **change), NOW)
    assert (decided.send, decided.reason) == (not reason, reason)


# --- timers ----------------------------------------------------------------------------------------------------------


def fresh(**facts):
    return alert(**{"ladder_from": NOW, "last_event_at": NOW, "customer_waiting_since": NOW, **facts})


@pytest.mark.parametrize(("done", "minutes"), [(0, 5), (1, 15), (2, 35), (3, 75)])
def test_repeats_come_at_5_15_35_and_75_minutes(done, minutes):
    assert next_timer(fresh(repeats_done=done), ROOM, POLICY) == (NOW + minutes * MINUTE, "repeat")


def test_after_the_fourth_repeat_only_the_end_is_left():
    assert next_timer(fresh(repeats_done=4), ROOM, POLICY) == (NOW + timedelta(hours=24), "abandoned")


def test_info_never_repeats():
    assert next_timer(fresh(severity="info", customer_waiting_since=None), ROOM, POLICY) == (NOW + 30 * MINUTE, "quiet")


def test_a_snooze_holds_the_repeat_until_it_ends():
    snoozed = fresh(snoozed_until=NOW + 20 * MINUTE)
    assert next_timer(snoozed, ROOM, POLICY) == (NOW + 20 * MINUTE, "repeat")
    assert repeats_passed(snoozed, POLICY, NOW + 20 * MINUTE) == 2


def test_a_handoff_without_a_human_becomes_critical_after_3_minutes():
    assert next_timer(fresh(), RoomFacts(handed_off_at=NOW), POLICY) == (NOW + 3 * MINUTE, "handed_off")
    assert next_timer(fresh(severity="critical"), RoomFacts(handed_off_at=NOW), POLICY) == (NOW + 5 * MINUTE, "repeat")


def test_an_acknowledge_expires():
    held = fresh(state="acknowledged", acknowledge_expires_at=NOW + 10 * MINUTE)
    assert next_timer(held, ROOM, POLICY) == (NOW + 10 * MINUTE, "expired")


def test_a_waiting_customer_is_never_closed_by_quiet():
    assert next_timer(fresh(state="intervened"), ROOM, POLICY) == (NOW + timedelta(hours=24), "abandoned")
    waits_for_a_human = fresh(state="intervened", severity="critical", customer_waiting_since=None)
    handed_off = RoomFacts(handed_off_at=NOW)
    assert next_timer(waits_for_a_human, handed_off, POLICY) == (NOW + timedelta(hours=24), "abandoned")


def test_quiet_counts_from_the_last_failure_or_human_act():
    done = fresh(state="intervened", customer_waiting_since=None)
    assert next_timer(done, RoomFacts(human_last_at=NOW + 9 * MINUTE), POLICY) == (NOW + 39 * MINUTE, "quiet")


def test_a_resolved_alert_has_no_timer():
    assert next_timer(fresh(state="resolved"), ROOM, POLICY) is None
