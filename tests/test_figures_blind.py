"""What the figures do with the time in which we could not see: cut short, or left out, and never guessed."""

from datetime import timedelta
from typing import Any

from alerts.models import BlindInterval
from tests.factories import OrgFactory, SourceFactory
from tests.test_figures import FOLLOW_UP, NOON, TIME, UNRESOLVED, Day, day

__all__ = ["day"]  # the fixture


def blind(first: float, last: float, **facts: Any) -> None:
    """We could not see from minute to minute; without an org, because we were down."""
    starts, ends = (NOON + timedelta(minutes=minutes) for minutes in (first, last))
    BlindInterval.objects.create(**{"cause": "down", **facts}, starts=starts, ends=ends)


def test_where_we_went_blind_an_episode_is_cut_short(day: Day) -> None:
    day.at(0).fails(room="before")
    day.at(3).fails(room="seen")
    day.at(5).happens("human_message", room="seen")
    day.at(12).fails(room="within")
    blind(10, 14)
    day.at(15).happens("human_message", room="before")
    found = day.success()
    assert found[TIME].outcomes == {"came": 1, "blind": 1, "began_blind": 1}
    assert (found[TIME].now.value, found[TIME].now.n) == (120, 2)


def test_a_blind_interval_of_another_org_cuts_nothing(day: Day) -> None:
    day.at(0).fails()
    other = SourceFactory(org=OrgFactory())
    blind(1, 20, org=other.org, source=other, cause="source_silent")
    day.at(4).happens("human_message")
    assert day.figure(TIME) == (240, 1)


def test_a_follow_up_whose_15_minutes_were_not_all_seen_is_left_out(day: Day) -> None:
    for minutes in (0, 10, 40):
        day.at(minutes).fails("message_cap", room=f"{minutes}")
    blind(20, 30)
    day.at(60)
    assert day.success()[FOLLOW_UP].outcomes == {"missed": 2, "blind": 1}


def test_a_conversation_that_was_not_all_seen_is_left_out(day: Day) -> None:
    for room in ("a", "b"):
        day.at(0).fails("message_cap", room=room)
    day.at(5).happens("resolved", room="a")
    blind(6, 7)
    day.at(8).happens("resolved", room="b")
    assert day.success()[UNRESOLVED].outcomes == {"nobody": 1, "blind": 1}
