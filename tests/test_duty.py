"""Who is on duty when, against a scan of every minute: by the wall clock of the org, whatever its clocks do."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orgs.duty.hours import HoursInvalid, WeeklyHours, hours_text, normal_hours, weekly_hours
from orgs.duty.roster import (
    Roster,
    Shift,
    absence,
    duty_gaps,
    duty_of,
    duty_spans,
    is_on_duty,
    is_quiet,
    next_duty,
    next_duty_change,
    open_spans,
    quiet_ends,
    told_spans,
    turns,
)
from orgs.duty.spans import INSTANT, DutySpan, wall_spans
from orgs.routing import standing_at
from tests.examples import at_most

MINUTE = timedelta(minutes=1)
# Santiago skips midnight in September and doubles 23:00 in April; Adelaide is at 9:30 and 10:30; Cairo skips midnight.
ZONES = {
    "America/Santiago": (datetime(2026, 9, 6, 4, tzinfo=UTC), datetime(2026, 4, 5, 3, tzinfo=UTC)),
    "Australia/Adelaide": (datetime(2026, 10, 3, 16, 30, tzinfo=UTC), datetime(2026, 4, 4, 16, 30, tzinfo=UTC)),
    "Africa/Cairo": (datetime(2026, 4, 23, 22, tzinfo=UTC), datetime(2026, 10, 29, 21, tzinfo=UTC)),
}
TIMES = st.sampled_from([0, 1, 30, 90, 119, 120, 480, 510, 1020, 1380, 1410, 1439]) | st.integers(0, 1439)
HOLIDAYS = frozenset(date(2026, 1, 1) + timedelta(days=days) for days in range(0, 365, 11))


@st.composite
def weekly(draw):
    days = tuple(sorted(draw(st.sets(st.integers(1, 7), min_size=1))))
    begin, end = draw(TIMES), draw(TIMES)
    end = end if end > begin else end + 1440
    return WeeklyHours(days, begin, end, draw(st.booleans()))


def someone(**facts):
    return Shift(
        **{"user_id": 1, "sso_id": "rina", "name": "Rina", "locale": "", "role_id": 1, "role": "a", "tier": 1} | facts
    )


def shows_duty(wall, hours, holidays):
    """Whether the wall clock shows a time in these hours, read day by day."""
    for back in (0, 1):
        day = wall.date() - timedelta(days=back)
        minute = back * 1440 + wall.hour * 60 + wall.minute
        for one in hours:
            off = one.holidays_off and day in holidays
            if day.isoweekday() in one.days and not off and one.begin <= minute < one.end:
                return True
    return False


def scanned(begin, end, holds):
    """The minutes for which it holds, as spans."""
    found, at = [], begin
    while at < end:
        if holds(at):
            if found and found[-1][1] == at:
                found[-1][1] = at + MINUTE
            else:
                found.append([at, at + MINUTE])
        at += MINUTE
    return [DutySpan(*one) for one in found]


@pytest.mark.slow
@given(
    hours=st.lists(weekly(), min_size=1, max_size=3),
    quiet=st.lists(weekly(), max_size=1),
    zone=st.sampled_from(sorted(ZONES)),
    which=st.integers(0, 1),
    cut=st.integers(0, 1439),
    away=st.none() | st.integers(-600, 2000),
    handed=st.none() | st.integers(0, 2000),
    temporary=st.none() | st.tuples(st.integers(0, 1500), st.integers(1, 1500), st.lists(weekly(), max_size=2)),
)
@settings(max_examples=at_most(60), deadline=None, derandomize=True)
def test_what_holds_at_every_minute_is_what_the_spans_say(hours, quiet, zone, which, cut, away, handed, temporary):
    """Around the two changes of the clocks: duty of a person and role, who is told, gaps, and what changes next."""
    begin = ZONES[zone][which] - timedelta(hours=20) + timedelta(minutes=cut - cut % 7)
    end = begin + timedelta(hours=44)
    usual = someone(hours=tuple(hours), away_until=None if away is None else begin + timedelta(minutes=away))
    shifts, replaced, handed_over = [usual], {}, {}
    if handed is not None:
        handed_over = {1: [DutySpan(begin + timedelta(minutes=handed), begin + timedelta(minutes=handed + 30))]}
    if temporary is not None:
        start, lasts, other = temporary
        span = DutySpan(begin + timedelta(minutes=start), begin + timedelta(minutes=start + lasts))
        replaced = {1: [span]}
        shifts.append(someone(hours=tuple(other), only=span))
    roster = Roster(zone, shifts, HOLIDAYS, replaced, {1: tuple(quiet)}, handed_over)
    local = ZoneInfo(zone)

    def on_duty(at):
        if usual.away_until and at < usual.away_until and shifts[-1] is usual:
            return False
        if any(a <= at < b for a, b in handed_over.get(1, ())):
            return False
        inside = temporary is not None and replaced[1][0].begin <= at < replaced[1][0].end
        if not inside:
            away_now = usual.away_until is not None and at < usual.away_until
            return not away_now and shows_duty(at.astimezone(local), hours, HOLIDAYS)
        return not temporary[2] or shows_duty(at.astimezone(local), temporary[2], HOLIDAYS)

    truth = scanned(begin, end, on_duty)
    assert duty_of(roster, 1, 1, begin, end) == truth
    assert duty_gaps(roster, 5, begin, end) == scanned(begin, end, lambda at: not on_duty(at))
    at = begin + timedelta(minutes=(cut * 7) % 2600)
    assert any(is_on_duty(roster, shift, at) for shift in shifts) == on_duty(at)
    assert is_quiet(roster, 1, at) == shows_duty(at.astimezone(local), quiet, ())
    told = scanned(begin, end, lambda at: is_on_duty(roster, usual, at) and not is_quiet(roster, 1, at))
    assert told_spans(roster, usual, begin, end) == told
    if end_of := quiet_ends(roster, 1, at):
        assert is_quiet(roster, 1, end_of - MINUTE) and not is_quiet(roster, 1, end_of)
    for before, after in pairwise(turns(roster, begin, end)):
        assert standing_at(roster, 5, before) == standing_at(roster, 5, after - INSTANT)
    if (change := next_duty_change(roster, usual, at)) and change <= end:
        assert is_on_duty(roster, usual, change) != is_on_duty(roster, usual, change - MINUTE)


@pytest.mark.slow
@pytest.mark.parametrize("zone", sorted(ZONES))
def test_a_year_of_holidays_minute_by_minute(zone):
    hours = (
        WeeklyHours((1, 2, 3, 4, 5), 510, 1020, True),
        WeeklyHours((6, 7), 1320, 1440 + 360, True),
        WeeklyHours((7,), 0, 45),
        WeeklyHours((7,), 30, 200),
        WeeklyHours((4, 6), 1400, 1440),
    )
    begin, local = datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo(zone)
    end = begin + timedelta(days=365)
    truth = scanned(begin, end, lambda at: shows_duty(at.astimezone(local), hours, HOLIDAYS))
    assert wall_spans(hours, zone, begin, end, HOLIDAYS) == truth


def test_half_past_eight_stays_half_past_eight_on_both_sides_of_a_change():
    shift = someone(hours=(WeeklyHours((1, 2, 3, 4, 5, 6, 7), 510, 600),))
    change = ZONES["Australia/Adelaide"][0]
    spans = duty_spans(
        Roster("Australia/Adelaide", [shift]), shift, change - timedelta(days=2), change + timedelta(days=2)
    )
    walls = [span.begin.astimezone(ZoneInfo("Australia/Adelaide")) for span in spans]
    assert {(wall.hour, wall.minute) for wall in walls} == {(8, 30)}
    assert len({span.begin.hour for span in spans}) == 2


@pytest.mark.parametrize(("which", "lasts"), [(0, 7), (1, 9)])
def test_a_shift_over_a_change_is_an_hour_shorter_or_longer(which, lasts):
    """From 22:00 to 06:00 by the wall: what midnight skips is not worked, what comes twice is worked twice."""
    change = ZONES["America/Santiago"][which]
    shift = someone(hours=(WeeklyHours((6,), 1320, 1800),))
    (span,) = duty_spans(
        Roster("America/Santiago", [shift]), shift, change - timedelta(hours=12), change + timedelta(hours=12)
    )
    assert span.end - span.begin == timedelta(hours=lasts)


def test_without_hours_one_is_always_on_duty():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    roster = Roster("Asia/Jakarta", [someone()])
    assert roster.is_plain
    assert duty_spans(roster, roster.shifts[0], at, at + timedelta(days=9)) == [DutySpan(at, at + timedelta(days=9))]
    assert next_duty_change(roster, roster.shifts[0], at) is None
    assert quiet_ends(roster, 1, at) is None
    assert next_duty(roster, 1, at) == at


def test_what_begins_before_a_holiday_runs_on_into_it():
    night = someone(hours=(WeeklyHours((1, 2, 3, 4, 5, 6, 7), 1320, 1800, True),))
    roster = Roster("UTC", [night], frozenset([date(2026, 3, 3)]))
    begin = datetime(2026, 3, 2, tzinfo=UTC)
    spans = duty_spans(roster, night, begin, begin + timedelta(days=3))
    hours = [(span.begin - begin, span.end - begin) for span in spans]
    assert [(a / timedelta(hours=1), b / timedelta(hours=1)) for a, b in hours] == [(0, 6), (22, 30), (70, 72)]


def test_a_fallback_ignores_hours_and_schedules_but_not_absence():
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    fallback = someone(fallback=True, hours=(WeeklyHours((1,), 0, 60),))
    roster = Roster("UTC", [fallback], replaced={1: [DutySpan(at, at + MINUTE)]})
    assert absence(roster, fallback, at) == ""
    assert absence(roster, replace(fallback, away_until=at + MINUTE), at) == "away"
    assert duty_gaps(roster, 1, at, at + MINUTE) == [DutySpan(at, at + MINUTE)]


def test_business_hours_are_shown_and_decide_nothing():
    at = datetime(2026, 3, 2, tzinfo=UTC)
    roster = Roster(
        "UTC", [someone()], frozenset([date(2026, 3, 3)]), business_hours=(WeeklyHours((1, 2, 3), 540, 1020),)
    )
    assert [span.begin.day for span in open_spans(roster, at, at + timedelta(days=7))] == [2, 4]
    assert is_on_duty(roster, roster.shifts[0], at)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({"days": [], "from": "08:00", "to": "17:00"}, "[0].days"),
        ({"days": [0], "from": "08:00", "to": "17:00"}, "[0].days"),
        ({"days": [True], "from": "08:00", "to": "17:00"}, "[0].days"),
        ({"days": "1-5", "from": "08:00", "to": "17:00"}, "[0].days"),
        ({"days": [1], "from": "08:00", "to": "08:00"}, "[0].to"),
        ({"days": [1], "from": "24:00", "to": "08:00"}, "[0].from"),
        ({"days": [1], "from": "08:00", "to": "24:00"}, "[0].to"),
        ({"days": [1], "from": "8:00", "to": "17:00"}, "[0].from"),
        ({"days": [1], "from": 800, "to": "17:00"}, "[0].from"),
        ({"days": [1], "from": "\u0660\u0668:00", "to": "17:00"}, "[0].from"),
        ({"days": [1], "from": "08:00"}, "[0].to"),
        ({"days": [1], "from": "08:00", "to": "17:00", "holidays": "maybe"}, "[0].holidays"),
        ({"days": [1], "from": "08:00", "to": "17:00", "zone": "UTC"}, "[0].zone"),
        ("1-5 08:00-17:00", "[0]"),
    ],
)
def test_hours_that_are_none_are_refused_by_field(item, field):
    with pytest.raises(HoursInvalid) as refused:
        normal_hours([item], holidays=True)
    assert refused.value.field == field


def test_hours_are_stored_in_one_spelling():
    stored = normal_hours(
        [
            {"days": [5, 1, 1, 2, 3, 4], "from": "08:00", "to": "17:00", "holidays": "off"},
            {"days": [6, 7], "from": "22:00", "to": "00:00", "holidays": "work"},
        ],
        holidays=True,
    )
    assert hours_text(stored) == "1-5 08:00-17:00 holidays off; 6,7 22:00-00:00"
    assert weekly_hours(stored) == (WeeklyHours((1, 2, 3, 4, 5), 480, 1020, True), WeeklyHours((6, 7), 1320, 1440))
    with pytest.raises(HoursInvalid):
        normal_hours(stored)  # quiet hours know no holidays
