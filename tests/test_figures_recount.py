"""The figures from SQL are those of a plain recount: loops over raw rows, nothing shared with the code under test."""

import itertools
import math
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions, figures
from alerts.models import Alert, FailureEvent, RoomActivity, Transition
from orgs import clock
from orgs.models import Org
from tests.examples import at_most
from tests.scene import NEEDS, Scene
from tests.test_state_machine import freeze

HUMAN = ("human_opened", "human_message", "assigned")
START = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # 22:30 in Jakarta: a night with midnight in it
MINUTES_15 = timedelta(minutes=15)

ROOM = st.sampled_from(["room-1", "room-1", "room-2"])
SIGNAL = st.sampled_from(sorted(NEEDS))
AGO = st.sampled_from([0, 0, 0, 20, 250, 599, 601, 1500])
KIND = st.sampled_from([*HUMAN, *HUMAN, "resolved", "returned_to_agent", "customer_message", "bot_message"])
ACT = st.sampled_from(["acknowledge", "take", "release", "resolve", "reopen", "open_room", "snooze", "verdict"])
STEP = st.one_of(
    st.tuples(st.just("fails"), ROOM, SIGNAL, AGO, st.sampled_from([0.2, 0.9])),
    st.tuples(st.just("fails"), ROOM, SIGNAL, AGO, st.sampled_from([0.2, 0.9])),
    st.tuples(st.just("happens"), ROOM, KIND, AGO, st.booleans()),
    st.tuples(st.just("acts"), st.integers(0, 9), ACT, st.sampled_from(["confirmed", "false_alarm"])),
    st.tuples(st.just("waits"), st.sampled_from([30, 250, 899, 901, 1900, 4000, 30000, 90000])),
)


# --- the story ---------------------------------------------------------------------------------------------------


def play(scene: Scene, steps: list[Any], now: datetime = START) -> datetime:
    """The steps through the real actions, with the clock in hand; when it ended."""
    freeze(now)
    for step in steps:
        match step:
            case ("fails", room, signal, ago, confidence):
                facts = {"confidence": confidence} if signal == "low_confidence" else {}
                scene.fails(signal, room=room, ago=ago, **facts)
            case ("happens", room, kind, ago, known):
                scene.happens(kind, room=room, ago=ago, who=scene.people[0] if known else None)
            case ("acts", which, act, verdict):
                person_acts(scene, which, act, verdict)
            case ("waits", seconds):
                now += timedelta(seconds=seconds)
                freeze(now)
                while actions.sweep_timers():
                    pass
    return now


def person_acts(scene: Scene, which: int, act: str, verdict: str) -> None:
    alerts = list(Alert.objects.filter(org=scene.org).order_by("room__room_id", "opened_at", "event_count"))
    if not alerts:
        return
    extra: list[Any] = {"snooze": [clock.now() + timedelta(minutes=10)], "verdict": [verdict]}.get(act, [])
    with suppress(actions.ActConflict):
        getattr(actions, act)(alerts[which % len(alerts)].pk, scene.people[0], *extra)


# --- the recount -------------------------------------------------------------------------------------------------


