"""Each success figure by an example that can be counted by hand; intervals, periods, days of an org."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django_scopes import scopes_disabled

from alerts import actions, figures
from alerts.figures.formulas import census, share
from orgs import clock as database_clock
from orgs.models import Agent, Org, User
from tests.factories import AgentFactory, reach
from tests.scene import Scene
from tests.test_state_machine import freeze

NOON = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)  # 12:00 in Jakarta


class Day:
    """A day in a room, told in minutes after noon."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def at(self, minutes: float) -> Scene:
        freeze(NOON + timedelta(minutes=minutes))
        while actions.sweep_timers():
            pass
        return self.scene

    def success(self, starts: Any = None, ends: Any = None) -> dict[str, figures.Figure]:
        now = database_clock.now()
        found = figures.measure([self.scene.org], figures.period(starts, ends, now), "UTC", now)
        return {figure.metric.name: figure for figure in found.of_org[self.scene.org.pk]}

    def figure(self, name: str, **period: Any) -> tuple[float | None, int]:
        estimate = self.success(**period)[name].now
        return estimate.value, estimate.n


P75, REACHED = "time_to_intervene_p75_seconds", [f"reached_{minutes}min_pct" for minutes in (1, 5, 15)]
TIME, FOLLOW_UP, UNRESOLVED = "time_to_intervene_median_seconds", "follow_up_15min_pct", "unresolved_pct"
MUTED, FALSE_ALARM, CONFIDENCE, COVERAGE = "muted_pct", "false_alarm_pct", "with_confidence_pct", "coverage_pct"


@pytest.fixture
def day(system: None, org: Org) -> Day:
    freeze(NOON)
    return Day(Scene(org))


def test_no_data_is_no_zero(day: Day) -> None:
    for name, figure in day.success().items():
        if name != COVERAGE:
            assert (figure.now.value, figure.now.n, figure.now.low, figure.baseline.value) == (None, 0, None, None)


# --- time to intervene ---------------------------------------------------------------------------------------------


def test_time_runs_from_the_first_failure_to_the_first_human_act(day: Day) -> None:
    day.at(0).fails("low_confidence")
    day.at(1).fails("message_cap")
    day.at(4).happens("human_opened", who=day.scene.people[0])
    day.at(6).happens("human_message")
    assert day.figure(TIME) == (240, 1)


def test_the_time_is_the_median_over_all_episodes_those_nobody_came_to_included(day: Day) -> None:
    for room, minutes in (("a", 1), ("b", 2), ("c", 9)):
        day.at(0).fails(room=room)
        day.at(minutes).happens("human_message", room=room)
    assert day.figure(TIME) == (120, 3)
    day.at(10).fails(room="d")
    day.at(13)
    assert day.figure(TIME) == (330, 4)
    assert day.figure(P75) == (540, 4)
    assert [day.figure(name)[0] for name in REACHED] == [25, 50, 100]


def test_what_too_few_got_is_not_reached(day: Day) -> None:
    for room in ("a", "b", "c"):
        day.at(0).fails(room=room)
    day.at(1).happens("human_message", room="a")
    day.at(2).happens("resolved", room="b")
    day.at(20)
    found = day.success()
    assert (found[TIME].now.value, found[TIME].now.not_reached, found[TIME].now.n) == (None, True, 3)
    assert found[TIME].outcomes == {"came": 1, "nobody": 1, "open": 1}
    assert [round(found[name].now.value or 0) for name in REACHED] == [33, 33, 33]


def test_what_recovers_by_itself_is_waited_for_until_then(day: Day) -> None:
    day.at(0).fails("message_cap")
    day.at(31)  # closed by quiet
    assert day.success()[TIME].outcomes == {"recovered": 1}
    assert day.figure(REACHED[2]) == (0, 1)


def test_a_failure_in_front_of_a_human_waits_for_nobody(day: Day) -> None:
    day.at(0).happens("human_message")
    day.at(1).fails()
    day.at(2).happens("human_message")
    assert day.figure(TIME) == (None, 0)
    assert day.success()[TIME].outcomes == {"human_present": 1}


