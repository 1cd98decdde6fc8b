"""When a silence holds, and what it covers: pure."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.silencing import (
    AlertSubject,
    SilenceFacts,
    channel_name,
    covering,
    overlaps_itself,
    silence_state,
    window_at,
    windows,
)
from tests.examples import at_most

START = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # a Monday


def silence(zone="Asia/Jakarta", starts=START, hours=2.0, **facts):
    return SilenceFacts(uuid4(), zone, starts, starts + timedelta(hours=hours), **facts)


def of_zone(zone, year, month, day, hour, minute=0):
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_one_that_does_not_recur_has_one_window():
    one = silence()
    assert [silence_state(one, START + timedelta(hours=h)) for h in (-1, 0, 1.9, 2)] == [
        *("scheduled", "active", "active", "ended")
    ]
    assert list(windows(one, START)) == [(START, START + timedelta(hours=2))]


@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/New_York", (2026, 3, 7)), ("America/New_York", (2026, 10, 31)), ("Asia/Jakarta", (2026, 3, 7))],
)
def test_one_that_recurs_does_so_by_the_wall_clock_over_a_change_of_it(zone, day):
    starts = of_zone(zone, *day, 8, 30)
    one = silence(zone, starts, hours=1.5, recurrence="daily", until=starts + timedelta(days=5))
    found = [window.starts.astimezone(ZoneInfo(zone)) for window in windows(one, starts)]
    assert {(at.hour, at.minute) for at in found} == {(8, 30)}
    assert len({at.date() for at in found}) == len(found) >= 5


def test_a_time_that_the_clock_skips_is_the_jump_and_one_it_shows_twice_is_covered_twice():
    zone = "America/New_York"
    starts = of_zone(zone, 2026, 3, 7, 2, 30)
    one = silence(zone, starts, hours=0.25, recurrence="daily", until=starts + timedelta(days=3))
    skipped = list(windows(one, starts))[1]
    assert skipped.starts == skipped.ends == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    autumn = of_zone(zone, 2026, 10, 31, 1, 10)
    one = silence(zone, autumn, hours=0.5, recurrence="daily", until=autumn + timedelta(days=3))
    doubled = list(windows(one, autumn))[1]
    assert doubled.ends - doubled.starts == timedelta(hours=1.5)


@given(
    zone=st.sampled_from(["Asia/Jakarta", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    starts=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1), timezones=st.just(UTC)),
    minutes=st.integers(1, 7 * 24 * 60),
    recurrence=st.sampled_from(["daily", "weekly"]),
    later=st.integers(0, 300 * 24 * 60),
)
@settings(max_examples=at_most(200), deadline=None, derandomize=True)
def test_windows_follow_each_other_never_overlap_and_end(zone, starts, minutes, recurrence, later):
    starts = starts.replace(microsecond=0)
    ends = starts + timedelta(minutes=minutes)
    if overlaps_itself(starts, ends, recurrence, zone):
        return
    until = starts + timedelta(days=200)
    one = SilenceFacts(uuid4(), zone, starts, ends, recurrence, until)
    at = starts + timedelta(minutes=later)
    found = list(islice(windows(one, at), 5))
    assert all(a.ends <= b.starts for a, b in pairwise(found))
    assert all(at < window.ends <= until for window in found)
    everything = [window for window in windows(one, starts) if window.ends > at]
    assert found == everything[:5]
    holds = [window for window in everything if window.starts <= at]
    assert window_at(one, at) == (holds[0] if holds else None)
    assert next(windows(one, until), None) is None


def covers(at=START, signals=("agent_error",), channel="", room="r1", silences=()):
    return covering(silences, AlertSubject(1, room, channel, signals), at)


def test_all_that_it_names_must_fit():
    fitting = [{}, {"agent_id": 1}, {"room_id": "r1"}, {"signal": "agent_error"}, {"channel": "whatsapp"}]
    assert all(covers(channel="WA_official", silences=[silence(**named)]) for named in fitting)
    others = [{"agent_id": 2}, {"room_id": "r2"}, {"signal": "message_cap"}, {"channel": "web"}]
    assert not any(covers(channel="WABA", silences=[silence(**named)]) for named in others)
    assert not covers(silences=[silence(agent_id=1, room_id="r2")])
    assert not covers(at=START + timedelta(hours=2), silences=[silence()])


def test_the_outage_of_an_agent_has_no_room_and_no_channel():
    assert covers(room=None, signals=["agent_outage"], silences=[silence(agent_id=1)])
    assert not covers(room=None, signals=["agent_outage"], silences=[silence(channel="web"), silence(room_id="r1")])


def test_each_signal_must_be_covered_and_the_first_end_counts():
    two = ("agent_error", "message_cap")
    errors, caps = silence(signal="agent_error", hours=3), silence(signal="message_cap", hours=1)
    assert covers(signals=two, silences=[errors]) is None
    found = covers(signals=two, silences=[errors, caps])
    assert found is not None and (found.silence, found.until) == (caps, caps.ends_at)
    found = covers(signals=two, silences=[errors, caps, silence(hours=2)])
    assert found is not None and found.until == START + timedelta(hours=2)


def test_a_window_that_was_closed_early_holds_nothing_and_the_next_does():
    one = silence(recurrence="daily", until=START + timedelta(days=9), closed_at=START)
    assert covers(silences=[one]) is None
    assert covers(at=START + timedelta(days=1), silences=[one]) is not None


def test_whatever_begins_with_wa_is_whatsapp():
    assert {channel_name(text) for text in ("wa", " WABA ", "Wa_Cloud")} == {"whatsapp"}
    assert channel_name("Web Chat") == "web chat"
