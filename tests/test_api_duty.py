"""Duty in the API: who is on duty when, what people say of it, who could come, and the calendar that phones read."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert
from orgs import clock, history
from orgs.duty_feeds import feed_text, make_feed
from orgs.models import Assignment, DutyFeed, DutyReminder, Handover, Holiday, Org, QuietHours, TemporarySchedule, User
from tests.api_client import post, put, signed_in, with_key
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    SupervisorRoleFactory,
    reach,
)

DAYS = {"days": [1, 2, 3, 4, 5], "from": "08:00", "to": "17:00"}
NIGHT = {"days": [5], "from": "22:00", "to": "06:00"}
BERLIN = ZoneInfo("Europe/Berlin")


def refused(answer: Any) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["error"].get("field")


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    """A wall clock's time in the future, where nothing that was is in the way."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def z(when: datetime) -> str:
    return clock.rfc3339(when)


@pytest.fixture
def org(db: None) -> Org:
    return OrgFactory(zone="Europe/Berlin")


@pytest.fixture
def machine(org: Org) -> Client:
    return with_key(org, "read", "act")


def person(org: Org, sso_id: str = "rina", tier: int = 1, **fields: Any) -> User:
    return AssignmentFactory(
        org=org, user__sso_id=sso_id, role__name=f"Tier {tier} {sso_id}", role__tier=tier, **fields
    ).user


# --- who is on duty when ---------------------------------------------------------------------------------------------