def test_failing_again_is_an_episode_of_its_own(day: Day) -> None:
    day.at(0).fails()
    day.at(1).happens("human_message")
    day.at(2).happens("returned_to_agent")
    day.at(10).fails()
    day.at(13).happens("human_message")
    assert day.figure(TIME) == (120, 2)


def test_who_comes_after_the_end_came_too_late(day: Day) -> None:
    day.at(0).fails("message_cap")
    day.at(31)  # closed by quiet
    day.at(40).happens("human_message")
    assert day.figure(TIME) == (None, 1)
    assert day.success()[TIME].outcomes == {"recovered": 1}


def test_a_human_act_that_is_told_late_still_counts(day: Day) -> None:
    day.at(0).fails()
    day.at(5).happens("resolved")
    day.at(6).happens("human_message", ago=180)
    assert day.figure(TIME) == (180, 1)


# --- follow-up -----------------------------------------------------------------------------------------------------


def test_each_failure_event_wants_an_act_within_15_minutes(day: Day) -> None:
    day.at(0).fails("low_confidence")
    day.at(10).fails("message_cap")
    actions.acknowledge(day.at(20).alert().pk, day.scene.people[0])
    day.at(26)
    assert day.figure(FOLLOW_UP) == (50, 2)


def test_an_event_counts_when_its_15_minutes_are_over(day: Day) -> None:
    day.at(0).fails()
    day.at(14.9)
    assert day.figure(FOLLOW_UP) == (None, 0)
    assert day.success()[FOLLOW_UP].outcomes == {"too_early": 1}
    day.at(15)
    assert day.figure(FOLLOW_UP) == (0, 1)


def test_late_and_confident_events_triggered_nothing(day: Day) -> None:
    day.at(0).fails("low_confidence", confidence=0.9)
    day.at(1).fails("agent_error", ago=700)
    day.at(30)
    assert day.success()[FOLLOW_UP].outcomes == {"late": 1, "above_threshold": 1}
    assert day.figure(FOLLOW_UP) == (None, 0)


def test_a_human_in_the_room_is_the_follow_up(day: Day) -> None:
    day.at(0).happens("human_message")
    day.at(1).fails()
    day.at(30)
    assert day.figure(FOLLOW_UP) == (100, 1)


def test_what_time_or_a_machine_does_is_no_follow_up(day: Day) -> None:
    day.at(0).fails("message_cap")
    actions.assign(day.at(1).alert().pk, None, day.scene.people[0])
    day.at(2).happens("resolved")
    day.at(30)
    assert day.figure(FOLLOW_UP) == (0, 1)


# --- unresolved conversations --------------------------------------------------------------------------------------


def test_a_conversation_that_ended_without_a_human_is_unresolved(day: Day) -> None:
    for room in ("alone", "helped"):
        day.at(0).fails("message_cap", room=room)
    day.at(1).happens("human_message", room="helped")
    day.at(5).happens("resolved", room="alone")
    day.at(6).happens("resolved", room="helped")
    assert day.figure(UNRESOLVED) == (50, 2)


def test_it_counts_when_it_is_over(day: Day) -> None:
    day.at(0).fails()
    day.at(1)
    assert day.success()[UNRESOLVED].outcomes == {"open": 1}
    assert day.figure(UNRESOLVED) == (None, 0)


def test_what_was_reopened_is_not_over(day: Day) -> None:
    rina = day.at(0).people[0]
    day.scene.fails()
    actions.resolve(day.at(2).alert().pk, rina)
    actions.reopen(day.at(3).alert().pk, rina)
    day.at(4)
    assert day.success()[UNRESOLVED].outcomes == {"open": 1}


def test_the_end_of_an_episode_is_what_came_first(day: Day) -> None:
    """Resolved, then failing again: a human who came in between came to neither."""
    day.at(0).fails("message_cap")
    day.at(5).happens("resolved")
    day.at(6).happens("human_opened")
    day.at(10).fails("message_cap")
    day.at(11).happens("resolved")
    assert day.figure(UNRESOLVED) == (0, 1)
    assert day.success()[TIME].outcomes == {"nobody": 2}


