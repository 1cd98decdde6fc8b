"""The success figures (docs/success.md): what each one counts, and the target it is held against."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from alerts.figures import units
from alerts.figures.formulas import Estimate, census, share
from alerts.figures.survival import WaitingCurve


@dataclass
class MetricTally:
    """How many things there are by outcome; the seconds of those that are waited for: `came`, and `left` before."""

    outcomes: Counter[str] = field(default_factory=Counter)
    came: list[float] = field(default_factory=list)
    left: list[float] = field(default_factory=list)

    def add(self, outcome: str, count: int, came: Sequence[float], left: Sequence[float]) -> None:
        if count:
            self.outcomes[outcome] += count
        self.came += came
        self.left += left

    @cached_property
    def curve(self) -> WaitingCurve:
        """Of all that was added; ask for it when that is done."""
        return WaitingCurve(self.came, self.left, sum(self.outcomes[outcome] for outcome in OVER))


@dataclass(frozen=True)
class Metric:
    """A figure: the share of `yes` among `yes` and `no`.

    Or, of things that are waited for (`watched`: all that count): the seconds within which `reached` of them, as a
    share, are `yes`; or the share that is so `within` some seconds. `same_as`: the metric whose things it counts.

    What has another outcome is listed, and not counted. `target` is in the figure's unit; `days` after the org's
    general availability it is due. `stands_on` and `unit` are its SQL (units.py); without it is counted from who can be
    reached now.
    """

    name: str
    yes: str
    no: str = ""
    stands_on: str = ""
    unit: str = ""
    target: float | None = None
    days: int = 0
    low_is_good: bool = False
    watched: tuple[str, ...] = ()
    reached: float = 0.0
    within: int = 0
    same_as: str = ""

    @property
    def sql(self) -> str:
        """This metric alone, ready for a SELECT from `unit`."""
        return self.stands_on + self.unit.format(unit="unit")

    @property
    def counted(self) -> tuple[str, ...]:
        return self.watched or (self.yes, self.no)

    @property
    def counted_as(self) -> str:
        """The name under which its things are counted."""
        return self.same_as or self.name

    def estimate(self, tally: MetricTally) -> Estimate:
        """The figure of what was tallied; percentages as 0..100, times in seconds."""
        if self.reached:
            return tally.curve.time(self.reached)
        if self.within:
            return tally.curve.reached(self.within)
        formula: Callable[[int, int], Estimate] = share if self.unit else census
        return formula(tally.outcomes[self.yes], tally.outcomes[self.yes] + tally.outcomes[self.no])


EPISODES = units.SPAN + units.EPISODES
EVENTS = units.SPAN + units.EVENTS

OVER = ("nobody", "recovered")  # outcomes of an episode that ended before anybody came
TIME_TO_INTERVENE = Metric(
    "time_to_intervene_median_seconds",
    "came",
    stands_on=EPISODES,
    unit=units.TIME_TO_INTERVENE,
    target=300,
    days=90,
    low_is_good=True,
    watched=("came", *OVER, "open", "blind"),
    reached=0.5,
)
_of_episodes = partial(replace, TIME_TO_INTERVENE, same_as=TIME_TO_INTERVENE.name, target=None, days=0)
COVERAGE = Metric("coverage_pct", "reachable", "unreachable", target=100, days=30)
METRICS = (
    TIME_TO_INTERVENE,
    _of_episodes(name="time_to_intervene_p75_seconds", reached=0.75),
    *(
        _of_episodes(name=f"reached_{minutes}min_pct", reached=0.0, within=60 * minutes, low_is_good=False)
        for minutes in (1, 5, 15)
    ),
    Metric("follow_up_15min_pct", "followed_up", "missed", EVENTS, units.FOLLOW_UP, target=70, days=90),
    Metric("unresolved_pct", "nobody", "came", EPISODES, units.CONVERSATIONS, low_is_good=True),
    COVERAGE,
    Metric("muted_pct", "muted", "not_muted", EPISODES, units.MUTED, low_is_good=True),
    Metric("lost_to_window_pct", "lost", "not_lost", EPISODES, units.LOST_TO_WINDOW, low_is_good=True),
    Metric("false_alarm_pct", "false_alarm", "confirmed", EPISODES, units.VERDICTS, low_is_good=True),
    Metric("with_confidence_pct", "with", "without", EVENTS, units.CONFIDENCE),
)
BY_NAME = {metric.name: metric for metric in METRICS}