class Recount:
    """One org's figures by hand. `inside` says whether a time is in the period."""

    def __init__(self, org: Org, starts: datetime, ends: datetime, now: datetime) -> None:
        self.zone, self.now = ZoneInfo(org.zone), now
        self.inside = lambda at: starts <= at < ends
        self.events = list(FailureEvent.objects.filter(org=org))
        self.acts = list(RoomActivity.objects.filter(org=org, kind__in=HUMAN))
        self.alerts = {alert.pk: alert for alert in Alert.objects.filter(org=org)}
        self.changes = list(Transition.objects.filter(org=org).order_by("id"))
        self.event_of = {event.pk: event for event in self.events}
        self.episodes = self._episodes()

    def _episodes(self) -> dict[tuple[Any, int], dict[str, Any]]:
        rows: dict[tuple[Any, int], list[Transition]] = defaultdict(list)
        for change in self.changes:
            rows[change.alert_id, change.episode].append(change)
        found = {}
        for key, changes in rows.items():
            events = [self.event_of[c.event_id] for c in changes if c.event_id]
            ending = [c for c in changes if c.change in ("resolved", "abandoned", "reopened")]
            found[key] = {
                "starts": min(e.occurred_at for e in events if e.reason != "late"),
                "events": [e for e in events if e.reason != "late"],
                "present": any(c.reason == "human_present" for c in changes if c.change in ("opened", "rearmed")),
                "muted": any(c.change == "snoozed" for c in changes),
                "acts": [c.at for c in changes if c.change in ("opened_room", "intervened")],
                "room": self.alerts[key[0]].room_id,
                "ends": [ending[-1].at] if ending and ending[-1].change != "reopened" else [],
            }
        for (alert, number), episode in found.items():
            if (alert, number + 1) in found:
                episode["ends"].append(found[alert, number + 1]["starts"])
            episode["ends"] = min(episode["ends"], default=None)
        return found

    def human_acts(self, room: int, starts: datetime, ends: datetime | None) -> list[datetime]:
        return [a.at for a in self.acts if a.room_id == room and starts <= a.at and (ends is None or a.at <= ends)]

    def times(self) -> list[float]:
        """Seconds of every episode that a human came to, unless one was there from the start."""
        found = []
        for one in self.episodes.values():
            acts = one["acts"] + self.human_acts(one["room"], one["starts"], one["ends"])
            if self.inside(one["starts"]) and not one["present"] and acts:
                found.append(max(0.0, (min(acts) - one["starts"]).total_seconds()))
        return found

    def follow_up(self) -> Counter[bool]:
        return Counter(
            self.followed_up(event)
            for event in self.events
            if event.alert_id
            and event.reason not in ("late", "above_threshold")
            and self.inside(event.occurred_at)
            and event.occurred_at + MINUTES_15 <= self.now
        )

    def followed_up(self, event: FailureEvent) -> bool:
        until = event.occurred_at + MINUTES_15
        return (
            event.reason == "human_present"
            or bool(self.human_acts(event.room_id, event.occurred_at, until))
            or any(
                c.alert_id == event.alert_id
                and c.actor_id
                and c.change in ("acknowledged", "opened_room", "intervened", "assigned", "resolved")
                and event.occurred_at <= c.at <= until
                for c in self.changes
            )
        )

    def unresolved(self) -> Counter[bool]:
        talks: dict[Any, list[tuple[FailureEvent, Any, dict[str, Any]]]] = defaultdict(list)
        for (alert, _), episode in self.episodes.items():
            for event in episode["events"]:
                talks[event.room_id, event.occurred_at.astimezone(self.zone).date()].append((event, alert, episode))
        found: Counter[bool] = Counter()
        for (room, _), parts in talks.items():
            starts = min(event.occurred_at for event, _, _ in parts)
            ends = [episode["ends"] for _, _, episode in parts]
            if not self.inside(starts) or None in ends:
                continue
            entered = [
                c.at
                for c in self.changes
                if c.alert_id in {alert for _, alert, _ in parts} and c.change in ("opened_room", "intervened")
            ]
            came = self.human_acts(room, starts, max(ends)) or [at for at in entered if starts <= at <= max(ends)]
            found[not came and all(event.reason != "human_present" for event, _, _ in parts)] += 1
        return found

    def muted(self) -> Counter[bool]:
        return Counter(one["muted"] for one in self.episodes.values() if self.inside(one["starts"]))

    def verdicts(self) -> Counter[bool]:
        given = {c.alert_id: c.at for c in self.changes if c.change == "verdict"}
        return Counter(self.alerts[pk].verdict == "false_alarm" for pk, at in given.items() if self.inside(at))

    def confidence(self) -> Counter[bool]:
        return Counter(e.confidence is not None for e in self.events if self.inside(e.occurred_at))


def percentage(counted: Counter[bool]) -> tuple[float | None, int]:
    n = counted.total()
    return (100 * counted[True] / n if n else None), n


