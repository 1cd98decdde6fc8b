"""A run as people read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from console.pages.kpis.asked import RANGES
from console.pages.runs.query import OF_ROOM
from console.text.amounts import decimal, dollars, seconds
from console.text.wording import Word
from orgs.models import Org
from runs.models import AgentRun
from runs.query import run_seconds, sla_met

COUNTED_WORDS: Mapping[str, Promise] = {
    "runs": gettext_lazy("All runs"),
    "ended": gettext_lazy("Ended runs"),
    "resolved": gettext_lazy("Resolved runs"),
    "escalated": gettext_lazy("Escalated runs"),
    "failed": gettext_lazy("Failed runs"),
    "self_corrected": gettext_lazy("Self-corrected runs"),
    "sla_counted": gettext_lazy("Runs with a target"),
    "sla_hit": gettext_lazy("Runs within target"),
    "cost_known": gettext_lazy("Runs with a cost"),
    "touched_known": gettext_lazy("Runs of which it is known whether a human acted"),
    "reviewed": gettext_lazy("Reviewed runs"),
}
RESULTS: Mapping[str, tuple[str, str, Promise]] = {
    "resolved": ("ok", "circle-check-f", pgettext_lazy("run", "Resolved")),
    "escalated": ("human", "arrows-right-left", gettext_lazy("Escalated")),
    "failed": ("crit", "alert-octagon-f", gettext_lazy("Failed")),
}
STATE_WORDS: Mapping[str, Promise] = {
    "open": gettext_lazy("Not ended"),
    "ended": gettext_lazy("Ended"),
    "overdue": gettext_lazy("Overdue"),
}
FLAG_WORDS: Mapping[str, Promise] = {
    "clock": gettext_lazy("was sent with a time in the future"),
    "truncated": gettext_lazy("a text was cut or cleaned"),
    "masked": gettext_lazy("personal data was masked"),
}


@dataclass(frozen=True)
class RunLine:
    """A run in a list."""

    run: AgentRun
    url: str
    result: Word
    took: str
    missed: bool  # its target
    cost: str
    quality: str
    alert_url: str = ""


def run_line(run: AgentRun, alert_id: object = None, several: bool = False) -> RunLine:
    """A run with its org and agent in words."""
    took, quality = run_seconds(run), run.review_sum / run.review_count if run.review_count else None
    return RunLine(
        run,
        run_url(run, several),
        run_result(run),
        seconds(took) if took is not None else "",
        sla_met(run) is False,
        dollars(float(run.cost_usd)) if run.cost_usd is not None else "",
        decimal(quality) if quality is not None else "",
        reverse("alert", args=[alert_id]) if alert_id else "",
    )


def run_url(run: AgentRun, several: bool = True) -> str:
    """The page of a run; with its org where somebody sees several."""
    page = reverse("run", args=[run.run_id])
    return f"{page}?{urlencode({'org': run.org.external_id})}" if several else page


def room_runs_url(org: Org, room: str, found: Sequence[AgentRun]) -> str:
    """The list of all runs of a room, where a page shows its newest alone; empty: they are all there."""
    asked: dict[str, str | int] = {"q": room, "days": RANGES[-1], "org": org.external_id}
    return f"{reverse('runs')}?{urlencode(asked)}" if len(found) >= OF_ROOM else ""


def run_result(run: AgentRun) -> Word:
    """How a run ended, or that it has not."""
    if run.ended_at is None:
        if run.overdue_at is not None:
            return Word("warn", "clock", str(STATE_WORDS["overdue"]))
        return Word("none", "circle-dashed", str(STATE_WORDS["open"]))
    tone, icon, name = RESULTS.get(run.resolution, ("none", "circle-dashed", gettext_lazy("Ended")))
    return Word(tone, icon, str(name))


def yes_no(value: bool | None) -> str:
    """`yes`, `no`; a dash for what was not said."""
    return "–" if value is None else _("yes") if value else _("no")
