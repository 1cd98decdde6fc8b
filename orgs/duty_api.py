"""Duty in the API: quiet hours, the org's calendar, temporary schedules, subscriptions."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import partial
from typing import Annotated, Any

from django.http import Http404
from msgspec import field
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from orgs import clock
from orgs.api import ScopedAPIView, one_or_404
from orgs.auth import EVERY_ORG, KeyCaller, find_supervisor, leads
from orgs.duty.hours import HoursInvalid, normal_hours
from orgs.duty_changes import (
    StandIn,
    add_schedule,
    business_hours_of,
    quiet_hours_of,
    set_business_hours,
    set_holidays,
    set_quiet_hours,
)
from orgs.duty_feeds import make_feed, revoke_feeds
from orgs.errors import Refused
from orgs.identifiers import spelled
from orgs.incoming import DAY, Field, Query, check_fields, read_body, read_list
from orgs.models import Holiday, Org, SupervisorRole, TemporaryDuty, TemporarySchedule, User
from orgs.shapes import Shape, Uri, UtcTime, Whole, about
from orgs.years import FIRST_YEAR, LAST_YEAR, off_years

MOST_HOLIDAYS, MOST_STAND_INS, MOST_SCHEDULES = 400, 500, 200
LONGEST_SCHEDULE = timedelta(days=366)
Hours = Annotated[list[dict[str, Any]], about("`days` (1 is Monday), `from`, `to`: by the org's wall clock.")]

# --- whose -----------------------------------------------------------------------------------------------------------


def read_weekly(name: str, value: Any, *, holidays: bool = False) -> list[dict[str, Any]]:
    """Weekly hours, as they are stored. Raises Refused (422), which names the place."""
    try:
        return normal_hours(value, holidays=holidays)
    except HoursInvalid as wrong:
        raise Refused(422, "invalid_field", str(wrong), f"{name}{wrong.field}") from None


class OneOrgView(ScopedAPIView):
    """A view about one org: that which `org_id` names, else the only one of the caller."""

    def org_named(self, request: Request, asked: str | None) -> Org:
        """Raises NotFound, the same for unknown and foreign orgs; Refused (422) where none is named nor its own."""
        if asked is not None:
            return self.org_asked(asked)
        if isinstance(request.user, KeyCaller) and request.user.source.org is not None:
            return request.user.source.org
        if len(self.org_ids.pks) == 1:
            return Org.objects.get(pk__in=self.org_ids.pks)
        raise Refused(422, "missing_field", "org_id says which org is meant.", "org_id")

    def check_leads(self, request: Request, org: Org) -> None:
        """A key that may act, a lead of the org, a specialist. Raises PermissionDenied."""
        led = EVERY_ORG if isinstance(request.user, KeyCaller) else leads(request.user)  # type: ignore[arg-type]
        if org.pk not in led:
            raise PermissionDenied("A lead of this org or a specialist says when people are on duty.")

    def person_named(self, request: Request, org: Org, sso_id: str) -> User:
        """Somebody with a role in the org; of others only a lead may speak. Raises NotFound, PermissionDenied."""
        person = find_supervisor(sso_id, org.pk, specialists=False)
        if person is None:
            raise NotFound
        if person != request.user:
            self.check_leads(request, org)
        return person


# --- quiet hours -----------------------------------------------------------------------------------------------------


class QuietHoursView(OneOrgView):
    """GET and PUT /api/people/{sso_id}/quiet-hours: an array; for keys with scope `act`, leads, and the person."""

    def get(self, request: Request, sso_id: str) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        person = find_supervisor(sso_id, org.pk, specialists=False)
        if person is None:
            raise NotFound
        return Response(quiet_hours_of(org, person))

    def put(self, request: Request, sso_id: str) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        person = self.person_named(request, org, sso_id)
        hours = read_weekly("quiet_hours", read_list(request, "quiet_hours", 1_000))
        set_quiet_hours(org, person, hours)
        return Response(hours)


# --- the calendar ----------------------------------------------------------------------------------------------------


class HolidayPart(Shape):
    """A day of the org's calendar."""

    date: Annotated[str, about("Such as 2027-03-20.")]
    name: str