def by_hand(recounts: list[Recount]) -> dict[str, tuple[float | None, int]]:
    times = list(itertools.chain(*(one.times() for one in recounts)))
    together: dict[str, Counter[bool]] = defaultdict(Counter)
    for one in recounts:
        for name in ("follow_up", "unresolved", "muted", "verdicts", "confidence"):
            together[name] += getattr(one, name)()
    return {
        "time_to_intervene_median_seconds": (median(times) if times else None, len(times)),
        "follow_up_15min_pct": percentage(together["follow_up"]),
        "unresolved_pct": percentage(together["unresolved"]),
        "muted_pct": percentage(together["muted"]),
        "false_alarm_pct": percentage(together["verdicts"]),
        "with_confidence_pct": percentage(together["confidence"]),
    }


def check(found: list[figures.Figure], wanted: dict[str, tuple[float | None, int]], part: str = "now") -> None:
    for figure in found:
        if figure.metric is figures.COVERAGE:
            continue
        value, n = wanted[figure.metric.name]
        estimate = getattr(figure, part)
        assert estimate.n == n, (figure.metric.name, part)
        if value is None:
            assert estimate.value is None
            continue
        assert math.isclose(estimate.value, value, abs_tol=1e-5), (figure.metric.name, part)
        if estimate.low is not None:
            assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9


# --- the property ------------------------------------------------------------------------------------------------


@given(
    stories=st.lists(st.lists(STEP, min_size=4, max_size=14), min_size=2, max_size=2),
    cut=st.sampled_from([None, (-10, 4), (0.02, 1.6), (1, 30)]),
)
@settings(
    max_examples=at_most(40),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a story shrinks too slowly to be worth it
    suppress_health_check=list(HealthCheck),
)
def test_the_figures_are_those_of_a_plain_recount(
    db: None, stories: list[Any], cut: tuple[float, float] | None
) -> None:
    with transaction.atomic(), scopes_disabled():
        scenes = [Scene(), Scene()]
        scenes[1].org.zone = "America/Los_Angeles"
        scenes[1].org.save()
        now = max(play(scene, story) for scene, story in zip(scenes, stories, strict=True))
        freeze(now)
        first, last = (START + timedelta(hours=hours) for hours in cut or (-24 * 2, 24 * 20))
        period = figures.period(first, last, now)
        orgs = [scene.org for scene in scenes]
        success = figures.measure(orgs, period, "UTC", now)
        recounts = [Recount(org, first, last, now) for org in orgs]
        check(success.overall, by_hand(recounts))
        for org, recount in zip(orgs, recounts, strict=True):
            check(success.of_org[org.pk], by_hand([recount]))
        check_baselines(success, orgs, now)
        check_lists(success, orgs, period, now)
        transaction.set_rollback(True)


def check_baselines(success: figures.SuccessFigures, orgs: list[Org], now: datetime) -> None:
    """The first 30 days from the first failure event that was not late."""
    recounts = []
    for org in orgs:
        heard = FailureEvent.objects.filter(org=org).exclude(reason="late").order_by("received_at", "occurred_at")
        first = heard.first()
        if first is not None:
            at = first.occurred_at
            recounts.append(Recount(org, at, at + timedelta(days=30), now))
    check(success.overall, by_hand(recounts), "baseline")


def check_lists(success: figures.SuccessFigures, orgs: list[Org], period: figures.Period, now: datetime) -> None:
    """What a number opens is what it counted, whole or in pieces of a day; its trend adds up to it."""
    span = figures.span_of(orgs, period, now)
    for figure in success.overall:
        if figure.metric is figures.COVERAGE:
            continue
        listed = figures.items(figure.metric, span)
        assert Counter(item.outcome for item in listed) == figure.outcomes == figures.count_metric(figure.metric, span)
        assert figure.now.n == sum(item.outcome in figure.metric.counted for item in listed)
        in_pieces = [item for day in figures.days(span) for item in figures.items(figure.metric, day)]
        assert Counter(in_pieces) == Counter(listed)
        assert sum(point.n for point in figure.trend) == figure.now.n
