"""What the pages of runs read."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from alerts.models import Alert
from console.pages.kpis.asked import KpiAsked
from console.pages.kpis.query import amount
from orgs.identifiers import spelled
from orgs.models import Agent, Org
from orgs.paging import ListPage, cut_page
from runs.models import AgentQc, AgentRun, PurgedRuns
from runs.query import COUNTED_RUNS, RUN_STATES, RunOrder
from runs.rollups import kpi_sums
from runs.sums import total

OF_ROOM = 10  # runs of a room that are shown


@dataclass(frozen=True)
class RunsAsked:
    """What the list of runs is asked for beyond what the figures are. `counted`: the runs behind one of the sums."""

    kpi: KpiAsked
    search: str
    counted: str
    state: str
    resolution: str

    @property
    def order(self) -> RunOrder:
        """The newest first, of the stretch of time of each org; a run that is named by its id, whenever it was."""
        if self._run_id:
            return RunOrder(spans={org.pk: Q() for org in self.kpi.shown})
        windows = self.kpi.scope.windows.items()
        return RunOrder(
            spans={pk: Q(started_at__gte=window.starts, started_at__lt=window.ends) for pk, window in windows}
        )

    @property
    def rows(self) -> QuerySet[AgentRun]:
        """The runs that pass, but for their time."""
        found = AgentRun.objects.select_related("org", "agent").filter(self._traits())
        found = found.filter(COUNTED_RUNS[self.counted])
        if self.state:
            found = found.filter(RUN_STATES[self.state])
        return found.filter(resolution=self.resolution) if self.resolution else found

    def _traits(self) -> Q:
        filters = self.kpi.filters
        given: Mapping[str, str] = {
            "agent__name": filters.agent,
            "agent_version": filters.version,
            "channel": filters.channel,
            "input_kind": filters.input_kind,
        }
        asked = Q(**{name: value for name, value in given.items() if value})
        if self._run_id:
            return asked & (Q(run_id=self._run_id) | Q(room=spelled(self.search)))
        if self.search:
            agents = Agent.objects.filter(org__in=self.kpi.shown, name__icontains=self.search)
            asked &= Q(room=spelled(self.search)) | Q(agent__in=agents)
        return asked

    @property
    def _run_id(self) -> UUID | None:
        try:
            return UUID(self.search) if len(self.search) >= 32 else None
        except ValueError:
            return None

    @property
    def narrowed(self) -> bool:
        """Whether there is a filter that the sums do not know."""
        return bool(self.search or self.state or self.resolution)

    def page(self, cursor: str, limit: int) -> ListPage[AgentRun]:
        """A page of them."""
        order = self.order
        return cut_page(order, order.place(cursor), limit, lambda place, n: order.fetch(self.rows, place, n))

    def number(self) -> int | None:
        """How many there are, from the sums: also those whose rows are purged. None: the sums cannot tell."""
        if self.narrowed:
            return None
        return amount(total(kpi_sums(self.kpi.scope, "", "total").values()), self.counted)


def some_deleted(asked: KpiAsked) -> bool:
    """Whether runs of these days were deleted: those that are left are fewer than were counted."""
    windows = asked.scope.windows
    if not windows:
        return False
    days = min(one.starts for one in windows.values()).date(), max(one.ends for one in windows.values()).date()
    return PurgedRuns.objects.filter(org__in=windows, day__range=days).exists()


def run_of_page(orgs: list[Org], run_id: UUID) -> AgentRun | None:
    """The run of this id in these orgs."""
    return AgentRun.objects.select_related("org", "agent", "source").filter(org__in=orgs, run_id=run_id).first()


def reviews_ever(run: AgentRun) -> list[AgentQc]:
    """Every review of a run, those that were replaced too, the newest first."""
    return list(AgentQc.objects.filter(org=run.org_id, run_id=run.run_id).order_by("-at", "-id"))


def newest_alert_of_room(org_id: int, room: str) -> Alert | None:
    """The newest alert of the room a run was in, whichever run it came of."""
    found = Alert.objects.filter(org=org_id, room__org=org_id, room__room_id=room) if room else Alert.objects.none()
    return found.order_by("-pk").first()


def runs_of_room(org_id: int, room: str, but: int = 0) -> list[AgentRun]:
    """The newest runs in a room."""
    if not room:
        return []
    found = AgentRun.objects.select_related("org", "agent").filter(org=org_id, room=room).exclude(pk=but)
    return list(found.order_by("-started_at")[:OF_ROOM])
