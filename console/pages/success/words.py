"""The success figures as people read them: names, definitions, comparisons, and what each thing counted as."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from alerts.figures import COVERAGE, Estimate, Figure, Metric, SuccessFigures
from console.text.amounts import decimal
from console.text.chart import PERCENT, SECONDS, line_chart
from console.text.wording import Word, day_of, duration
from orgs.models import Org

CLOSE = 1e-9


@dataclass(frozen=True)
class OutcomeWords:
    """What a thing counted as; for a thing that is not counted, `why`."""

    name: Promise
    tone: str = "none"
    why: Promise | str = ""


@dataclass(frozen=True)
class Words:
    """A figure's name, short name, definition, what n is, and its outcomes; the counted ones first."""

    name: Promise
    short: Promise
    definition: Promise
    n: Promise
    outcomes: Mapping[str, OutcomeWords]


EPISODE_OUTCOMES = {
    "came": OutcomeWords(gettext_lazy("A human came"), "human"),
    "recovered": OutcomeWords(gettext_lazy("It recovered by itself"), "ok"),
    "nobody": OutcomeWords(gettext_lazy("Nobody came"), "crit"),
    "open": OutcomeWords(gettext_lazy("Nobody yet"), "warn"),
    "blind": OutcomeWords(gettext_lazy("We went blind first")),
    "began_blind": OutcomeWords(
        gettext_lazy("It began while we were blind"),
        why=gettext_lazy("We could not see when it began, nor what happened then."),
    ),
    "human_present": OutcomeWords(
        gettext_lazy("A human was there"),
        why=gettext_lazy("A human was in the room when it began: there was nobody to wait for."),
    ),
}
N_EPISODES = ngettext_lazy("{n} episode", "{n} episodes")
WITHIN = gettext_lazy(
    "Of all episodes that began in this period: the share to which a human came within this time. One that ended "
    "before, that is still open or in which we went blind counts until then (Kaplan-Meier)."
)
WORDS: dict[str, Words] = {
    "time_to_intervene_median_seconds": Words(
        gettext_lazy("Time to intervene, median"),
        gettext_lazy("Time to intervene"),
        gettext_lazy(
            "From the first failure event of an episode to the first time a human opened the room, wrote in it or was "
            "assigned to it: within this time a human came to half of all episodes that began in this period. One that "
            "nobody came to counts until it ended, until now, or until we went blind (Kaplan-Meier). Not reached: a "
            "human came to fewer than half."
        ),
        N_EPISODES,
        EPISODE_OUTCOMES,
    ),
    "time_to_intervene_p75_seconds": Words(
        gettext_lazy("Time to intervene, three quarters"),
        gettext_lazy("Three quarters within"),
        gettext_lazy(
            "Within this time a human came to three quarters of all episodes that began in this period, counted as for "
            "the median."
        ),
        N_EPISODES,
        EPISODE_OUTCOMES,
    ),
    "reached_1min_pct": Words(
        gettext_lazy("A human came within 1 min"), gettext_lazy("Within 1 min"), WITHIN, N_EPISODES, EPISODE_OUTCOMES
    ),
    "reached_5min_pct": Words(
        gettext_lazy("A human came within 5 min"), gettext_lazy("Within 5 min"), WITHIN, N_EPISODES, EPISODE_OUTCOMES
    ),
    "reached_15min_pct": Words(
        gettext_lazy("A human came within 15 min"), gettext_lazy("Within 15 min"), WITHIN, N_EPISODES, EPISODE_OUTCOMES
    ),
    "follow_up_15min_pct": Words(
        gettext_lazy("Followed up within 15 min"),
        gettext_lazy("Follow-up in 15 min"),
        gettext_lazy(
            "Of the failure events of this period that decided something: the share for which, within 15 min, a human "
            "opened the room, wrote in it, was assigned, or acknowledged, took or resolved the alert; or a human was "
            "in the room already."
        ),
        ngettext_lazy("{n} failure event", "{n} failure events"),
        {
            "followed_up": OutcomeWords(gettext_lazy("Followed up"), "human"),
            "missed": OutcomeWords(gettext_lazy("Nobody in 15 min"), "crit"),
            "too_early": OutcomeWords(
                gettext_lazy("15 min not over"), why=gettext_lazy("Its 15 minutes are not over yet.")
            ),
            "blind": OutcomeWords(
                gettext_lazy("We were blind"), why=gettext_lazy("We could not see all of its 15 minutes.")
            ),
            "late": OutcomeWords(
                gettext_lazy("Told too late"),
                why=gettext_lazy("It was received over 10 min after it happened, or after the room was done."),
            ),
            "above_threshold": OutcomeWords(
                gettext_lazy("Confident enough"),
                why=gettext_lazy("Its confidence was at or above the threshold, so it told nobody."),
            ),
        },
    ),
    "unresolved_pct": Words(
        gettext_lazy("Failed, and no human came"),
        gettext_lazy("No human came"),
        gettext_lazy(
            "A conversation is a room on one day of its org. Of those that failed in this period and are over: the "
            "share in which no human opened the room, wrote in it or was assigned to it between the first failure and "
            "the end."
        ),
        ngettext_lazy("{n} conversation", "{n} conversations"),
        {
            "nobody": OutcomeWords(gettext_lazy("No human came"), "crit"),
            "came": OutcomeWords(gettext_lazy("A human came"), "human"),
            "open": OutcomeWords(gettext_lazy("Not over"), why=gettext_lazy("It is not over yet.")),
            "blind": OutcomeWords(
                gettext_lazy("We were blind"),
                why=gettext_lazy("We could not see it from its first failure to its end."),
            ),
        },
    ),
    "coverage_pct": Words(
        gettext_lazy("Agents with a reachable supervisor"),
        gettext_lazy("Reachable"),
        gettext_lazy(
            "Of the agents in production: the share that is backed up by at least one person whom a push is proven to "
            "reach. As it is now, whatever the period."
        ),
        ngettext_lazy("{n} agent", "{n} agents"),
        {
            "reachable": OutcomeWords(gettext_lazy("Reachable"), "ok"),
            "unreachable": OutcomeWords(gettext_lazy("Nobody"), "crit"),
        },
    ),
    "muted_pct": Words(
        gettext_lazy("Muted"),
        gettext_lazy("Muted"),
        gettext_lazy("Of the episodes that began in this period: the share that was snoozed or silenced at some time."),
        ngettext_lazy("{n} episode", "{n} episodes"),
        {
            "muted": OutcomeWords(gettext_lazy("Snoozed or silenced"), "warn"),
            "not_muted": OutcomeWords(gettext_lazy("Never snoozed or silenced")),
        },
    ),
    "lost_to_window_pct": Words(
        gettext_lazy("Lost to the reply window"),
        gettext_lazy("Lost to the window"),
        gettext_lazy(
            "Of the episodes that began in this period: the share whose customer still waited when their channel's "
            "reply window closed, so that only a template could reach them."
        ),
        ngettext_lazy("{n} episode", "{n} episodes"),
        {
            "lost": OutcomeWords(gettext_lazy("Window closed first"), "crit"),
            "not_lost": OutcomeWords(gettext_lazy("In time, or without a window")),
        },
    ),
    "false_alarm_pct": Words(
        gettext_lazy("False alarms"),
        gettext_lazy("False alarms"),
        gettext_lazy("Of the alerts whose last verdict was given in this period: the share called a false alarm."),
        ngettext_lazy("{n} alert with a verdict", "{n} alerts with a verdict"),
        {
            "false_alarm": OutcomeWords(gettext_lazy("False alarm"), "warn"),
            "confirmed": OutcomeWords(gettext_lazy("Real")),
            "unjudged": OutcomeWords(
                gettext_lazy("No verdict yet"), why=gettext_lazy("Nobody has said whether it was a real failure.")
            ),
        },
    ),
    "with_confidence_pct": Words(
        gettext_lazy("Events with a confidence"),
        gettext_lazy("With confidence"),
        gettext_lazy("Of all failure events of this period: the share that told how confident the agent was."),
        ngettext_lazy("{n} failure event", "{n} failure events"),
        {
            "with": OutcomeWords(gettext_lazy("With")),
            "without": OutcomeWords(gettext_lazy("Without")),
        },
    ),
}


