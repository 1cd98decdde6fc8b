"""The gate, pure: bucket, breaker, pause, probe and doubling."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts.delivery.answers import PushOutcome, classify, seconds_to_wait
from alerts.delivery.gate import Admission, admit, is_clear, learn, take_tokens
from alerts.models import Gate

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
RATE, BURST = 50.0, 200.0
SENT = PushOutcome("sent", "")
FAILED = PushOutcome("retry", "503")
REFUSED = PushOutcome("refused", "400")
UNAUTHORIZED = PushOutcome("configuration", "401")


def a_gate(**fields: object) -> Gate:
    return Gate(**{"tokens": BURST, "refilled_at": NOW, **fields})


def after(gate: Gate, *outcomes: PushOutcome, probe: bool = False, at: datetime = NOW) -> Gate:
    learn(gate, outcomes, probe, at, BURST)
    return gate


def seconds_closed(gate: Gate, at: datetime = NOW) -> float:
    assert gate.closed_until is not None
    return (gate.closed_until - at).total_seconds()


# --- the bucket ----------------------------------------------------------------------------------------------------


def test_a_full_bucket_lets_a_burst_through() -> None:
    assert admit(a_gate(), NOW, RATE, BURST) == Admission(200)


def test_an_empty_bucket_fills_by_the_second() -> None:
    gate = a_gate(tokens=0.0)
    assert admit(gate, NOW, RATE, BURST).limit == 0
    assert admit(gate, NOW + timedelta(seconds=1), RATE, BURST).limit == 50


def test_it_never_holds_more_than_a_burst() -> None:
    gate = a_gate(tokens=0.0)
    admit(gate, NOW + timedelta(hours=1), RATE, 120.0)
    assert gate.tokens == 120.0


def test_what_is_claimed_is_gone() -> None:
    gate = a_gate()
    take_tokens(gate, Admission(200), 150, NOW)
    assert admit(gate, NOW, RATE, BURST).limit == 50


def test_a_clock_that_went_back_adds_nothing() -> None:
    gate = a_gate(tokens=3.0)
    assert admit(gate, NOW - timedelta(hours=2), RATE, BURST).limit == 3


# --- the breaker ---------------------------------------------------------------------------------------------------


def test_four_failures_in_a_row_change_nothing() -> None:
    assert after(a_gate(), *[FAILED] * 4).closed_until is None


def test_a_good_answer_starts_the_count_again() -> None:
    assert after(a_gate(), *[FAILED] * 4, SENT, *[FAILED] * 4).closed_until is None


def test_a_refusal_is_an_answer() -> None:
    assert after(a_gate(), *[FAILED] * 4, REFUSED, *[FAILED] * 4).closed_until is None


def test_five_failures_in_a_row_close_it_for_five_seconds() -> None:
    gate = after(a_gate(), *[FAILED] * 5)
    assert (gate.reason, seconds_closed(gate)) == ("breaker", 5.0)
    assert admit(gate, NOW + timedelta(seconds=4), RATE, BURST) == Admission(0, open=False)


def test_failures_that_set_off_before_it_closed_do_not_lengthen_it() -> None:
    gate = after(a_gate(), *[FAILED] * 50)
    assert seconds_closed(gate) == 5.0


def test_then_one_probe_and_nothing_beside_it() -> None:
    gate = after(a_gate(), *[FAILED] * 5)
    later = NOW + timedelta(seconds=6)
    admission = admit(gate, later, RATE, BURST)
    assert admission == Admission(1, probe=True)
    take_tokens(gate, admission, 1, later)
    assert not admit(gate, later + timedelta(seconds=12), RATE, BURST).open
    assert admit(gate, later + timedelta(seconds=21), RATE, BURST).probe  # that probe died with its process


def test_every_failed_probe_doubles_the_pause_up_to_a_minute() -> None:
    gate, at, pauses = after(a_gate(), *[FAILED] * 5), NOW, []
    for _ in range(6):
        at = gate.closed_until or at
        admission = admit(gate, at, RATE, BURST)
        take_tokens(gate, admission, 1, at)
        after(gate, FAILED, probe=True, at=at)
        pauses.append(seconds_closed(gate, at))
    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]


def test_a_good_probe_opens_it_two_then_doubling() -> None:
    gate = after(a_gate(failures=5, probing=True, reason="breaker"), SENT, probe=True)
    limits = []
    while not is_clear(gate):
        limits.append(admit(gate, NOW, RATE, BURST).limit)
        after(gate, SENT)
    assert limits == [2, 4, 8, 16, 32, 64, 128]


def test_a_failure_while_it_recovers_does_not_double() -> None:
    gate = after(a_gate(allowance=4.0), SENT, FAILED)
    assert gate.allowance == 4.0


# --- pauses --------------------------------------------------------------------------------------------------------


def test_retry_after_pauses_everybody() -> None:
    gate = after(a_gate(), PushOutcome("retry", "429", retry_after=120.0))
    assert (gate.reason, seconds_closed(gate)) == ("retry_after", 120.0)


def test_a_shorter_pause_does_not_cut_a_longer_one() -> None:
    gate = after(a_gate(), PushOutcome("retry", "", retry_after=120.0), PushOutcome("retry", "", retry_after=1.0))
    assert seconds_closed(gate) == 120.0


def test_unauthorized_holds_everything_for_a_minute() -> None:
    gate = after(a_gate(), UNAUTHORIZED)
    assert (gate.reason, seconds_closed(gate), gate.failures) == ("configuration", 60.0, 0)


def test_the_probe_that_is_unauthorized_again_holds_it_again() -> None:
    gate = after(a_gate(probing=True, reason="configuration"), UNAUTHORIZED, probe=True)
    assert (gate.reason, seconds_closed(gate)) == ("configuration", 60.0)


def test_a_long_pause_does_not_hide_that_we_are_unauthorized() -> None:
    gate = after(a_gate(), PushOutcome("retry", "", retry_after=3600.0), UNAUTHORIZED)
    assert (gate.reason, seconds_closed(gate)) == ("configuration", 3600.0)


def test_what_was_given_back_tells_nothing() -> None:
    assert is_clear(after(a_gate(), *[PushOutcome("given_back", "")] * 9))


# --- answers -------------------------------------------------------------------------------------------------------

GOOD = b'{"notification_id": "ntf_1", "in_app": "stored", "push": "queued"}'


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 1.0),
        ("1e9", 3600.0),
        ("1000000000.0", 3600.0),
        ("9" * 5000, 3600.0),
        ("Mon, 05 Jan 2026 12:02:00 GMT", 120.0),
        ("Mon, 05 Jan 2026 11:00:00 GMT", 1.0),
        ("Mon, 05 Jan 2026 12:02:00 -0000", 120.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("٣", None),
        ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ],
)
def test_retry_after(retry_after: str | None, seconds: float | None) -> None:
    """Fault 18."""
    assert seconds_to_wait(retry_after, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (202, GOOD, "sent"),
        (200, GOOD, "sent"),
        (202, b'{"notification_id": "n", "in_app": "stored", "push": "no_token"}', "sent"),
        (202, b'{"notification_id": "n", "in_app": "stored", "push": "maybe"}', "retry"),
        (202, b'{"notification_id": "", "in_app": "stored", "push": "queued"}', "retry"),
        (202, b'{"notification_id": "n\\u0000", "in_app": "stored", "push": "queued"}', "retry"),
        (202, b'{"notification_id": 1, "in_app": "stored", "push": "queued"}', "retry"),
        (202, GOOD[:-10], "retry"),
        (200, b"<html>", "retry"),
        (200, b"", "retry"),
        (200, b"\xff\xfe", "retry"),
        (200, b"[" * 60_000, "retry"),
        (200, None, "retry"),  # longer than we read
        (302, b"", "retry"),
        (408, b"", "retry"),
        (425, b"", "retry"),
        (429, b"", "retry"),
        (500, b"", "retry"),
        (599, b"", "retry"),
        (400, b"", "refused"),
        (422, b"", "refused"),
        (413, b"", "refused"),
        (401, b"", "configuration"),
        (403, b"", "configuration"),
        (404, b"", "configuration"),
    ],
)
def test_what_an_answer_means(status: int, body: bytes | None, kind: str) -> None:
    assert classify(status, None, body, NOW).kind == kind


def test_a_refusal_carries_the_services_own_words_on_one_line() -> None:
    body = b'{"error": {"code": "invalid", "message": "No\\r\\nsuch person"}}'
    assert classify(422, None, body, NOW).answer == "422 from notification-service: No  such person"


def test_an_answer_keeps_no_personal_data() -> None:
    body = b'{"error": {"code": "gone", "message": "no device of 081298765432, sari@example.com"}}'
    assert classify(422, None, body, NOW).answer == "422 from notification-service: no device of [phone], [email]"


def test_only_a_retry_listens_to_retry_after() -> None:
    assert classify(503, "9", b"", NOW).retry_after == 9.0
    assert classify(202, "9", GOOD, NOW).retry_after is None