def test_a_room_on_two_days_is_two_conversations(day: Day) -> None:
    for minutes in (0, 24 * 60):
        day.at(minutes).fails("message_cap")
        day.at(minutes + 5).happens("resolved")
    assert day.figure(UNRESOLVED) == (100, 2)


def test_the_day_is_the_orgs_own(day: Day) -> None:
    """23:55 and 00:10 in Jakarta: two days there, one day in UTC."""
    day.at(11 * 60 + 55).fails("message_cap")
    day.at(12 * 60 + 10).fails("message_cap")
    day.at(12 * 60 + 15).happens("resolved")
    assert day.figure(UNRESOLVED) == (100, 2)
    day.scene.org.zone = "UTC"
    assert day.figure(UNRESOLVED) == (100, 1)


def test_whoever_was_there_when_it_failed_has_picked_it_up(day: Day) -> None:
    day.at(0).happens("human_message")
    day.at(1).fails()
    day.at(2).happens("resolved")
    assert day.figure(UNRESOLVED) == (0, 1)


# --- the others ----------------------------------------------------------------------------------------------------


def test_muted_is_what_was_snoozed_at_some_time(day: Day) -> None:
    for room in ("a", "b", "c", "d"):
        day.at(0).fails(room=room)
    actions.snooze(day.scene.alert("a").pk, day.scene.people[0], NOON + timedelta(minutes=30))
    day.at(60)
    assert day.figure(MUTED) == (25, 4)


def test_false_alarms_by_the_last_verdict_and_its_time(day: Day) -> None:
    for room in ("a", "b", "c"):
        day.at(0).fails(room=room)
    rina = day.scene.people[0]
    actions.verdict(day.scene.alert("a").pk, rina, "confirmed")
    actions.verdict(day.scene.alert("b").pk, rina, "false_alarm")
    actions.verdict(day.at(90).alert("a").pk, rina, "false_alarm")
    day.at(91)
    assert day.figure(FALSE_ALARM) == (100, 2)
    assert day.figure(FALSE_ALARM, ends=NOON + timedelta(minutes=60)) == (100, 1)


def test_alerts_without_a_verdict_stand_beside_the_share_of_the_others(day: Day) -> None:
    for room in ("a", "b", "c", "d"):
        day.at(0).fails(room=room)
    day.at(10)
    actions.verdict(day.scene.alert("a").pk, day.scene.people[0], "false_alarm")
    actions.resolve(day.scene.alert("b").pk, day.scene.people[0])
    day.at(30).fails(room="b")  # another episode of the same alert
    day.at(31)
    assert day.figure(FALSE_ALARM) == (100, 1)
    assert day.success()[FALSE_ALARM].outcomes == {"false_alarm": 1, "unjudged": 3}


def test_every_failure_event_may_carry_a_confidence(day: Day) -> None:
    day.at(0).fails("low_confidence", confidence=0.9)
    day.at(1).fails(ago=700)
    assert day.figure(CONFIDENCE) == (50, 2)


def test_coverage_is_agents_backed_up_by_somebody_a_push_is_proven_to_reach(day: Day) -> None:
    org, people = day.scene.org, day.scene.people
    reached, _ = AgentFactory(org=org), AgentFactory(org=org)
    AgentFactory(org=org, production=False)
    day.scene.role.agents.add(reached)
    User.objects.filter(pk=people[0].pk).update(push_tokens=1)
    assert day.figure(COVERAGE) == (0, 2)
    reach(people[0], org)
    assert day.figure(COVERAGE) == (50, 2)
    User.objects.filter(pk=people[0].pk).update(is_active=False)
    assert day.figure(COVERAGE) == (0, 2)


def test_coverage_without_agents_is_no_data(day: Day) -> None:
    Agent.objects.all().delete()
    assert day.figure(COVERAGE) == (None, 0)


# --- periods and baselines -----------------------------------------------------------------------------------------


