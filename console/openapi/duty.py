"""The operations about duty: who is on duty when, what people say of it, and who could come now."""

from typing import Any

from console.openapi.parts import (
    READS,
    WRITES,
    Operation,
    in_query,
    json_body,
    json_content,
    make_operation,
    object_of,
    post_operation,
)
from console.openapi.structs import TEXT, TIME, JsonSchema, array, enum
from orgs.duty.hours import MOST_HOURS
from orgs.duty_api import CALENDAR, FEED, MOST_HOLIDAYS, MOST_STAND_INS, SCHEDULE
from orgs.duty_reminders_api import DUTY_PUSHES
from orgs.incoming import Field

CLOCK = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$"}
ONE_ORG = in_query("org_id", TEXT, "Which org is meant; the key of an org may leave it out.")
WHOSE = {"description": "Which org is meant; the key of an org may leave it out."}
GONE = {"description": "Done."}
HANDOVER = {"org_id": Field(), "sso_id": Field(), "minutes": Field(required=True, number=True)}


def hours_schema(*, holidays: bool = False, null: bool = False) -> JsonSchema:
    """A list of intervals; one over midnight belongs to the day on which it begins. `null`: null says nothing."""
    days = {**array({"type": "integer", "minimum": 1, "maximum": 7}), "minItems": 1, "description": "1 is Monday."}
    properties: dict[str, JsonSchema] = {"days": days, "from": CLOCK, "to": CLOCK}
    if holidays:
        properties["holidays"] = {**enum(["work", "off"]), "default": "work"}
    one = {"type": "object", "properties": properties, "required": ["days", "from", "to"]}
    hours = {**array({**one, "additionalProperties": False}), "maxItems": MOST_HOURS}
    return hours | ({"type": ["array", "null"]} if null else {})


def _read(path: str, name: str, summary: str, shape: str, *parameters: JsonSchema, **more: Any) -> Operation:
    return make_operation("get", path, name, summary, "Duty", {200: ("It.", shape)}, READS, parameters, **more)


def _delete(path: str, name: str, summary: str, *parameters: JsonSchema) -> Operation:
    made = make_operation("delete", path, name, summary, "Duty", {}, WRITES, parameters)
    made[2]["responses"] = {"204": GONE} | made[2]["responses"]
    return made


def _availability() -> Operation:
    said = "For keys with scope `ingest` or `read`. Cacheable for 15 s. 404: an unknown agent."
    agent = {**in_query("agent", TEXT, "The agent's name."), "required": True}
    summary = "Who could come now: ask before a bot promises a human"
    return _read("/api/availability", "availability", summary, "Availability", ONE_ORG, agent, description=said)


def _quiet_hours() -> list[Operation]:
    path, hours = "/api/people/{sso_id}/quiet-hours", hours_schema()
    answer = {"description": "Them, by the org's wall clock.", "content": json_content(schema=hours)}
    summary = "When a person is left in peace"
    read = make_operation("get", path, "get_quiet_hours", summary, "Duty", {}, READS, (ONE_ORG,))
    named = {**object_of({"quiet_hours": Field(required=True)}), "properties": {"quiet_hours": hours}}
    body = json_body({"oneOf": [hours, named]}, [{"days": [1, 2, 3, 4, 5], "from": "22:00", "to": "06:00"}])
    said = "For the person, keys with scope `act`, specialists and leads. Critical alerts may pass, by policy."
    told = "Say when a person is left in peace"
    more = {"requestBody": body, "description": said}
    put = make_operation("put", path, "set_quiet_hours", told, "Duty", {}, WRITES, (ONE_ORG,), **more)
    for _path, _method, operation in (read, put):
        operation["responses"] = {"200": answer} | operation["responses"]
    return [read, put]


def _duty_pushes() -> list[Operation]:
    path, answer = "/api/people/{sso_id}/duty-pushes", {200: ("As it is now.", "DutyPushes")}
    summary = "Whether a person is pushed about their own duty"
    said = (
        "For the person, keys with scope `act`, specialists and leads. On: a push of kind `duty` 15 min before their "
        "duty begins (`duty_starts`), and when somebody else changed their duty of the next 24 h (`duty_changed`). "
        "None while they are away or in quiet hours."
    )
    more = {"requestBody": json_body(object_of(DUTY_PUSHES), {"on": True}), "description": said}
    named = "Say whether a person is pushed about their own duty"
    return [
        make_operation("get", path, "get_duty_pushes", summary, "Duty", answer, READS, (ONE_ORG,)),
        make_operation("put", path, "set_duty_pushes", named, "Duty", answer, WRITES, (ONE_ORG,), **more),
    ]


