"""What the widgets are put together from: cells, lines over time, bars of agents, comparisons, links."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from console.pages.kpis.asked import KpiAsked
from console.pages.kpis.query import AgentSums, KpiBoard, amount
from console.text.amounts import decimal, whole
from console.text.wording import Word, day_of, span
from orgs.clock import time_mark
from orgs.models import Agent
from runs.kpis import KpiFigures, kpi_figures
from runs.windows import BucketLabel

ENOUGH = 20  # runs; with fewer nothing is compared
SHOWN = 8  # agents of a chart, those with the most runs; the table has all
SLA_LIMIT, QUALITY_LIMIT, ESCALATION_LIMIT = 90.0, 3.5, 20.0
SLOWER, DEARER = 1.5, 20.0  # times, per cent
STILL = 0.1  # times, points: below it a difference is none


@dataclass(frozen=True)
class KpiCell:
    """A cell of a table: words, the number of a file, the runs behind it, and what it is of in small."""

    text: str
    value: object = None
    url: str = ""
    more: str = ""


@dataclass(frozen=True)
class KpiWidget:
    """One widget. `chart` is what static/js/charts.js draws; `columns` of a file, `heads` of the page."""

    name: str
    title: Promise
    abbr: str
    number: str = ""
    unit: str = ""
    verdict: Word | None = None
    note: str = ""
    key: list[tuple[str, str]] = field(default_factory=list)  # how it is drawn, what it is
    chart: dict[str, Any] | None = None
    label: str = ""
    url: str = ""
    n: str = ""
    empty: str = ""
    heads: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    rows: list[list[KpiCell]] = field(default_factory=list)


TITLES: dict[str, tuple[Promise, str]] = {
    "art": (gettext_lazy("Average resolution time"), "ART"),
    "scr": (gettext_lazy("Self-correction rate"), "SCR"),
    "esc": (gettext_lazy("Escalation"), "ESC"),
    "sla": (gettext_lazy("SLA hit rate"), "SLA"),
    "cpr": (gettext_lazy("Cost per resolution"), "CPR"),
    "rq": (gettext_lazy("Quality"), "RQ"),
}


def label_words(label: BucketLabel) -> str:
    """A bucket at an axis: `14 Nov`, or the hour `02:00`."""
    if isinstance(label, datetime):
        return timezone.localtime(label).strftime(f"%H{time_mark()}%M")
    return day_of(label) if label is not None else ""


def bucket_words(label: BucketLabel, asked: KpiAsked) -> str:
    """A bucket in a table."""
    if isinstance(label, datetime):
        return f"{day_of(timezone.localtime(label))} {label_words(label)}"
    if label is not None and asked.bucket in ("week", "month"):
        return _("from {day}").format(day=day_of(label))
    return label_words(label)


def runs_url(asked: KpiAsked, counted: str, label: BucketLabel = None, agent: Agent | None = None) -> str:
    """The runs behind a figure: those of `counted` (`runs.query.COUNTED_RUNS`), of a bucket, of an agent."""
    of_agent = {"agent": agent.name, "org": agent.org.external_id if asked.several else None} if agent else {}
    changes = {name: value for name, value in of_agent.items() if value is not None}
    at = label.isoformat() if label is not None else ""
    return reverse("runs") + asked.query(counted=counted, at=at.replace("+00:00", "Z"), **changes)


def shown_name(agent: Agent, asked: KpiAsked) -> str:
    if not asked.several:
        return agent.name
    return f"{agent.name} · {asked.twins.get(agent.org.external_id, agent.org.name)}"


def agent_page_url(agent: Agent, asked: KpiAsked) -> str:
    query = asked.query(agent="", version="", org=agent.org.external_id)
    return reverse("agent", args=[agent.name]) + query


def too_few(n: int) -> Word | None:
    return None if n >= ENOUGH else Word("none", "help-circle", _("n {n}: too few to compare").format(n=n))


def points_over_time(
    asked: KpiAsked, board: KpiBoard, counted: str, of: Callable[[KpiFigures], float | None]
) -> dict[str, Any]:
    """A line over the buckets, with how many runs each point is of and where it leads."""
    return {
        "labels": [label_words(label) for label in board.labels],
        "names": [bucket_words(label, asked) for label in board.labels],
        "urls": [runs_url(asked, counted, label) for label in board.labels],
        "n": [amount(board.buckets[label][0], counted) if label in board.buckets else 0 for label in board.labels],
        "values": [of(board.of_bucket(label)) for label in board.labels],
        "blind": blind_places(board),
    }


def blind_places(board: KpiBoard) -> list[int]:
    """The buckets in which we could not see all the time, by their place."""
    return [place for place, label in enumerate(board.labels) if label in board.blind]


def blind_words(board: KpiBoard) -> str:
    """How long we could not see; empty for never."""
    minutes = sum(board.blind.values())
    return _("{time} blind").format(time=span(60 * minutes)) if minutes else ""


def when_cell(asked: KpiAsked, label: BucketLabel) -> KpiCell:
    return KpiCell(bucket_words(label, asked) or _("All"), label.isoformat() if label is not None else None)


def bars_of_agents(asked: KpiAsked, agents: Iterable[AgentSums], counted: str) -> dict[str, Any]:
    shown = list(agents)
    twice = {name for name, n in Counter(one.agent.name for one in shown).items() if n > 1}
    return {
        "labels": [shown_name(one.agent, asked) if one.agent.name in twice else one.agent.name for one in shown],
        "names": [shown_name(one.agent, asked) for one in shown],
        "urls": [runs_url(asked, counted, agent=one.agent) for one in shown],
        "n": [amount(one.whole, counted) for one in shown],
    }


def with_most(board: KpiBoard, counted: str) -> list[AgentSums]:
    """The agents with the most runs that count."""
    some = [one for one in board.agents if amount(one.whole, counted)]
    return sorted(some, key=lambda one: -amount(one.whole, counted))[:SHOWN]


def agent_cells(one: AgentSums, asked: KpiAsked) -> list[KpiCell]:
    """The agent and, in a file only, its org."""
    page = agent_page_url(one.agent, asked)
    return [KpiCell(shown_name(one.agent, asked), one.agent.name, page), KpiCell("", one.agent.org.external_id)]


def counted_cell(one: AgentSums, asked: KpiAsked, counted: str) -> KpiCell:
    n = amount(one.whole, counted)
    return KpiCell(whole(n), n, runs_url(asked, counted, agent=one.agent))


def points_more(value: float | None, before: float | None, n: int) -> Word | None:
    if value is None or before is None or n < ENOUGH:
        return None
    more = value - before
    if abs(more) < STILL:
        return Word("none", "arrows-right-left", _("as in the period before"))
    text = _("{n} points above the period before") if more > 0 else _("{n} points below the period before")
    return Word("none", "arrow-up-right" if more > 0 else "arrow-down-right", text.format(n=decimal(abs(more))))


def figures_before(board: KpiBoard) -> KpiFigures:
    return kpi_figures(board.before, {})


def trend_words(
    title: object, labels: Sequence[BucketLabel], values: Sequence[float | None], say: Callable[[float | None], str]
) -> str:
    known = [(label, value) for label, value in zip(labels, values, strict=True) if value is not None]
    if not known:
        return ""
    (first_day, first), (last_day, last) = known[0], known[-1]
    return _("{name}: {first} on {first_day}, {last} on {last_day}").format(
        name=title, first=say(first), first_day=label_words(first_day), last=say(last), last_day=label_words(last_day)
    )


def agents_words(title: object, chart: dict[str, Any], say: Callable[[float | None], str]) -> str:
    parts = ", ".join(f"{name} {say(value)}" for name, value in zip(chart["names"], chart["values"], strict=True))
    return f"{title}: {parts}"


def widget_of(name: str, asked: KpiAsked, counted: str, **parts: Any) -> KpiWidget:
    title, abbr = TITLES[name]
    return KpiWidget(name, title, abbr, url=runs_url(asked, counted), **parts)
