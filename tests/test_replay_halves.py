"""Plays at the same time, each in a process of its own, which ends with this one's interest in it."""

import os

import psutil
import pytest

from alerts.replay.halves import play_apart, play_in_turn


class Unwanted(Exception):
    """Nobody waits any more."""


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    """No process that was forked here is left."""
    before = psutil.Process().children()
    yield
    assert psutil.Process().children() == before


def playing(answer, steps=3):
    def play(tick):
        for step in range(steps):
            tick(step / steps)
        return answer, os.getpid()

    return play


@pytest.mark.parametrize("play", [play_in_turn, play_apart])
def test_all_answers_come_and_how_far_they_are_is_told_on_the_way(play):
    said: list[float] = []
    (first, here), (second, there) = play([playing("first"), playing("second")], said.append)
    assert (first, second) == ("first", "second")
    assert len({os.getpid(), here, there}) == (3 if play is play_apart else 1)
    assert said == sorted(said)
    assert 0.0 <= said[0] < said[-1] <= 1.0


def test_what_any_play_raises_is_raised_here():
    def fails(tick):
        raise KeyError("room")

    with pytest.raises(KeyError, match="room"):
        play_apart([playing("first"), fails], lambda _: None)


def test_a_play_that_dies_is_noticed():
    with pytest.raises(EOFError):
        play_apart([playing("first"), lambda _: os._exit(9)], lambda _: None)


def test_what_nobody_waits_for_is_played_by_nicer_processes():
    said = play_apart([lambda _: os.nice(0)] * 2, lambda _: None, nice=3)
    assert said == [os.nice(0) + 3] * 2


def test_nobody_plays_on_for_whoever_does_not_want_it_any_more():
    def endless(tick):
        while True:
            tick(0.5)

    def stop(_):
        raise Unwanted

    with pytest.raises(Unwanted):
        play_apart([playing("first"), endless], stop)
