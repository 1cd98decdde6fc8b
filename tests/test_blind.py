"""Blind intervals: when no web process was there, when a source was silent, and which time that makes for whom."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from django.db import connection
from django_scopes import scopes_disabled
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.blind import (
    BlindSpan,
    beat,
    blind_minutes,
    blind_spans,
    cut_spans,
    keep_silences,
    merged_spans,
    notice_down,
)
from alerts.models import BlindInterval, SourceMinute, WebHeartbeat
from alerts.sources import watch
from console.http import heartbeat
from orgs import clock as database_clock
from orgs.models import SourceHeard
from tests.examples import at_most
from tests.factories import OrgFactory, SourceFactory
from tests.stack import database_url, until
from tests.standins import ROOT
from tests.test_watch import Sends

MINUTE = timedelta(minutes=1)
START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def intervals() -> list[tuple[str, datetime, datetime | None]]:
    with scopes_disabled():
        return list(BlindInterval.objects.order_by("starts", "id").values_list("cause", "starts", "ends"))


# --- spans -----------------------------------------------------------------------------------------------------------

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda ends: BlindSpan(*map(at, ends))))


@given(spans=SPANS, cut=st.tuples(st.integers(0, 60), st.integers(0, 60)))
@settings(max_examples=at_most(100), deadline=None)
def test_spans_are_what_a_scan_minute_by_minute_finds(spans: list[BlindSpan], cut: tuple[int, int]) -> None:
    def is_blind(minute: int, spans: list[BlindSpan]) -> bool:
        return any(span.starts <= at(minute) < span.ends for span in spans)

    whole, (first, last) = merged_spans(spans), cut
    part = cut_spans(whole, at(first), at(last))
    for minute in range(61):
        assert is_blind(minute, whole) == is_blind(minute, spans)
        assert is_blind(minute, part) == (is_blind(minute, spans) and first <= minute < last)
    assert blind_minutes(spans) == sum(is_blind(minute, spans) for minute in range(61))
    assert all(before.ends < after.starts for before, after in itertools.pairwise(whole))
    assert all(span.starts < span.ends for span in [*whole, *part])


# --- down ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def quiet_for(clock: Any) -> Any:
    """`quiet_for(seconds)`: after a first beat, a beat that comes so much later."""

    def made(seconds: float) -> None:
        beat()
        clock.advance(seconds=seconds)
        beat()

    return made


def test_a_gap_of_a_minute_is_one_interval_from_the_last_beat(quiet_for: Any) -> None:
    quiet_for(60)
    ((cause, starts, ends),) = intervals()
    assert cause == "down"
    assert ends is not None
    assert timedelta(seconds=60) <= ends - starts < timedelta(seconds=65)
    beat()
    assert len(intervals()) == 1


def test_a_shorter_gap_is_none(quiet_for: Any) -> None:
    quiet_for(50)
    assert intervals() == []


def test_the_first_beat_of_all_tells_of_no_gap(db: None) -> None:
    beat()
    assert intervals() == []
    with scopes_disabled():
        assert WebHeartbeat.objects.count() == 1


def test_a_sweep_notices_and_the_next_beat_ends_it(clock: Any) -> None:
    beat()
    clock.advance(seconds=90)
    assert notice_down()
    assert not notice_down()
    ((_, starts, ends),) = intervals()
    assert ends is None
    clock.advance(seconds=30)
    beat()
    ((_, again, ends),) = intervals()
    assert ends is not None
    assert (again, round((ends - starts).total_seconds())) == (starts, 120)
    assert not notice_down()


def test_a_sweep_without_a_web_process_ever_notices_nothing(db: None) -> None:
    assert not notice_down()


@pytest.mark.usefixtures("transactional_db")
def test_processes_that_start_at_once_make_one_interval(clock: Any) -> None:
    def start(n: int) -> None:
        try:
            if n % 3:
                beat()
            else:
                notice_down()
        finally:
            connection.close()

    for _ in range(3):
        beat()
        clock.advance(minutes=20)
        with ThreadPoolExecutor(8) as together:
            list(together.map(start, range(16)))
        beat()  # whoever found the row taken left it to the other
    assert len(intervals()) == 3
    assert all(ends for _, _, ends in intervals())


@contextmanager
def web() -> Iterator[subprocess.Popen[str]]:
    """A real web process that listens."""
    argv = [sys.executable, "manage.py", "serve", "--port", "0"]
    process = subprocess.Popen(
        argv,
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "DATABASE_URL": database_url()},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None and "listening" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait(10)


def last_beat() -> datetime | None:
    with scopes_disabled():
        return WebHeartbeat.objects.values_list("at", flat=True).first()


@pytest.mark.usefixtures("transactional_db")
def test_a_web_process_that_was_killed_and_started_again_leaves_exactly_one_interval(clock: Any) -> None:
    with web() as process:
        until(last_beat)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    before = last_beat()
    with web():  # at once: a restart is no blindness
        until(lambda: last_beat() != before)
    assert intervals() == []
    before = last_beat()
    clock.advance(minutes=5)
    with web():
        until(lambda: last_beat() != before)
    ((cause, starts, ends),) = intervals()
    assert (cause, starts) == ("down", before)
    assert ends == last_beat()


@pytest.mark.usefixtures("transactional_db")
def test_the_beat_goes_on_after_trouble_with_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_EVERY", 0.05)

    def rename(old: str, new: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async def beat_beside(others: Callable[[], None]) -> None:
        async with heartbeat.beating():
            await asyncio.to_thread(others)

    def trouble() -> None:
        try:
            before = until(last_beat)
            rename("alerts_webheartbeat", "away")
            try:
                until(lambda: "heartbeat_failed" in {one["event"] for one in said})
            finally:
                rename("away", "alerts_webheartbeat")
            until(lambda: last_beat() != before)
        finally:
            connection.close()

    with structlog.testing.capture_logs() as said:  # by every thread, also those that earlier tests left
        asyncio.run(beat_beside(trouble))
    assert {one["event"] for one in said if "heartbeat" in one["event"]} == {"heartbeat_failed"}


# --- silence ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sends(clock: Any, system: None) -> Sends:
    """A source that sent each minute of an hour, and then nothing for 20 min. No web process beats or ever did."""
    WebHeartbeat.objects.all().delete()
    made = Sends()
    made.every_minute(60, 20)
    return made


def heard(sends: Sends, minutes_ago: float = 0) -> None:
    sends.now = database_clock.now()
    sends.items(minutes_ago)


def test_a_silent_source_is_blindness_from_the_last_thing_heard_to_the_next(sends: Sends, clock: Any) -> None:
    watch.sweep_sources()
    watch.sweep_sources()
    row = BlindInterval.objects.get()
    assert (row.org, row.source, row.cause, row.ends) == (sends.org, sends.source, "source_silent", None)
    assert row.starts == SourceHeard.objects.get().at
    clock.advance(minutes=10)
    heard(sends)
    watch.sweep_sources()
    row.refresh_from_db()
    assert row.ends == SourceHeard.objects.get().at


def test_it_ends_when_the_source_was_heard_however_late_we_look(sends: Sends, clock: Any) -> None:
    watch.sweep_sources()
    clock.advance(minutes=10)
    heard(sends)
    first = SourceHeard.objects.get().at
    clock.advance(minutes=3)
    heard(sends)
    watch.sweep_sources()
    ends = BlindInterval.objects.get().ends
    assert ends is not None
    assert first.replace(second=0, microsecond=0) <= ends <= first + MINUTE


def test_a_source_that_is_expected_no_more_ends_it_now(sends: Sends) -> None:
    watch.sweep_sources()
    SourceMinute.objects.all().delete()
    watch.sweep_sources()
    ends = BlindInterval.objects.get().ends
    assert ends is not None
    assert database_clock.now() - ends < MINUTE


def test_the_same_silence_found_again_goes_on(sends: Sends) -> None:
    key, since = (sends.org.pk, sends.source.pk), SourceHeard.objects.get().at
    for silent in ({key: since}, {}, {key: since}):
        keep_silences(silent, database_clock.now())
    assert intervals() == [("source_silent", since, None)]


def test_another_silence_ends_the_one_before(sends: Sends) -> None:
    key, since = (sends.org.pk, sends.source.pk), SourceHeard.objects.get().at
    keep_silences({key: since - 50 * MINUTE}, since)
    keep_silences({key: since}, database_clock.now())
    assert [ends for _, _, ends in intervals()][1:] == [None]
    assert len(intervals()) == 2


def test_nobody_is_silent_because_we_were_down(sends: Sends, clock: Any) -> None:
    beat()
    clock.advance(minutes=40)
    beat()
    watch.sweep_sources()
    assert [cause for cause, _, _ in intervals()] == ["down"]
    for _ in range(20):  # it listens from the end of that on
        clock.advance(seconds=50)
        beat()
    watch.sweep_sources()
    assert [(cause, ends) for cause, _, ends in intervals() if cause != "down"] == [("source_silent", None)]


def test_a_silence_goes_on_while_we_are_down(sends: Sends, clock: Any) -> None:
    beat()
    watch.sweep_sources()
    clock.advance(minutes=5)
    watch.sweep_sources()
    assert {(cause, ends) for cause, _, ends in intervals()} == {("source_silent", None), ("down", None)}
    beat()
    watch.sweep_sources()
    assert [ends for cause, _, ends in intervals() if cause == "source_silent"] == [None]


# --- whose -----------------------------------------------------------------------------------------------------------


def test_down_is_of_every_org_and_a_silence_of_its_own(system: None, db: None) -> None:
    ours, other = OrgFactory(), OrgFactory()
    platform = SourceFactory(org=None)
    silent = {"org": ours, "source": platform, "cause": "source_silent"}
    BlindInterval.objects.create(**silent, starts=at(5), ends=at(15))
    BlindInterval.objects.create(cause="down", starts=at(10), ends=at(20))
    BlindInterval.objects.create(cause="down", starts=at(20), ends=at(21))
    BlindInterval.objects.create(**silent, starts=at(30))
    assert blind_spans([ours.pk, other.pk], at(0), at(60), at(50)) == {
        ours.pk: [BlindSpan(at(5), at(21)), BlindSpan(at(30), at(50))],
        other.pk: [BlindSpan(at(10), at(21))],
    }
    assert blind_spans([ours.pk], at(7), at(12), at(50)) == {ours.pk: [BlindSpan(at(7), at(12))]}
    assert blind_spans([ours.pk], at(21), at(30), at(50)) == {ours.pk: []}
    assert blind_spans([], at(0), at(60), at(50)) == {}