def test_intervals_keep_the_wall_clock_over_a_change_and_gaps_are_what_is_left(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    AgentFactory(org=org, name="Draft", production=False)
    person(org, duty=[DAYS, NIGHT])
    begin, end = at("2031-03-28T00:00"), at("2031-04-01T00:00")  # Friday to Monday; the clocks change on Sunday
    answer = machine.get("/api/duty", {"from": z(begin), "to": z(end)})
    assert answer.status_code == 200, answer.json()
    on = [("2031-03-28T08:00", "2031-03-28T17:00"), ("2031-03-28T22:00", "2031-03-29T06:00")]
    on += [("2031-03-31T08:00", "2031-03-31T17:00")]
    assert [(one["from"], one["to"]) for one in answer.json()["intervals"]] == [(z(at(a)), z(at(b))) for a, b in on]
    assert {one["role"] for one in answer.json()["intervals"]} == {"Tier 1 rina"}
    off = [("2031-03-28T00:00", "2031-03-28T08:00"), ("2031-03-28T17:00", "2031-03-28T22:00")]
    off += [("2031-03-29T06:00", "2031-03-31T08:00"), ("2031-03-31T17:00", "2031-04-01T00:00")]
    assert answer.json()["gaps"] == [{"agent_name": "Billing Bot", "from": z(at(a)), "to": z(at(b))} for a, b in off]


@pytest.mark.usefixtures("system")
def test_what_is_over_is_as_it_was_then_and_what_comes_as_it_is_now(org: Org, machine: Client) -> None:
    """Whoever was taken off the list was on duty, hours that were changed held until then, and there was a gap."""
    now = clock.now()
    AgentFactory(org=org, name="Billing Bot")
    gone = person(org, "gone")
    dated(now - timedelta(hours=9))
    Assignment.objects.filter(user=gone).update(away_until=now + timedelta(days=1))
    dated(now - timedelta(hours=5))
    Assignment.objects.filter(user=gone).delete()
    dated(now - timedelta(hours=4))
    new = person(org, "new")
    dated(now - timedelta(hours=2))
    begin, end = now - timedelta(hours=8), now + timedelta(hours=3)
    answer = machine.get("/api/duty", {"from": z(begin), "to": z(end)}).json()
    hours = [(one["sso_id"], since(one, now, "from"), since(one, now, "to")) for one in answer["intervals"]]
    assert hours == [("gone", -8, -5), ("new", -2, 3)]
    assert [(since(one, now, "from"), since(one, now, "to")) for one in answer["gaps"]] == [(-5, -2)]
    assert list(Assignment.objects.filter(org=org)) == [Assignment.objects.get(user=new)], "nothing was changed"


def dated(at: datetime) -> None:
    """What was written in this transaction since the last time was written then."""
    with connection.cursor() as cursor:
        for events in history.tracked().values():
            cursor.execute(f"UPDATE {events._meta.db_table} SET pgh_created_at = %s WHERE pgh_created_at = now()", [at])


def since(part: dict[str, str], now: datetime, name: str) -> float:
    """Hours from now."""
    return round((datetime.fromisoformat(part[name]) - now) / timedelta(hours=1), 3)


def test_what_is_wrong_with_the_range_is_named(org: Org, machine: Client) -> None:
    begin = at("2031-03-28T00:00")
    for query, field in [
        ({"from": z(begin), "to": z(begin)}, "to"),
        ({"from": z(begin), "to": z(begin + timedelta(days=62, seconds=1))}, "to"),
        ({"from": "2031-03-28"}, "from"),
        ({"until": "x"}, "until"),
    ]:
        assert refused(machine.get("/api/duty", query)) == (422, field)
    assert refused(with_key(None, "read").get("/api/duty")) == (422, "org_id")
    assert machine.get("/api/duty", {"org_id": "of-others"}).status_code == 404
    assert with_key(org, "ingest").get("/api/duty").status_code == 403


def test_a_temporary_schedule_staffs_its_roles_alone_and_is_called_off(org: Org, machine: Client) -> None:
    rina, dewi = person(org), person(org, "dewi")
    begin, end = at("2031-03-10T00:00"), at("2031-03-12T00:00")
    body = {"from": z(begin), "to": z(end), "assignments": [{"sso_id": "dewi", "role": "Tier 1 rina", "duty": [DAYS]}]}
    answer = post(machine, "/api/schedules", body)
    assert answer.status_code == 201, answer.json()
    found = machine.get("/api/duty", {"from": z(begin), "to": z(end)}).json()["intervals"]
    assert [(one["sso_id"], one["role"]) for one in found] == [
        ("dewi", "Tier 1 dewi"), ("dewi", "Tier 1 rina"), ("dewi", "Tier 1 rina"),
    ]  # fmt: skip
    assert [one["id"] for one in machine.get("/api/schedules").json()["results"]] == [answer.json()["id"]]
    assert rina.is_active and dewi.is_active

    for said, field in [
        (body | {"to": z(begin)}, "to"),
        (body | {"to": z(begin + timedelta(days=367))}, "to"),
        (body | {"assignments": []}, "assignments"),
        (body | {"assignments": [{"sso_id": "dewi", "role": "None"}]}, "assignments[0].role"),
        (body | {"assignments": [{"sso_id": "who", "role": "Tier 1 rina"}]}, "assignments[0].sso_id"),
        (body | {"assignments": [body["assignments"][0]] * 2}, "assignments[1]"),
        (body | {"assignments": [{"sso_id": "dewi", "role": "Tier 1 rina", "duty": [DAYS | {"to": "24:00"}]}]},
         "assignments[0].duty[0].to"),
        (body | {"assignments": [{"sso_id": "dewi", "role": "Tier 1 rina", "tier": 1}]}, "assignments[0].tier"),
    ]:  # fmt: skip
        assert refused(post(machine, "/api/schedules", said)) == (422, field), said
    other = with_key(OrgFactory(), "act")
    assert other.delete(f"/api/schedules/{answer.json()['id']}").status_code == 404
    assert machine.delete(f"/api/schedules/{answer.json()['id']}").status_code == 204
    assert machine.delete(f"/api/schedules?id={answer.json()['id']}").status_code == 404
    assert not TemporarySchedule.objects.exists()


# --- quiet hours, the calendar ---------------------------------------------------------------------------------------


def test_quiet_hours_are_the_persons_a_leads_or_a_keys(org: Org, machine: Client) -> None:
    rina, path = person(org), f"/api/people/rina/quiet-hours?org_id={org.external_id}"
    quiet = [{"days": [6, 7], "from": "22:00", "to": "07:00"}]
    assert signed_in(rina).get(path).json() == []
    assert put(signed_in(rina), path, quiet).json() == quiet
    assert put(machine, path, [*quiet, DAYS]).status_code == 200
    colleague, lead = person(org, "bayu"), person(org, "dewi")
    MembershipFactory(org=org, user=lead, role="lead")
    assert put(signed_in(colleague), path, []).status_code == 403
    assert signed_in(colleague).get(path).json() == [*quiet, DAYS]
    assert put(signed_in(lead), path, quiet).json() == quiet
    assert refused(put(machine, path, [DAYS | {"holidays": "off"}])) == (422, "quiet_hours[0].holidays")
    assert refused(put(machine, path, [DAYS | {"to": "08:00"}])) == (422, "quiet_hours[0].to")
    assert put(machine, path.replace("rina", "nobody"), quiet).status_code == 404
    with scopes_disabled():
        assert QuietHours.objects.get(org=org, user=rina).hours == quiet
        assert [one.who for one in history.of(org, 50) if one.kind == "quiet hours"]


def test_pushes_about_ones_duty_are_asked_for_by_the_person_a_lead_or_a_key(org: Org, machine: Client) -> None:
    rina, path = person(org), f"/api/people/rina/duty-pushes?org_id={org.external_id}"
    assert signed_in(rina).get(path).json() == {"on": False}
    assert put(signed_in(rina), path, {"on": True}).json() == {"on": True}
    with scopes_disabled():
        asked = DutyReminder.objects.get(org=org, user=rina).asked_at
    assert put(machine, path, {"on": True}).json() == {"on": True}
    assert put(signed_in(person(org, "bayu")), path, {"on": False}).status_code == 403
    assert refused(put(machine, path, {"on": "yes"})) == (422, "on")
    assert refused(put(machine, path, {})) == (422, "on")
    assert put(machine, path.replace("rina", "nobody"), {"on": True}).status_code == 404
    with scopes_disabled():
        assert DutyReminder.objects.get(org=org, user=rina).asked_at == asked
    assert put(signed_in(rina), path, {"on": False}).json() == signed_in(rina).get(path).json() == {"on": False}


def test_the_calendar_is_replaced_whole_or_not_at_all(org: Org, machine: Client) -> None:
    days = [{"date": "2027-03-10", "name": "Idulfitri"}, {"date": "2027-03-11"}]
    answer = put(machine, "/api/calendar", {"business_hours": [DAYS], "holidays": days})
    assert answer.json() == {"business_hours": [DAYS], "holidays": [days[0], {"date": "2027-03-11", "name": ""}]}
    put(machine, "/api/calendar", {"business_hours": [], "holidays": [days[0] | {"name": "Lebaran"}]})
    assert machine.get("/api/calendar").json()["holidays"] == [{"date": "2027-03-10", "name": "Lebaran"}]
    for said, field in [
        ({"holidays": []}, "business_hours"),
        ({"business_hours": []}, "holidays"),
        ({"business_hours": [DAYS | {"days": [8]}], "holidays": []}, "business_hours[0].days"),
        ({"business_hours": [], "holidays": [{"date": "2027-02-30"}]}, "holidays[0].date"),
        ({"business_hours": [], "holidays": [{"date": "10.3.2027"}]}, "holidays[0].date"),
        ({"business_hours": [], "holidays": [{"date": "0227-03-10"}]}, "holidays[0].date"),
        ({"business_hours": [], "holidays": [days[1], days[1]]}, "holidays[1].date"),
        ({"business_hours": [], "holidays": [{"name": "x"}]}, "holidays[0].date"),
    ]:
        assert refused(put(machine, "/api/calendar", said)) == (422, field), said
    with scopes_disabled():
        assert [one.date for one in Holiday.objects.filter(org=org)] == [date(2027, 3, 10)]
    assert put(signed_in(person(org)), f"/api/calendar?org_id={org.external_id}", {}).status_code == 403


# --- hand-overs, availability ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
def test_a_hand_over_releases_what_one_has_and_ends_by_itself(org: Org, machine: Client) -> None:
    agent, rina = AgentFactory(org=org, name="Billing Bot"), person(org)
    alert = AlertFactory(org=org, agent=agent)
    actions.take(alert.pk, rina)
    answer = post(signed_in(rina), "/api/handovers", {"org_id": org.external_id, "minutes": 60})
    assert (answer.status_code, answer.json()["released"]) == (201, 1)
    alert.refresh_from_db()
    assert (alert.state, alert.assigned_to) == (Alert.State.OPEN, None)
    assert machine.get("/api/availability", {"agent": "Billing Bot"}).json()["on_duty"] == 0
    again = post(machine, "/api/handovers", {"sso_id": "rina", "minutes": 30}).json()
    assert again["to"] == answer.json()["to"]  # never shorter
    assert Handover.objects.count() == 1
    for said, field in [
        ({"sso_id": "rina", "minutes": 45}, "minutes"),
        ({"minutes": 30}, "sso_id"),
        ({"sso_id": "nobody", "minutes": 30}, "sso_id"),
    ]:
        assert refused(post(machine, "/api/handovers", said)) == (422, field)
    colleague = signed_in(person(org, "bayu"))
    body = {"org_id": org.external_id, "sso_id": "rina", "minutes": 30}
    assert post(colleague, "/api/handovers", body).status_code == 403


@pytest.mark.usefixtures("system")
def test_availability_says_who_could_come_and_how_long_it_takes(org: Org, settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_IS_STANDIN = False
    agent, now = AgentFactory(org=org, name="Billing Bot"), clock.now()
    here = now.astimezone(BERLIN)
    soon = (here + timedelta(hours=2)).strftime("%H:00")
    everyday = {"days": list(range(1, 8)), "from": soon, "to": (here + timedelta(hours=3)).strftime("%H:00")}
    machine = with_key(org, "ingest")

    def asked() -> dict[str, Any]:
        answer = machine.get("/api/availability", {"agent": "Billing Bot"})
        assert answer.status_code == 200, answer.json()
        assert answer.headers["Cache-Control"] == "private, max-age=15"
        return answer.json()  # type: ignore[no-any-return]

    none = asked()
    assert (none["on_duty"], none["reachable"], none["next_duty_at"]) == (0, 0, None)
    assert (none["expected_wait_seconds"], none["n"]) == (None, 0)
    later = person(org, "later", duty=[everyday])
    begins = datetime.fromisoformat(asked()["next_duty_at"])
    assert begins.astimezone(BERLIN).strftime("%H:%M") == soon
    rina = person(org)
    person(org, "fallback", role__fallback=True)
    reach(rina, org)
    reach(later, org)
    User.objects.update(push_tokens=1, push_tokens_at=now)
    found = asked()
    assert (found["on_duty"], found["reachable"], found["next_duty_at"]) == (1, 1, None)
    assert machine.get("/api/availability", {"agent": "Sales Bot"}).status_code == 404
    assert refused(machine.get("/api/availability")) == (422, "agent")
    assert with_key(org, "act").get("/api/availability", {"agent": agent.name}).status_code == 403
    assert with_key(OrgFactory(), "read").get("/api/availability", {"agent": agent.name}).status_code == 404


# --- the calendar that phones read -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
def test_a_calendar_says_what_the_api_says_until_it_is_revoked(org: Org, machine: Client) -> None:
    rina = person(org, duty=[DAYS, NIGHT], user__locale="id")
    answer = post(signed_in(rina), "/api/duty-feeds", {"org_id": org.external_id, "sso_id": "rina"})
    assert answer.status_code == 201
    path = answer.json()["url"].partition("://")[2].partition("/")[2]
    feed = Client().get(f"/{path}")
    assert (feed.status_code, feed.headers["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    text = feed.content.decode()
    lines = text.split("\r\n")
    assert lines[0] == "BEGIN:VCALENDAR" and max(len(line.encode()) for line in lines) <= 75
    assert not re.search(r"(?<!\r)\n", text)
    now = clock.now()
    known = machine.get("/api/duty", {"from": z(now), "to": z(now + timedelta(days=60))}).json()["intervals"]
    starts = {line[8:] for line in lines if line.startswith("DTSTART:")}
    inner = {one["from"][:19].replace("-", "").replace(":", "") + "Z" for one in known if one["from"] > z(now)}
    assert inner and inner <= starts
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(uids) == len(set(uids)) and uids == [
        line for line in Client().get(f"/{path}").content.decode().split("\r\n") if line.startswith("UID:")
    ]
    assert path.rpartition(".ics")[0].rpartition(".")[2].encode() not in bytes(DutyFeed.objects.get().token_hash)
    assert Client().get(f"/{path[:-5]}x.ics").status_code == 404
    assert post(signed_in(person(org, "bayu")), "/api/duty-feeds", {
        "org_id": org.external_id, "sso_id": "rina",
    }).status_code == 403  # fmt: skip
    assert machine.delete("/api/duty-feeds?sso_id=rina").status_code == 204
    assert Client().get(f"/{path}").status_code == 404
    assert machine.delete("/api/duty-feeds?sso_id=rina").status_code == 404


@pytest.mark.usefixtures("system")
def test_a_calendar_ends_with_its_persons_last_role(org: Org, machine: Client) -> None:
    rina = person(org)
    path = "/" + post(machine, "/api/duty-feeds", {"sso_id": "rina"}).json()["url"].split("/", 3)[3]
    assert Client().get(path).status_code == 200
    rina.assignments.all().delete()  # type: ignore[attr-defined]
    assert Client().get(path).status_code == 404
    assert SupervisorRoleFactory(org=org)


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("hour", [0, 5, 12, 23])
def test_a_shift_that_lasted_a_week_ago_is_the_same_entry_a_minute_later(org: Org, hour: int) -> None:
    """Mutation: the calendar begins at that second, and phones show the shift once more with every reading."""
    rina = person(org, duty=[{"days": [1, 2, 3, 4, 5, 6, 7], "from": "00:00", "to": "23:59"}])
    feed, _address = make_feed(org, rina, clock.now())
    now = at(f"2027-03-10T{hour:02}:10")
    first, again = (feed_text(feed, when) for when in (now, now + timedelta(minutes=1)))
    uids = [[line for line in text.split("\r\n") if line.startswith("UID:")] for text in (first, again)]
    assert uids[0] == uids[1] != []


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("hours", [None, ("22:00", "06:00"), ("00:00", "08:00")])
def test_what_a_calendar_named_it_still_names_so_the_next_day(org: Org, hours: tuple[str, str] | None) -> None:
    """Mutation: duty that began before the calendar does is named after the calendar's first day."""
    duty = [{"days": [1, 2, 3, 4, 5, 6, 7], "from": hours[0], "to": hours[1]}] if hours else []
    feed, _address = make_feed(org, person(org, duty=duty), clock.now())
    now = at("2027-03-10T05:10")
    before, after = (feed_text(feed, when) for when in (now, now + timedelta(days=1)))
    old, new = ([line for line in text.split("\r\n") if line.startswith("UID:")] for text in (before, after))
    assert old and set(new) >= set(old[1:]) and (hours or new == old)


FAR = [("0001-01-01T00:00:00Z", "0001-01-02T00:00:00Z"), ("9999-06-01T00:00:00Z", "9999-12-31T23:59:59Z")]


@pytest.mark.parametrize(("begin", "end"), FAR)
def test_a_span_far_off_is_refused_by_field(org: Org, machine: Client, begin: str, end: str) -> None:
    """Mutation: a time is reckoned with that lies at the end of all times."""
    sso_id = person(org).sso_id
    assert refused(machine.get(f"/api/duty?from={begin}&to={end}")) == (422, "from")
    assert refused(machine.get(f"/api/duty?from={begin}")) == (422, "from")
    staffed = [{"sso_id": sso_id, "role": f"Tier 1 {sso_id}"}]
    asked = {"from": begin, "to": end, "assignments": staffed}
    assert refused(post(machine, "/api/schedules", asked)) == (422, "from")
