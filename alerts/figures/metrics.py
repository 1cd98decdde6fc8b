"""The success figures (docs/success.md): what each one counts, and the target it is held against."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alerts.figures import units
from alerts.figures.formulas import Estimate, census, middle, share


@dataclass
class MetricTally:
    """How many things there are by outcome, and the seconds that some of them took."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def add(self, outcome: str, count: int, seconds: Sequence[float]) -> None:
        self.outcomes[outcome] += count
        self.seconds += seconds


@dataclass(frozen=True)
class Metric:
    """A figure: the share of `yes` among `yes` and `no`; without a `no` the median seconds of `yes`.

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

    @property
    def sql(self) -> str:
        """This metric alone, ready for a SELECT from `unit`."""
        return self.stands_on + self.unit.format(unit="unit")

    @property
    def counted(self) -> tuple[str, ...]:
        return (self.yes, self.no) if self.no else (self.yes,)

    def estimate(self, tally: MetricTally) -> Estimate:
        """The figure of what was tallied; percentages as 0..100, times in seconds."""
        if not self.no:
            return middle(tally.seconds)
        formula: Callable[[int, int], Estimate] = share if self.unit else census
        return formula(tally.outcomes[self.yes], tally.outcomes[self.yes] + tally.outcomes[self.no])


EPISODES = units.SPAN + units.EPISODES
EVENTS = units.SPAN + units.EVENTS

TIME_TO_INTERVENE = Metric(
    "time_to_intervene_median_seconds",
    "came",
    stands_on=EPISODES,
    unit=units.TIME_TO_INTERVENE,
    target=300,
    days=90,
    low_is_good=True,
)
COVERAGE = Metric("coverage_pct", "reachable", "unreachable", target=100, days=30)
METRICS = (
    TIME_TO_INTERVENE,
    Metric("follow_up_15min_pct", "followed_up", "missed", EVENTS, units.FOLLOW_UP, target=70, days=90),
    Metric("unresolved_pct", "nobody", "came", EPISODES, units.CONVERSATIONS, low_is_good=True),
    COVERAGE,
    Metric("muted_pct", "muted", "not_muted", EPISODES, units.MUTED, low_is_good=True),
    Metric("false_alarm_pct", "false_alarm", "confirmed", units.SPAN, units.VERDICTS, low_is_good=True),
    Metric("with_confidence_pct", "with", "without", EVENTS, units.CONFIDENCE),
)
BY_NAME = {metric.name: metric for metric in METRICS}
