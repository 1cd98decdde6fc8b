"""How conversations went, as people read it: five figures with what they are of, and a table of the agents."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from console.pages.kpis.asked import KpiAsked
from console.pages.kpis.parts import (
    ENOUGH,
    KpiCell,
    KpiWidget,
    agent_page_url,
    points_more,
    runs_url,
    shown_name,
    too_few,
)
from console.pages.kpis.query import AgentSessions, Conversations, KpiBoard, amount
from console.text.amounts import decimal, percent, whole
from console.text.wording import Word
from runs.kpis import KpiFigures, kpi_figures
from runs.sessions import SessionCounts, session_figures
from runs.sums import Amounts

NAME = "conversations"
# The figures as in the API, what they are called, what counts, and whether those of the last 25 h mature.
FIGURES: tuple[tuple[str, Promise, Promise, bool], ...] = (
    (
        "containment_rate",
        gettext_lazy("Containment"),
        gettext_lazy("An agent took part, and no human wrote, was assigned or was handed the room."),
        True,
    ),
    (
        "resolution_rate",
        gettext_lazy("Resolution"),
        gettext_lazy("Contained and over; the customer was answered, and no alert of the room is open."),
        True,
    ),
    (
        "abandoned_pct",
        gettext_lazy("Abandoned"),
        gettext_lazy("The customer wrote last, and nobody answered, resolved it or handed it over."),
        True,
    ),
    (
        "durable_resolution_7d",
        gettext_lazy("Resolved for 7 days"),
        gettext_lazy(
            "Of resolved conversations whose last customer message is 7 days old: those in which no new one came."
        ),
        False,
    ),
    (
        "deflection_rate",
        gettext_lazy("Deflection"),
        gettext_lazy(
            "Of ended runs of which it is known whether a human acted: those that resolved it without one. "
            "Unknown is not counted."
        ),
        True,
    ),
)


@dataclass(frozen=True, slots=True)
class ConversationFigure:
    """One of the five: `number` is empty for no data; `maturing`: it may still change."""

    title: Promise
    number: str
    n: str
    url: str
    verdict: Word | None
    maturing: bool
    definition: Promise


def conversation_figures(asked: KpiAsked, board: KpiBoard, found: Conversations) -> list[ConversationFigure]:
    """The five of all agents together, each held against the period before: both without what is maturing."""
    maturing = any(one.maturing for one in found.agents)
    now, matured, before = (
        _values(counts, kpi_figures(sums, {}))
        for counts, sums in (
            (found.whole, board.whole),
            (found.matured, found.matured_runs),
            (found.before, board.before),
        )
    )
    n, n_matured, n_before = (
        _of(counts, sums)
        for counts, sums in (
            (found.whole, board.whole),
            (found.matured, found.matured_runs),
            (found.before, board.before),
        )
    )
    said = _said(found.whole, kpi_figures(board.whole, {}), n)
    return [
        ConversationFigure(
            title,
            decimal(now[name]) if now[name] is not None else "",
            said[name],
            runs_url(asked, "touched_known") if name == "deflection_rate" and n[name] else "",
            _verdict(n[name], points_more(matured[name], before[name], n_before[name]), n_matured[name]),
            matures and maturing,
            definition,
        )
        for name, title, definition, matures in FIGURES
    ]


def _verdict(n: int, compared: Word | None, n_compared: int) -> Word | None:
    if not n:
        return None
    return too_few(n) or (compared if n_compared >= ENOUGH else None)


def conversation_table(asked: KpiAsked, found: Conversations) -> KpiWidget:
    """The figures of each agent: rows of the page and of the file."""
    n = found.whole.sessions
    return KpiWidget(
        NAME,
        gettext_lazy("Conversations"),
        "",
        n=ngettext("n {n} conversation", "n {n} conversations", n).format(n=whole(n)),
        empty=_("No conversation began in this period.") if not n else "",
        heads=[_("Agent"), "n", *(str(title) for _name, title, _definition, _matures in FIGURES)],
        columns=[
            *("agent", "org", "sessions", "maturing", "maturing_sessions"),
            *("containment_rate", "resolution_rate", "abandoned_pct"),
            *("durable_resolution_7d", "old_enough", "not_yet_old_enough"),
            *("deflection_rate", "touched_known", "human_touched_unknown_pct"),
        ],
        rows=[_row(asked, one) for one in found.agents if one.counts.sessions or amount(one.runs, "ended")],
    )


def _row(asked: KpiAsked, one: AgentSessions) -> list[KpiCell]:
    """A cell without words is of the file alone."""
    figures, counts = kpi_figures(one.runs, {}), one.counts
    values, n = _values(counts, figures), _of(counts, one.runs)
    said, young = _said(counts, figures, n), counts.sessions - one.matured.sessions
    known, unknown = n["deflection_rate"], figures.human_touched_unknown_pct
    return [
        KpiCell(shown_name(one.agent, asked), one.agent.name, agent_page_url(one.agent, asked)),
        KpiCell("", one.agent.org.external_id),
        KpiCell(
            whole(counts.sessions),
            counts.sessions,
            more=_("{n} maturing").format(n=whole(young)) if one.maturing else "",
        ),
        KpiCell("", str(one.maturing).lower()),
        KpiCell("", young),
        *[KpiCell(percent(values[name]), values[name]) for name in ("containment_rate", "resolution_rate")],
        KpiCell(percent(values["abandoned_pct"]), values["abandoned_pct"]),
        KpiCell(
            percent(values["durable_resolution_7d"]),
            values["durable_resolution_7d"],
            more=said["durable_resolution_7d"],
        ),
        KpiCell("", counts.old_enough),
        KpiCell("", counts.too_young),
        KpiCell(
            percent(values["deflection_rate"]),
            values["deflection_rate"],
            runs_url(asked, "touched_known", agent=one.agent) if known else "",
            more=said["deflection_rate"],
        ),
        KpiCell("", known),
        KpiCell("", unknown),
    ]


def _values(counts: SessionCounts, figures: KpiFigures) -> dict[str, float | None]:
    told = session_figures(counts)
    return {name: getattr(told, name) for name in told.__slots__} | {"deflection_rate": figures.deflection_rate}


def _of(counts: SessionCounts, runs: Amounts) -> dict[str, int]:
    """How many each figure is of."""
    shares = dict.fromkeys(("containment_rate", "resolution_rate", "abandoned_pct"), counts.sessions)
    return {**shares, "durable_resolution_7d": counts.old_enough, "deflection_rate": amount(runs, "touched_known")}


def _said(counts: SessionCounts, figures: KpiFigures, n: dict[str, int]) -> dict[str, str]:
    """What each figure is of, in words."""
    shares = {name: f"n {whole(many)}" for name, many in n.items()}
    durable, unknown = shares["durable_resolution_7d"], figures.human_touched_unknown_pct
    if counts.too_young:
        durable += _(", {n} not yet old enough").format(n=whole(counts.too_young))
    deflected = shares["deflection_rate"]
    if unknown:
        deflected += _(", {share} unknown").format(share=percent(unknown))
    return {**shares, "durable_resolution_7d": durable, "deflection_rate": deflected}