def test_from_is_inclusive_to_is_exclusive_in_the_orgs_days(day: Day) -> None:
    """Midnight in Jakarta is 17:00 UTC."""
    midnight = 12 * 60
    for minutes in (midnight - 0.1, midnight, midnight + 24 * 60):
        day.at(minutes).fails(room=f"{minutes}")
    day.at(midnight + 25 * 60)
    day_after = date(2026, 11, 22)
    assert day.figure(CONFIDENCE, starts=day_after, ends=day_after + timedelta(days=1))[1] == 1
    assert day.figure(CONFIDENCE, starts=day_after)[1] == 2
    day.scene.org.zone = "UTC"
    assert day.figure(CONFIDENCE, starts=date(2026, 11, 21), ends=day_after)[1] == 2


def test_the_baseline_is_the_first_30_days_from_the_first_failure(day: Day) -> None:
    day.at(0).fails(room="first")
    day.at(1).happens("human_message", room="first")
    day.at(30 * 24 * 60 - 1).fails(room="in it")
    day.at(30 * 24 * 60 + 2).happens("human_message", room="in it")
    day.at(30 * 24 * 60 + 3).fails(room="after it")
    day.at(30 * 24 * 60 + 13).happens("human_message", room="after it")
    found = day.success(ends=NOON + timedelta(days=60), starts=NOON + timedelta(days=29))[TIME]
    assert (found.now.value, found.now.n) == (390, 2)
    assert (found.baseline.value, found.baseline.n) == (120, 2)


@pytest.mark.parametrize(
    ("starts", "ends", "field"),
    [
        (date(2026, 11, 2), date(2026, 11, 2), "to"),
        (NOON, NOON - timedelta(seconds=1), "to"),
        (date(2026, 11, 24), NOON, "to"),
        (date(1999, 12, 31), date(2026, 1, 1), "from"),
        (date(2026, 1, 1), date(9999, 12, 31), "to"),
        (date(2024, 1, 1), date(2026, 1, 1), "from"),
    ],
)
def test_there_is_no_such_period(starts: Any, ends: Any, field: str) -> None:
    with pytest.raises(figures.BadPeriod) as bad:
        figures.period(starts, ends, NOON)
    assert bad.value.field == field


def test_a_day_that_has_begun_somewhere_is_no_mistake() -> None:
    evening = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
    made = figures.period(date(2026, 11, 22), None, evening)
    assert made.window("Asia/Jakarta") == (datetime(2026, 11, 21, 17, 0, tzinfo=UTC), evening)


@pytest.mark.parametrize(("days", "width", "points"), [(7, 1, 7), (31, 1, 31), (90, 7, 13), (366, 12, 31)])
def test_a_trend_has_a_readable_number_of_points(days: int, width: int, points: int) -> None:
    made = figures.Period(date(2026, 1, 1), date(2026, 1, 1) + timedelta(days=days))
    assert made.width == width
    assert len(made.points("Asia/Jakarta", datetime(2027, 6, 1, tzinfo=UTC))) == points
    assert made.points("Asia/Jakarta", datetime(2025, 6, 1, tzinfo=UTC)) == []


def test_a_day_of_a_clock_change_has_its_own_length(day: Day) -> None:
    """2026-10-25 has 25 hours in Berlin."""
    starts, ends = figures.Period(date(2026, 10, 25), date(2026, 10, 26)).window("Europe/Berlin")
    assert ends.astimezone(UTC) - starts.astimezone(UTC) == timedelta(hours=25)


# --- formulas ------------------------------------------------------------------------------------------------------


def test_shares_have_wilson_intervals() -> None:
    """Newcombe 1998: 81 of 263, 15 of 148, 0 of 20, 29 of 29."""
    known = [(81, 263, 25.53, 36.62), (15, 148, 6.24, 16.05), (0, 20, 0.0, 16.11), (29, 29, 88.30, 100.0)]
    for yes, n, low, high in known:
        found = share(yes, n)
        assert (found.low, found.high) == (pytest.approx(low, abs=0.01), pytest.approx(high, abs=0.01))
    assert share(0, 0).value is None
    assert (census(5, 6).low, census(5, 6).high) == (census(5, 6).value, census(5, 6).value)


def test_outside_a_scope_nothing_is_counted(org: Org) -> None:
    with pytest.raises(Exception, match="scope"):
        figures.measure([org], figures.period(None, None, NOON), "UTC", NOON)
    with scopes_disabled():
        figures.measure([org], figures.period(None, None, NOON), "UTC", NOON)
