"""A small line chart as numbers: where the template draws what. Pure; colours and words are the template's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

WIDTH, HEIGHT = 360, 168
LEFT, RIGHT, TOP, BOTTOM = 40.0, 300.0, 20.0, 138.0  # the words beside the lines stand right of it
APART = 14  # two labels closer than this would cover each other
NARROWEST = 2.0  # of what is shaded
PERCENT = (1, 2, 5, 10, 20, 50, 100)
SECONDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800, 2592000)


@dataclass(frozen=True)
class Dot:
    """A point of the line; `label` shows on hover."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Rule:
    """A level and its words, right of it at `text_y`; of kind `last` the newest value, else one to compare with."""

    kind: str
    y: float
    text_y: float
    label: str


@dataclass(frozen=True)
class Tick:
    """Words at an axis."""

    at: float
    label: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Shade:
    """A stretch of time in which nothing was seen."""

    x: float
    width: float


@dataclass(frozen=True)
class Chart:
    """Everything in units of the view box; `paths` are the stretches of the line without a gap."""

    paths: list[str]
    dots: list[Dot]
    rules: list[Rule]
    levels: list[Tick]
    days: list[Tick]
    shades: list[Shade]


def line_chart(
    values: Sequence[float | None],
    days: Sequence[str],
    rules: Sequence[tuple[str, float | None, str]],
    steps: Sequence[int],
    say: Callable[[float], str],
    shades: Sequence[tuple[float, float]] = (),
) -> Chart | None:
    """A chart of the values, one a day or week named in `days`; None without any. A missing value is a gap, never 0.

    `rules`: kind, level and words of lines to compare with; `steps`: the tops the axis may have;
    `say`: a value in words; `shades`: from where to where nothing was seen, in days or weeks of the chart: 1.5 is noon
    of the second.
    """
    known = [value for value in values if value is not None]
    if not known:
        return None
    levels = [(kind, level, label) for kind, level, label in rules if level is not None]
    levels.append(("last", known[-1], say(known[-1])))
    highest = max([*known, *(level for _, level, _ in levels)])
    top = next((step for step in steps if step >= highest), highest)

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * value / top, 1)

    def x(index: int) -> float:
        return round(LEFT + (RIGHT - LEFT) * (index / (len(values) - 1) if len(values) > 1 else 1), 1)

    dots = [
        Dot(x(index), y(value), f"{days[index]}: {say(value)}") if value is not None else None
        for index, value in enumerate(values)
    ]
    return Chart(
        paths=_paths(dots),
        dots=[dot for dot in dots if dot],
        rules=_rules([(kind, y(level), label) for kind, level, label in levels]),
        levels=[Tick(y(level), say(level)) for level in (0, top / 2, top)],
        days=_days(days, x),
        shades=_shades(shades, len(values)),
    )


def _shades(shades: Sequence[tuple[float, float]], n: int) -> list[Shade]:
    """A day's value stands at its middle, at the ends of the chart at its edge; the shortest stretch can be seen."""
    step = (RIGHT - LEFT) / max(n - 1, 1)

    def x(at: float) -> float:
        return min(max(LEFT + step * (at - 0.5), LEFT), RIGHT)

    found = [(x(first), max(x(last) - x(first), NARROWEST)) for first, last in shades]
    return [Shade(round(min(left, RIGHT - width), 1), round(width, 1)) for left, width in found]


def _paths(dots: Sequence[Dot | None]) -> list[str]:
    stretches = [list(found) for there, found in groupby(dots, bool) if there]
    return ["M" + " L".join(f"{dot.x} {dot.y}" for dot in stretch if dot) for stretch in stretches if len(stretch) > 1]


def _rules(levels: Sequence[tuple[str, float, str]]) -> list[Rule]:
    """Words beside their line, or as far below the words before as they need."""
    made: list[Rule] = []
    for kind, y, label in sorted(levels, key=lambda level: level[1]):
        made.append(Rule(kind, y, max(y, made[-1].text_y + APART) if made else y, label))
    return made


def _days(days: Sequence[str], x: Callable[[int], float]) -> list[Tick]:
    """The first, the middle and the last."""
    last = len(days) - 1
    if last == 0:
        return [Tick(x(0), days[0], "end")]
    ends = [Tick(x(0), days[0], "start"), Tick(x(last), days[last], "end")]
    return ends if last < 4 else [ends[0], Tick(x(last // 2), days[last // 2]), ends[1]]
