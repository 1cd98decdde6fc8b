"""Success figures: what the product is for, counted from events, transitions and room activity. Reads only.

`measure` counts everything for a page; `items` lists what is behind a number. docs/success.md has the definitions.
"""

from alerts.figures.counting import Figure, Span, SuccessFigures, count_metric, measure, span_of, time_to_intervene
from alerts.figures.covered import Covered, coverage
from alerts.figures.formulas import Estimate
from alerts.figures.listing import THINGS, ListedThing, days, items
from alerts.figures.metrics import BY_NAME, COVERAGE, METRICS, Metric
from alerts.figures.periods import BadPeriod, Moment, Period, period

__all__ = [
    "BY_NAME",
    "COVERAGE",
    "METRICS",
    "THINGS",
    "BadPeriod",
    "Covered",
    "Estimate",
    "Figure",
    "ListedThing",
    "Metric",
    "Moment",
    "Period",
    "Span",
    "SuccessFigures",
    "count_metric",
    "coverage",
    "days",
    "items",
    "measure",
    "period",
    "span_of",
    "time_to_intervene",
]
