"""Success figures: what the product is for, counted from events, transitions and room activity. Reads only, but for
the days that are over, which `closing.py` keeps.

`measure` counts everything for a page; `items` lists what is behind a number, `nearest` a page of it.
docs/success.md has the definitions.
"""

from alerts.figures.counting import CountedFigures as CountedFigures
from alerts.figures.counting import Figure as Figure
from alerts.figures.counting import Span as Span
from alerts.figures.counting import SuccessFigures as SuccessFigures
from alerts.figures.counting import count_figures as count_figures
from alerts.figures.counting import count_metric as count_metric
from alerts.figures.counting import measure as measure
from alerts.figures.counting import span_of as span_of
from alerts.figures.counting import time_to_intervene as time_to_intervene
from alerts.figures.covered import coverage as coverage
from alerts.figures.covered import coverage_lately as coverage_lately
from alerts.figures.formulas import Estimate as Estimate
from alerts.figures.formulas import share as share
from alerts.figures.listing import THINGS as THINGS
from alerts.figures.listing import ListedThing as ListedThing
from alerts.figures.listing import days as days
from alerts.figures.listing import items as items
from alerts.figures.listing import listable as listable
from alerts.figures.listing import nearest as nearest
from alerts.figures.metrics import BY_NAME as BY_NAME
from alerts.figures.metrics import COVERAGE as COVERAGE
from alerts.figures.metrics import METRICS as METRICS
from alerts.figures.metrics import TIME_TO_INTERVENE as TIME_TO_INTERVENE
from alerts.figures.metrics import Metric as Metric
from alerts.figures.periods import BadPeriod as BadPeriod
from alerts.figures.periods import Moment as Moment
from alerts.figures.periods import Period as Period
from alerts.figures.periods import period as period
from alerts.figures.shared import SharedFigures as SharedFigures
