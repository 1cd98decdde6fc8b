"""How long people wait for a human, as the widest card of /success shows it: bars, a second time, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.formats import number_format
from django.utils.functional import Promise

from alerts.figures import TIME_TO_INTERVENE, Figure
from console.pages.success.words import EPISODE_OUTCOMES, WORDS, interval, say_estimate


@dataclass(frozen=True)
class ShareBar:
    """A share with its interval: words, and percentages of the bar's length; None: no data, no interval."""

    name: Promise
    metric: str
    said: str
    interval: str
    value: float | None
    low: float | None
    high: float | None

    @property
    def width(self) -> float | None:
        return None if self.low is None or self.high is None else round(self.high - self.low, 1)


def waits(figures: Sequence[Figure]) -> dict[str, Any]:
    """What stands beside the median: of all figures those of the same episodes."""
    others = [figure for figure in figures if figure.metric.same_as == TIME_TO_INTERVENE.name]
    bars = [_bar(figure) for figure in others]
    outcomes = others[0].outcomes
    return {
        "bars": [bar for bar, figure in zip(bars, others, strict=True) if figure.metric.within],
        "times": [bar for bar, figure in zip(bars, others, strict=True) if figure.metric.reached],
        "ended": [
            (words.name, words.tone, number_format(outcomes[code]))
            for code, words in EPISODE_OUTCOMES.items()
            if code in TIME_TO_INTERVENE.watched and outcomes.get(code)
        ],
    }


def _bar(figure: Figure) -> ShareBar:
    metric, now = figure.metric, figure.now
    said, width = say_estimate(metric, now), (now.value, now.low, now.high) if metric.within else (None, None, None)
    rounded = [None if number is None else round(number, 1) for number in width]
    return ShareBar(WORDS[metric.name].short, metric.name, said, interval(metric, now), *rounded)