def say(metric: Metric, value: float | None) -> str:
    """A figure in words: `03:12`, `1 h 05`, `78.3 %`; `No data` for None."""
    if value is None:
        return _("No data")
    return f"{number(metric, value)}\N{NO-BREAK SPACE}{unit(metric, value)}".strip()


def say_estimate(metric: Metric, estimate: Estimate) -> str:
    """As `say`; `Not reached` where too few were."""
    return _("Not reached") if estimate.not_reached else say(metric, estimate.value)


def number(metric: Metric, value: float) -> str:
    """The figure without its unit; a decimal unless it is exactly a whole number."""
    if not metric.reached:
        return decimal(value, 0 if abs(value - round(value)) < CLOSE else 1)
    just_over = metric.target is not None and int(value) <= metric.target < value  # 300.2 s are not "05:00 or less"
    return duration(value + 1 if just_over else value)


def unit(metric: Metric, value: float) -> str:
    """The unit after the number; a time of an hour or more has its units within."""
    if not metric.reached:
        return "%"
    return _("min") if value < 3600 else ""


def counted(metric: Metric, n: int) -> str:
    """`186 episodes`"""
    return (WORDS[metric.name].n % n).format(n=number_format(n))


# --- against goal and baseline ---------------------------------------------------------------------------------------