class CalendarShape(Shape):
    """When the org is open, and its holidays."""

    business_hours: Hours
    holidays: list[HolidayPart]


def read_holidays(name: str, value: Any) -> dict[date, str]:
    """The days of a list, each once. Raises Refused (422)."""
    if not isinstance(value, list) or len(value) > MOST_HOLIDAYS:
        raise Refused(422, "invalid_field", f"{name} must be an array of at most {MOST_HOLIDAYS} days.", name)
    days: dict[date, str] = {}
    for place, one in enumerate(value):
        where = f"{name}[{place}]"
        fields = _within(where, one, {"date": Field(required=True), "name": Field()})
        day = _day(f"{where}.date", fields["date"])
        if day in days:
            raise Refused(422, "repeated", f"{fields['date']} is there twice.", f"{where}.date")
        days[day] = fields.get("name", "")
    return days


def _day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        day = None
    if day is None:
        raise Refused(422, "invalid_field", f"{name} must be a day such as 2027-03-20.", name)
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Refused(422, "invalid_field", f"{name} must be in the years {FIRST_YEAR} to {LAST_YEAR}.", name)
    return day


def _within(place: str, sent: Any, fields: Mapping[str, Field]) -> dict[str, Any]:
    """An object inside a body, its errors named by their whole place. Raises Refused (422)."""
    try:
        return check_fields(sent, fields)
    except Refused as error:
        where = f"{place}.{error.field}" if error.field else place
        raise Refused(422, str(error.get_codes()), str(error.detail), where) from None


CALENDAR = {
    "business_hours": Field(required=True, read=read_weekly),
    "holidays": Field(required=True, read=read_holidays),
}


class CalendarView(OneOrgView):
    """GET and PUT /api/calendar: all of it. PUT for keys with scope `act`, specialists and leads of the org."""

    def get(self, request: Request) -> Response:
        return self._answer(self.org_named(request, Query(request, ("org_id",)).text("org_id")))

    def put(self, request: Request) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        self.check_leads(request, org)
        said = read_body(request, CALENDAR)
        set_business_hours(org, said["business_hours"])
        set_holidays(org, said["holidays"])
        return self._answer(org)

    def _answer(self, org: Org) -> Response:
        days = [HolidayPart(one.date.isoformat(), one.name) for one in Holiday.objects.filter(org=org)]
        return Response(CalendarShape(business_hours_of(org), days))


# --- temporary schedules ---------------------------------------------------------------------------------------------


class StandInPart(Shape):
    """Somebody who has a role meanwhile."""

    sso_id: str
    role: str
    duty: Hours


class ScheduleShape(Shape):
    """From `from` to `to` each role that it names is staffed by these people alone; other roles keep theirs."""

    id: Whole
    org_id: str
    begins: UtcTime = field(name="from")
    to: UtcTime
    assignments: list[StandInPart]


class SchedulesShape(Shape):
    """The temporary schedules that last or are to come, and the last that are over: the newest first, at most 200."""

    results: list[ScheduleShape]


def read_stand_ins(name: str, value: Any) -> list[tuple[str, dict[str, Any]]]:
    """Each with its place. Raises Refused (422)."""
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_STAND_INS:
        raise Refused(422, "invalid_field", f"{name} must be an array of 1 to {MOST_STAND_INS} assignments.", name)
    duty = partial(read_weekly, holidays=True)
    fields = {"sso_id": Field(required=True), "role": Field(required=True), "duty": Field(read=duty)}
    return [(f"{name}[{place}]", _within(f"{name}[{place}]", one, fields)) for place, one in enumerate(value)]


SCHEDULE = {
    "org_id": Field(),
    "from": Field(required=True, time=True),
    "to": Field(required=True, time=True),
    "assignments": Field(required=True, read=read_stand_ins),
}