def _calendar() -> list[Operation]:
    day = object_of({"date": Field(required=True), "name": Field()}, date={"format": "date"})
    holidays = {**array(day), "maxItems": MOST_HOLIDAYS}
    body = object_of(CALENDAR, business_hours=hours_schema(), holidays=holidays)
    example = {
        "business_hours": [{"days": [1, 2, 3, 4, 5], "from": "08:00", "to": "17:00"}],
        "holidays": [{"date": "2027-03-10", "name": "Idulfitri"}],
    }
    put = make_operation(
        "put",
        "/api/calendar",
        "set_calendar",
        "Say when the org is open, and its holidays: all of it",
        "Duty",
        {200: ("As it is now.", "Calendar")},
        WRITES,
        (ONE_ORG,),
        requestBody=json_body(body, example),
    )
    return [_read("/api/calendar", "get_calendar", "Business hours and holidays", "Calendar", ONE_ORG), put]


def _schedules() -> list[Operation]:
    stand_in = object_of(
        {"sso_id": Field(required=True), "role": Field(required=True), "duty": Field()},
        duty=hours_schema(holidays=True, null=True),
    )
    many = {**array(stand_in), "minItems": 1, "maxItems": MOST_STAND_INS}
    example = {
        "from": "2027-03-08T00:00:00+07:00",
        "to": "2027-03-15T00:00:00+07:00",
        "assignments": [{"sso_id": "dewi", "role": "Shift lead"}],
    }
    path, summary = "/api/schedules", "Staff roles otherwise for a while: each that it names by these people alone"
    made = {201: ("It is there.", "Schedule")}
    body = json_body(object_of(SCHEDULE, assignments=many, org_id=WHOSE), example)
    number = in_query("id", {"type": "integer"}, "Which one.")
    named = {"name": "schedule_id", "in": "path", "required": True, "schema": {"type": "integer"}}
    one = _delete(f"{path}/{{schedule_id}}", "delete_schedule", "End or call off a temporary schedule", ONE_ORG)
    one[2]["parameters"] = [named, *one[2]["parameters"][1:]]
    return [
        _read(path, "list_schedules", "Temporary schedules, the last first", "Schedules", ONE_ORG),
        post_operation(path, "add_schedule", summary, "Duty", made, body),
        _delete(path, "delete_schedule_named", "The same, named in the query", ONE_ORG, number),
        one,
    ]


def _feeds() -> list[Operation]:
    path, example = "/api/duty-feeds", {"sso_id": "rina"}
    body = json_body(object_of(FEED, org_id=WHOSE), example)
    made = {201: ("Its address; it is shown once.", "DutyFeed")}
    who = {**in_query("sso_id", TEXT, "Whose."), "required": True}
    summary = "Make a calendar (.ics) of somebody's duty to subscribe to"
    return [
        post_operation(path, "make_duty_feed", summary, "Duty", made, body),
        _delete(path, "revoke_duty_feeds", "Revoke all of a person's calendars", ONE_ORG, who),
    ]


def duty_operations() -> list[Operation]:
    """(path, method, operation), in the order people read them."""
    begins = in_query("from", TIME, "Inclusive; else now.")
    ends = in_query("to", TIME, "Exclusive; at most 62 days after `from`, else 7.")
    minutes = {"enum": [30, 60]}
    handover = json_body(object_of(HANDOVER, org_id=WHOSE, minutes=minutes), {"minutes": 30})
    told = {201: ("What one has goes back to the tier, and one is told of nothing until then.", "Handover")}
    summary = "Hand somebody's rooms to their tier for 30 or 60 minutes"
    return [
        _availability(),
        _read("/api/duty", "duty", "Who is on duty when, and when nobody is", "Duty", ONE_ORG, begins, ends),
        *_quiet_hours(),
        *_duty_pushes(),
        *_calendar(),
        *_schedules(),
        post_operation("/api/handovers", "hand_over", summary, "Duty", told, handover),
        *_feeds(),
    ]