def goal(metric: Metric) -> str:
    """What the target says, `goal 70 % or more`; empty without one."""
    if metric.target is None:
        return ""
    if metric is COVERAGE:
        return _("goal: every agent")
    text = _("goal {value} or less") if metric.low_is_good else _("goal {value} or more")
    return text.format(value=say(metric, metric.target))


def comparison_words(figure: Figure) -> Word | None:
    """Compares the figure with its goal, or without one with its baseline if lower is better; None where neither is."""
    metric, value, baseline = figure.metric, figure.now.value, figure.baseline.value
    if figure.now.not_reached and metric.target is not None:
        return Word("crit", "alert-octagon-f", goal(metric))
    if value is None:
        return None
    if metric.target is not None:
        met = value <= metric.target if metric.low_is_good else value >= metric.target - CLOSE
        left_out = sum(n for outcome, n in figure.outcomes.items() if outcome not in metric.counted)
        if met and left_out > figure.now.n:
            unsure = _("{goal}: more is left out than counted").format(goal=goal(metric))
            return Word("none", "help-circle", unsure)
        tone, icon = ("ok", "circle-check-f") if met else ("crit", "alert-octagon-f")
        return Word(tone, icon, goal(metric))
    if not metric.low_is_good or baseline is None or abs(value - baseline) < CLOSE:
        return None
    was = say(metric, baseline)
    if value < baseline:
        return Word("ok", "arrow-down-right", _("below the first 30 days, {value}").format(value=was))
    return Word("warn", "arrow-up-right", _("above the first 30 days, {value}").format(value=was))


def due(metric: Metric, org: Org | None) -> str:
    """By when an org is to reach the goal; empty if no day is known."""
    if org is None or org.ga_date is None or not metric.days:
        return ""
    return _("due {day}").format(day=day_of(org.ga_date + timedelta(days=metric.days), year=True))


def baseline(figure: Figure, success: SuccessFigures, shown: list[Org]) -> str:
    """The figure of the org's first 30 days, and whether they are over; empty without one."""
    estimate = figure.baseline
    if estimate.value is None and not estimate.not_reached:
        return ""
    words = {"value": say_estimate(figure.metric, estimate), "n": estimate.n}
    ends = success.baseline_ends.get(shown[0].pk) if len(shown) == 1 else None
    if ends is not None and ends > success.as_of:
        day = day_of(ends.astimezone(ZoneInfo(shown[0].zone)).date(), year=True)
        return _("baseline so far {value}, n {n}; it is complete on {day}").format(day=day, **words)
    return _("baseline {value}, n {n}").format(**words)