class Schedules(OneOrgView):
    """GET, POST and DELETE /api/schedules. The last two for keys with scope `act`, specialists and leads of the org."""

    def get(self, request: Request) -> Response:
        org = self.org_named(request, Query(request, ("org_id",)).text("org_id"))
        rows = TemporarySchedule.objects.filter(org=org).order_by("-ends_at", "-pk")[:MOST_SCHEDULES]
        return Response(SchedulesShape(_schedules(org, list(rows))))

    def post(self, request: Request) -> Response:
        Query(request, ())
        said = read_body(request, SCHEDULE)
        org = self.org_named(request, said.get("org_id"))
        self.check_leads(request, org)
        if off := off_years(said["from"], said["to"]):
            raise Refused(422, "invalid_field", off[1], off[0])
        if not said["from"] < said["to"] <= said["from"] + LONGEST_SCHEDULE:
            message = f"to must be after from, by at most {LONGEST_SCHEDULE.days} days."
            raise Refused(422, "invalid_field", message, "to")
        made = add_schedule(org, said["from"], said["to"], _stand_ins(org, said["assignments"]))
        return Response(_schedules(org, [made])[0], status=201)

    def delete(self, request: Request, schedule_id: str = "") -> Response:
        query = Query(request, ("org_id", "id"))
        org = self.org_named(request, query.text("org_id"))
        named = schedule_id or query.text("id") or ""
        number = int(named) if named.isascii() and named.isdecimal() and len(named) < 18 else 0
        found = one_or_404(TemporarySchedule.objects.filter(org=org, pk=number))
        self.check_leads(request, org)
        found.delete()
        return Response(status=204)


class OneSchedule(Schedules):
    """DELETE /api/schedules/{id}: the same by its address."""

    http_method_names = ["delete"]


def _stand_ins(org: Org, sent: list[tuple[str, dict[str, Any]]]) -> list[StandIn]:
    """Roles of the org, and people who have one in it. Raises Refused (422)."""
    roles = {role.name: role for role in SupervisorRole.objects.filter(org=org)}
    found: dict[tuple[int, int], StandIn] = {}
    for place, one in sent:
        role = roles.get(spelled(one["role"]))
        if role is None:
            raise Refused(422, "unknown_role", f"There is no role {one['role']} in this org.", f"{place}.role")
        person = find_supervisor(one["sso_id"], org.pk, specialists=False)
        if person is None:
            message = f"{one['sso_id']} has no assignment in this org."
            raise Refused(422, "unknown_person", message, f"{place}.sso_id")
        if (role.pk, person.pk) in found:
            raise Refused(422, "repeated", "This person has this role already.", place)
        found[role.pk, person.pk] = StandIn(role, person, one.get("duty", []))
    return list(found.values())


def _schedules(org: Org, rows: list[TemporarySchedule]) -> list[ScheduleShape]:
    of: dict[int, list[StandInPart]] = {one.pk: [] for one in rows}
    duties = TemporaryDuty.objects.filter(schedule__in=rows).select_related("role", "user")
    for one in duties.order_by("role__tier", "role__name", "user__name", "pk"):
        of[one.schedule_id].append(StandInPart(one.user.sso_id, one.role.name, one.duty))
    return [ScheduleShape(one.pk, org.external_id, one.starts_at, one.ends_at, of[one.pk]) for one in rows]


# --- calendars to subscribe to ---------------------------------------------------------------------------------------


class DutyFeedShape(Shape):
    """The address of a calendar; it is shown here alone. Whoever has it reads when this person is on duty."""

    url: Uri


FEED = {"org_id": Field(), "sso_id": Field(required=True)}


class DutyFeeds(OneOrgView):
    """POST and DELETE /api/duty-feeds: for the person, keys with scope `act`, specialists and leads of the org."""

    def post(self, request: Request) -> Response:
        Query(request, ())
        org, person = self._whose(request, read_body(request, FEED))
        _feed, url = make_feed(org, person, clock.now())
        return Response(DutyFeedShape(url), status=201, headers={"Cache-Control": "no-store"})

    def delete(self, request: Request) -> Response:
        """All of them that the person has in the org; named in the query or in a body."""
        query = Query(request, ("org_id", "sso_id"))
        asked = {name: query.text(name) for name in ("org_id", "sso_id")}
        org, person = self._whose(request, asked if asked["sso_id"] else read_body(request, FEED))
        if not revoke_feeds(org, person, clock.now()):
            raise Http404
        return Response(status=204)

    def _whose(self, request: Request, said: Mapping[str, Any]) -> tuple[Org, User]:
        org = self.org_named(request, said.get("org_id"))
        return org, self.person_named(request, org, said["sso_id"])
