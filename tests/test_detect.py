"""What a run says of its own failure, as a pure rule; and when one that was stalled takes its alarm back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.detect import RunOutcome, detect_signals, due_time, takes_back

START = datetime(2026, 11, 29, 8, tzinfo=UTC)
END = START + timedelta(seconds=40)


def found(threshold: float | None = None, **facts: Any) -> list[str]:
    """The signals of a run that ended, if nothing else is said."""
    return [one.signal for one in detect_signals(RunOutcome(START, **{"ended_at": END, **facts}), threshold)]


@pytest.mark.parametrize(
    ("facts", "signals"),
    [
        ({"resolution": "resolved"}, []),
        ({"resolution": "failed"}, ["agent_error"]),
        ({"resolution": "escalated"}, ["unexpected_handoff"]),
        ({"resolution": "escalated", "handoff_expected": False}, ["unexpected_handoff"]),
        ({"resolution": "escalated", "handoff_expected": True}, []),
        ({"resolution": "resolved", "confidence": 0.49}, ["low_confidence"]),
        ({"resolution": "resolved", "confidence": 0.5}, []),
        ({"resolution": "resolved", "confidence": 0.0}, ["low_confidence"]),
        ({"resolution": "resolved", "message_count": 20, "message_cap": 20}, ["message_cap"]),
        ({"resolution": "resolved", "message_count": 19, "message_cap": 20}, []),
        ({"resolution": "resolved", "message_count": 5, "message_cap": 0}, []),
        ({"resolution": "resolved", "message_count": 5}, []),
        ({"resolution": "failed", "confidence": 0.1}, ["agent_error", "low_confidence"]),
        ({"ended_at": None, "confidence": 0.1, "message_count": 20, "message_cap": 20}, []),
        ({"ended_at": None, "overdue": True}, ["stalled_run"]),
        ({"resolution": "failed", "overdue": True}, ["stalled_run", "agent_error"]),
    ],
)
def test_each_signal_is_read_from_what_the_run_says(facts: dict[str, Any], signals: list[str]) -> None:
    assert found(**facts) == signals


@pytest.mark.parametrize(("threshold", "signals"), [(0.3, []), (0.31, ["low_confidence"]), (0.0, [])])
def test_the_policy_says_what_is_not_sure(threshold: float, signals: list[str]) -> None:
    assert found(threshold, resolution="resolved", confidence=0.3) == signals


def test_each_carries_what_its_failure_event_needs() -> None:
    run = RunOutcome(START, END, "failed", None, 0.1, 20, 20)
    said = {one.signal: one for one in detect_signals(run, None)}
    assert {one.at for one in said.values()} == {END}
    assert said["agent_error"].error_type == "run_failed"
    assert said["low_confidence"].confidence == 0.1
    assert (said["message_cap"].message_count, said["message_cap"].message_cap) == (20, 20)
    (handoff,) = detect_signals(RunOutcome(START, END, "escalated"), None)
    assert handoff.handoff_completed is True


@pytest.mark.parametrize(("target", "seconds"), [(None, 120), (600, 600), (0, 0)])
def test_a_run_stalls_at_its_target(target: int | None, seconds: int) -> None:
    (stalled,) = detect_signals(RunOutcome(START, sla_target_seconds=target, overdue=True), None)
    assert stalled.at == due_time(START, target) == START + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("minutes", "facts", "back"),
    [
        (10, {}, True),
        (62, {}, True),  # 60 min after it stalled, at 2 min
        (62.1, {}, False),
        (1, {}, True),  # it ended in time, and we heard of it late
        (10, {"resolution": "failed"}, False),
        (10, {"resolution": "escalated"}, False),
        (10, {"overdue": False}, False),
    ],
)
def test_a_stalled_run_that_ends_well_soon_enough_takes_its_alarm_back(
    minutes: float, facts: dict[str, Any], back: bool
) -> None:
    ended = START + timedelta(minutes=minutes)
    run = RunOutcome(START, ended, **{"resolution": "resolved", "overdue": True, **facts})
    assert takes_back(run) is back


RUNS = st.builds(
    RunOutcome,
    started_at=st.just(START),
    ended_at=st.none() | st.just(END),
    resolution=st.sampled_from(["", "resolved", "escalated", "failed"]),
    handoff_expected=st.none() | st.booleans(),
    confidence=st.none() | st.floats(0, 1),
    message_count=st.none() | st.integers(0, 2**31 - 1),
    message_cap=st.none() | st.integers(0, 2**31 - 1),
    sla_target_seconds=st.none() | st.integers(0, 2**31 - 1),
    overdue=st.booleans(),
)


@given(run=RUNS, threshold=st.none() | st.floats(0, 1))
def test_whatever_a_run_says_each_signal_is_read_once_and_in_one_way(run: RunOutcome, threshold: float | None) -> None:
    signals = detect_signals(run, threshold)
    names = [one.signal for one in signals]
    assert len(names) == len(set(names))
    assert signals == detect_signals(run, threshold)
    assert {"agent_error", "unexpected_handoff"} - set(names)  # a run has one resolution
    for one in signals:
        assert (one.at == END) is (one.signal != "stalled_run")
    if run.ended_at is None:
        assert set(names) <= {"stalled_run"}


@given(run=RUNS, less=st.floats(0, 1), more=st.floats(0, 1))
def test_a_stricter_threshold_never_finds_less(run: RunOutcome, less: float, more: float) -> None:
    low, high = sorted((less, more))
    assert set(detect_signals(run, low)) <= set(detect_signals(run, high))