def interval(metric: Metric, estimate: Estimate) -> str:
    """The 95 % interval in words."""
    if metric is COVERAGE or (estimate.value is None and not estimate.not_reached):
        return ""
    if estimate.low is None:
        return _("too few for an interval") if estimate.value is not None else ""
    if estimate.high is None:  # so few were reached that there is no upper end
        return _("95 %: {low} or more").format(low=say(metric, estimate.low))
    low = number(metric, estimate.low)
    return _("95 %: {low} to {high}").format(low=low, high=say(metric, estimate.high))


# --- a card ----------------------------------------------------------------------------------------------------------


def card(
    figure: Figure, success: SuccessFigures, shown: list[Org], shades: Sequence[tuple[float, float]] = ()
) -> dict[str, Any]:
    """A figure of the orgs `shown` in words, with its trend; `shades` of its chart are when we could not see."""
    metric, words = figure.metric, WORDS[figure.metric.name]
    figure_number, figure_unit = _large(figure)
    days = [day_of(day) for day in success.points]
    steps = SECONDS if metric.reached else PERCENT
    rules = [("target", metric.target, _("goal")), ("baseline", figure.baseline.value, _("baseline"))]
    return {
        "name": words.name,
        "metric": metric,
        "number": figure_number,
        "none": say_estimate(metric, figure.now),
        "unit": figure_unit,
        "verdict": comparison_words(figure),
        "due": due(metric, shown[0] if len(shown) == 1 else None),
        "baseline": baseline(figure, success, shown),
        "interval": interval(metric, figure.now),
        "n": counted(metric, figure.now.n),
        "n_all": figure.now.n,
        "left_out": left_out(metric, figure.outcomes),
        "definition": words.definition,
        "chart": line_chart(
            [point.value for point in figure.trend], days, rules, steps, partial(number, metric), shades
        ),
        "chart_label": _chart_label(figure, days),
        "points": [
            {"day": day, "value": say_estimate(metric, point), "n": point.n, "interval": interval(metric, point)}
            for day, point in zip(days, figure.trend, strict=False)
        ],
    }


def _large(figure: Figure) -> tuple[str, str]:
    """The large figure and the small text after it; for agents, which one can count, `5` `of 6`. Empty: no data."""
    metric, value = figure.metric, figure.now.value
    if value is None:
        return "", ""
    if metric is COVERAGE:
        return number_format(figure.outcomes.get(metric.yes, 0)), _("of {n}").format(n=number_format(figure.now.n))
    return number(metric, value), unit(metric, value)


def left_out(metric: Metric, outcomes: Mapping[str, int]) -> list[str]:
    """`12 not counted: A human was there`, for each reason that occurs."""
    words = WORDS[metric.name].outcomes
    return [
        _("{n} not counted: {why}").format(n=number_format(n), why=words[outcome].name)
        for outcome, n in sorted(outcomes.items())
        if outcome not in metric.counted and n
    ]


def _chart_label(figure: Figure, days: list[str]) -> str:
    """The trend for those who do not see it: from where to where."""
    known = [(day, point.value) for day, point in zip(days, figure.trend, strict=False) if point.value is not None]
    if not known:
        return ""
    (first_day, first), (last_day, last) = known[0], known[-1]
    return _("{name}: {first} on {first_day}, {last} on {last_day}").format(
        name=WORDS[figure.metric.name].name,
        first=say(figure.metric, first),
        first_day=first_day,
        last=say(figure.metric, last),
        last_day=last_day,
    )


def span_words(starts: date, ends: date) -> str:
    """`28 Oct to 26 Nov 2026`; the end is the last day, not the one after."""
    last = ends - timedelta(days=1)
    if last == starts:
        return day_of(last, year=True)
    return _("{first} to {last}").format(
        first=day_of(starts, year=starts.year != last.year), last=day_of(last, year=True)
    )


def today(now: datetime, *zones: str) -> date:
    """The day it is in a zone; of several the latest, so that no org's newest hours are missing from a range."""
    return max(now.astimezone(ZoneInfo(zone)).date() for zone in zones)
