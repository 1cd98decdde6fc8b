"""Who is on duty when, in the API: what is over as it was then, what comes as it is now."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import field
from rest_framework.request import Request
from rest_framework.response import Response

from orgs import clock
from orgs.as_it_was import as_it_was
from orgs.duty.roster import Roster, duty_gaps, duty_of
from orgs.duty.spans import DutySpan, joined_spans
from orgs.duty_api import OneOrgView
from orgs.errors import Refused
from orgs.incoming import Query
from orgs.models import (
    Agent,
    Assignment,
    BusinessHours,
    Handover,
    Holiday,
    Org,
    QuietHours,
    RoleAgent,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
    User,
)
from orgs.rosters import rosters_of
from orgs.shapes import Shape, UtcTime, Whole
from orgs.years import off_years

Stretch = tuple[Roster, DutySpan]  # a roster, and while it held
SAY_WHO_IS_ON_DUTY = (
    *(Org, User, SupervisorRole, RoleAgent, Assignment, TemporarySchedule, TemporaryDuty),
    *(Handover, Holiday, QuietHours, BusinessHours),
)
USUAL, LONGEST = timedelta(days=7), timedelta(days=62)


class DutyIntervalPart(Shape):
    """Somebody is on duty in a role."""

    sso_id: str
    role: str
    tier: Whole
    begins: UtcTime = field(name="from")
    to: UtcTime


class DutyGapPart(Shape):
    """Nobody of any tier is on duty for this agent; fallback roles do not count."""

    agent_name: str
    begins: UtcTime = field(name="from")
    to: UtcTime


class DutyShape(Shape):
    """Who is on duty when, and when nobody is: half open, cut at `from` and `to`, sorted by `from`."""

    intervals: list[DutyIntervalPart]
    gaps: list[DutyGapPart]


class DutyView(OneOrgView):
    """GET /api/duty: with temporary schedules, holidays, absence and hand-overs, as routing goes by them; what is over
    as it was then, by history.
    """

    def get(self, request: Request) -> Response:
        query = Query(request, ("org_id", "from", "to"))
        org, now = self.org_named(request, query.text("org_id")), clock.now()
        if off := off_years(query.time("from"), query.time("to")):
            raise Refused(422, "invalid_parameter", off[1], off[0])
        begin = query.time("from") or now
        end = query.time("to") or begin + USUAL
        if not begin < end <= begin + LONGEST:
            message = f"to must be after from, by at most {LONGEST.days} days."
            raise Refused(422, "invalid_parameter", message, "to")
        agents = list(Agent.objects.filter(org=org, production=True).order_by("name").values_list("pk", "name"))
        rosters = _rosters(org, begin, end, now)
        return Response(DutyShape(_intervals(rosters), _gaps(rosters, agents)))


def _rosters(org: Org, begin: datetime, end: datetime, now: datetime) -> list[Stretch]:
    """What held one after the other: of what is over by history, then as it is now."""
    found = []
    if begin < now:
        over = min(end, now)
        with as_it_was(org, SAY_WHO_IS_ON_DUTY, begin, over) as then:
            for at, until in pairwise([begin, *sorted(then.times - {over}), over]):
                then.go_to(at)
                found.append((rosters_of([org.pk], at)[org.pk], DutySpan(at, until)))
    if end > now:
        found.append((rosters_of([org.pk], now)[org.pk], DutySpan(max(begin, now), end)))
    return found


def _intervals(rosters: list[Stretch]) -> list[DutyIntervalPart]:
    held: dict[tuple[int, str, str, int], list[DutySpan]] = defaultdict(list)
    for roster, stretch in rosters:
        for user, role, *said in {(one.user_id, one.role_id, one.sso_id, one.role, one.tier) for one in roster.shifts}:
            held[role, *said] += duty_of(roster, user, role, *stretch)  # type: ignore[index]
    found = [
        DutyIntervalPart(sso_id, role, tier, *span)
        for (_, sso_id, role, tier), spans in held.items()
        for span in joined_spans(spans)
    ]
    return sorted(found, key=lambda one: (one.begins, one.tier, one.sso_id, one.role))


def _gaps(rosters: list[Stretch], agents: list[tuple[int, str]]) -> list[DutyGapPart]:
    found = []
    for pk, name in agents:
        gaps = (DutySpan(*gap) for roster, stretch in rosters for gap in duty_gaps(roster, pk, *stretch))
        found += [DutyGapPart(name, *span) for span in joined_spans(gaps)]
    return sorted(found, key=lambda one: (one.begins, one.agent_name))
