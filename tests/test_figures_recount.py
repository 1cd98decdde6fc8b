"""The figures from SQL are those of a plain recount: loops over raw rows, nothing shared with the code under test."""

import itertools
import math
from collections import Counter, defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import actions, figures
from alerts.models import Alert, BlindInterval, FailureEvent, RoomActivity, Transition
from orgs import clock
from orgs.models import Org
from tests.examples import at_most
from tests.scene import NEEDS, Scene
from tests.test_state_machine import freeze
from tests.test_survival import quantile
from tests.test_survival import recount as waiting

HUMAN = ("human_opened", "human_message", "assigned")
START = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # 22:30 in Jakarta: a night with midnight in it
MINUTES_15 = timedelta(minutes=15)
ANYTHING = math.nan

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


GAP = st.tuples(st.booleans(), st.sampled_from([0, 0.1, 1, 2, 8, 30]), st.sampled_from([0.05, 0.3, 3, None]))


def go_blind(scenes: list[Scene], gaps: list[Any]) -> None:
    """Blind intervals, in hours after the start: of all orgs, or of the first alone; without a length still open."""
    for all_orgs, hours, length in gaps:
        facts = {"cause": "source_silent", "org": scenes[0].org, "source": scenes[0].source}
        facts = {"cause": "down"} if all_orgs else facts
        starts = START + timedelta(hours=hours)
        if not BlindInterval.objects.filter(**facts).filter(Q(starts=starts) | Q(ends=None)).exists():
            ends = None if length is None else starts + timedelta(hours=length)
            BlindInterval.objects.create(**facts, starts=starts, ends=ends)


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
        self.blind = [
            (gap.starts, gap.ends or datetime.max.replace(tzinfo=UTC))
            for gap in BlindInterval.objects.all()
            if gap.org_id in (None, org.pk)
        ]
        self.event_of = {event.pk: event for event in self.events}
        self.episodes = self._episodes()

    def _episodes(self) -> dict[tuple[Any, int], dict[str, Any]]:
        rows: dict[tuple[Any, int], list[Transition]] = defaultdict(list)
        for change in self.changes:
            rows[change.alert_id, change.episode].append(change)
        found = {}
        for key, changes in rows.items():
            events = [self.event_of[c.event_id] for c in changes if c.event_id]
            events = [event for event in events if event.reason != "late"]
            if not events:  # told too late: no episode of the figures
                continue
            ending = [c for c in changes if c.change in ("resolved", "abandoned", "reopened")]
            found[key] = {
                "starts": min(event.occurred_at for event in events),
                "events": events,
                "present": any(
                    c.reason in ("human_present", "talk_over") for c in changes if c.change in ("opened", "rearmed")
                ),
                "muted": any(c.change == "snoozed" or c.reason == "silenced" for c in changes),
                "lost": any(c.change == "window_over" for c in changes),
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

    def unseen(self, starts: datetime, ends: datetime) -> list[datetime]:
        """The moments from which on we were blind within this time."""
        return [max(since, starts) for since, until in self.blind if since < ends and until > starts]

    def times(self) -> tuple[list[float], list[float]]:
        """Seconds of every episode that a human came to, and of every other until it was no longer watched.

        Not of those that a human was in from the start, and of those that began while we were blind.
        """
        came, left = [], []
        for one in self.episodes.values():
            starts, until = one["starts"], one["ends"] or self.now
            acts = one["acts"] + self.human_acts(one["room"], starts, one["ends"])
            dark = min(self.unseen(starts, datetime.max.replace(tzinfo=UTC)), default=None)
            if not self.inside(starts) or one["present"] or dark == starts:
                continue
            if acts and (dark is None or min(acts) <= dark):
                came.append(max(0.0, (min(acts) - starts).total_seconds()))
            else:
                left.append((min(until, dark or until) - starts).total_seconds())
        return came, left

    def follow_up(self) -> Counter[bool]:
        return Counter(
            self.followed_up(event)
            for event in self.events
            if event.alert_id
            and event.reason not in ("late", "above_threshold")
            and self.inside(event.occurred_at)
            and event.occurred_at + MINUTES_15 <= self.now
            and not self.unseen(event.occurred_at, event.occurred_at + MINUTES_15)
        )

    def followed_up(self, event: FailureEvent) -> bool:
        until = event.occurred_at + MINUTES_15
        return (
            event.reason in ("human_present", "talk_over")
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
            if not self.inside(starts) or None in ends or self.unseen(starts, max(ends)):
                continue
            entered = [
                c.at
                for c in self.changes
                if c.alert_id in {alert for _, alert, _ in parts} and c.change in ("opened_room", "intervened")
            ]
            came = self.human_acts(room, starts, max(ends)) or [at for at in entered if starts <= at <= max(ends)]
            found[not came and all(event.reason not in ("human_present", "talk_over") for event, _, _ in parts)] += 1
        return found

    def muted(self) -> Counter[bool]:
        return Counter(one["muted"] for one in self.episodes.values() if self.inside(one["starts"]))

    def lost(self) -> Counter[bool]:
        return Counter(one["lost"] for one in self.episodes.values() if self.inside(one["starts"]))

    def verdicts(self) -> Counter[bool]:
        given = {c.alert_id: c.at for c in self.changes if c.change == "verdict"}
        return Counter(self.alerts[pk].verdict == "false_alarm" for pk, at in given.items() if self.inside(at))

    def unjudged(self) -> int:
        """Alerts that began in the period and of which nobody has said what they were."""
        begun = {alert: one["starts"] for (alert, episode), one in self.episodes.items() if episode == 1}
        return sum(self.inside(at) and not self.alerts[alert].verdict for alert, at in begun.items())

    def confidence(self) -> Counter[bool]:
        return Counter(e.confidence is not None for e in self.events if self.inside(e.occurred_at))


def percentage(counted: Counter[bool]) -> tuple[float | None, int]:
    n = counted.total()
    return (100 * counted[True] / n if n else None), n


def by_hand(recounts: list[Recount]) -> dict[str, tuple[float | None, int]]:
    each = [one.times() for one in recounts]
    came, left = ([*itertools.chain(*(times[which] for times in each))] for which in (0, 1))
    n, shares = len(came) + len(left), {}
    for minutes in (1, 5, 15):
        known = any(at <= 60 * minutes for at in came) or any(at >= 60 * minutes for at in left)
        reached = 100 * (1 - waiting(came, left, 60 * minutes)[0])
        shares[f"reached_{minutes}min_pct"] = (reached if known else ANYTHING if n else None, n)
    together: dict[str, Counter[bool]] = defaultdict(Counter)
    for one in recounts:
        for name in ("follow_up", "unresolved", "muted", "lost", "verdicts", "confidence"):
            together[name] += getattr(one, name)()
    return {
        "time_to_intervene_median_seconds": (quantile(came, left, 0.5), n),
        "time_to_intervene_p75_seconds": (quantile(came, left, 0.75), n),
        **shares,
        "follow_up_15min_pct": percentage(together["follow_up"]),
        "unresolved_pct": percentage(together["unresolved"]),
        "muted_pct": percentage(together["muted"]),
        "lost_to_window_pct": percentage(together["lost"]),
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
        if value is ANYTHING:  # nothing was watched for so long: whether that is 0 says test_survival.py
            continue
        if value is None:
            assert estimate.value is None
            continue
        assert math.isclose(estimate.value, value, abs_tol=1e-5), (figure.metric.name, part)
        if estimate.low is not None:
            high = math.inf if estimate.high is None else estimate.high  # too few were reached to say
            assert estimate.low - 1e-9 <= estimate.value <= high + 1e-9


# --- the property ------------------------------------------------------------------------------------------------


@given(
    stories=st.lists(st.lists(STEP, min_size=4, max_size=14), min_size=2, max_size=2),
    cut=st.sampled_from([None, (-10, 4), (0.02, 1.6), (1, 30)]),
    gaps=st.lists(GAP, max_size=2),
)
@settings(
    max_examples=at_most(40, usually=20),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a story shrinks too slowly to be worth it
    suppress_health_check=list(HealthCheck),
)
def test_the_figures_are_those_of_a_plain_recount(
    db: None, stories: list[Any], cut: tuple[float, float] | None, gaps: list[Any]
) -> None:
    with transaction.atomic(), scopes_disabled():
        scenes = [Scene(), Scene()]
        scenes[1].org.zone = "America/Los_Angeles"
        scenes[1].org.save()
        now = max(play(scene, story) for scene, story in zip(scenes, stories, strict=True))
        freeze(now)
        go_blind(scenes, gaps)
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
        (of_verdicts,) = [one for one in success.overall if one.metric.name == "false_alarm_pct"]
        assert of_verdicts.outcomes.get("unjudged", 0) == sum(one.unjudged() for one in recounts)
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
