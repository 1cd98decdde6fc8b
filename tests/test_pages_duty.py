"""The pages of duty: who is on duty when, gaps by name, who may change what, and what is wrong with what was typed."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.urls import reverse
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert
from orgs import clock
from orgs.models import Assignment, BusinessHours, DutyFeed, Handover, Holiday, Org, QuietHours, TemporarySchedule, User
from tests.api_client import signed_in
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    SupervisorRoleFactory,
    UserFactory,
)

OFFICE = [{"days": [1, 2, 3, 4, 5], "from": "08:00", "to": "17:00"}]
pytestmark = pytest.mark.usefixtures("system")


@pytest.fixture
def lead(org: Org) -> User:
    """Dewi, who leads the org and has a role in it."""
    role = SupervisorRoleFactory(org=org, name="Leads", tier=2)
    user = AssignmentFactory(org=org, role=role, user__name="Dewi", user__locale="en").user
    MembershipFactory(org=org, user=user, role="lead")
    return user


@pytest.fixture
def rina(org: Org) -> Assignment:
    """A supervisor on duty in office hours."""
    return AssignmentFactory(org=org, user__name="Rina", user__locale="en", role__name="Front", duty=OFFICE)


def page(client: Client, path: str, **more: Any) -> str:
    answer = client.get(path, more)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def sent(client: Client, path: str, body: dict[str, Any]) -> Any:
    return client.post(path, body)


def week(**days: str) -> dict[str, str]:
    """The fields of a week; `d1` is Monday's."""
    return {f"day-{n}": days.get(f"d{n}", "") for n in range(1, 8)}


def test_the_week_shows_hours_gaps_by_agent_and_who_may_edit(org: Org, rina: Assignment, lead: User) -> None:
    AgentFactory(org=org, name="Billing Bot")
    Assignment.every.filter(user=lead).update(duty=[{"days": [6], "from": "22:00", "to": "06:00"}])
    monday = {"from": "2031-03-31"}
    text = page(signed_in(lead), "/duty", **monday)
    assert text.count("08:00\u201317:00") >= 5
    assert "22:00\u201324:00" in text and "00:00\u201306:00" in text  # Saturday's night is two days'
    assert "gaps in the next 7 days: nobody is on duty" in text and "Billing Bot" in text
    assert reverse("duty_hours", args=[rina.pk]) in text
    hers = page(signed_in(rina.user), "/duty", **monday)
    assert reverse("duty_hours", args=[rina.pk]) not in hers and "/duty/mine" in hers
    assert signed_in(rina.user).get(reverse("duty_hours", args=[rina.pk])).status_code == 403
    Assignment.every.filter(user=lead).update(duty=[])
    assert "Somebody is on duty in the next 7 days" in page(signed_in(lead), "/duty", **{"from": "nonsense"})


def test_hours_are_stored_as_they_were_typed_and_wrong_ones_are_named(org: Org, rina: Assignment, lead: User) -> None:
    client, path = signed_in(lead), reverse("duty_hours", args=[rina.pk])
    body = {
        "always": "0",
        "holidays": "off",
        "away_until": "2031-01-02T08:00",
        **week(d1="8-12, 13.00-17.00", d7="22:00-06:00"),
    }
    assert sent(client, path, body).status_code == 302
    rina.refresh_from_db()
    assert [(one["days"], one["from"], one["to"], one["holidays"]) for one in rina.duty] == [
        ([1], "08:00", "12:00", "off"), ([1], "13:00", "17:00", "off"), ([7], "22:00", "06:00", "off"),
    ]  # fmt: skip
    assert rina.away_until == datetime(2031, 1, 2, 1, tzinfo=UTC)  # Jakarta's clock
    assert "08:00-12:00, 13:00-17:00" in page(client, path)
    for wrong, said in [
        ({"day-3": "24:00-08:00"}, "This is not a time from 00:00 to 23:59."),
        ({"day-3": "morning"}, "Write it like 08:00-17:00."),
        ({"day-3": "08:00-08:00"}, "It ends when it begins."),
        ({"away_until": "tomorrow"}, "This is no day and time."),
        (week(), "Choose at least one hour"),
    ]:
        answer = sent(client, path, body | wrong)
        assert answer.status_code == 422 and said in answer.content.decode(), wrong
    assert sent(client, path, body | {"always": "1", "away_until": ""}).status_code == 302
    rina.refresh_from_db()
    assert (rina.duty, rina.away_until) == ([], None)


def test_hours_beside_always_are_never_dropped_without_a_word(org: Org, rina: Assignment, lead: User) -> None:
    """Mutation: "Saved.", and the night that was written is not there."""
    client, path = signed_in(lead), reverse("duty_hours", args=[rina.pk])
    both = {"always": "1", "holidays": "work", "away_until": ""}
    stored = Assignment.every.get(pk=rina.pk).duty
    answer = sent(client, path, both | week(d1="22:00-06:00"))
    assert answer.status_code == 422 and "You wrote hours too." in answer.content.decode()
    assert 'value="22:00-06:00"' in answer.content.decode(), "what was written stands there still"
    assert Assignment.every.get(pk=rina.pk).duty == stored
    as_they_stood = week(**{f"d{n}": "08:00-17:00" for n in OFFICE[0]["days"]})
    assert sent(client, path, both | as_they_stood).status_code == 302
    assert Assignment.every.get(pk=rina.pk).duty == []


@pytest.mark.parametrize("way", ["handed over", "away"])
def test_whoever_is_told_of_nothing_reads_it_on_the_board_and_is_back_there(
    org: Org, rina: Assignment, way: str
) -> None:
    """Mutation: a note says it for 8 s; somebody who came back earlier watches a board that wakes them for nothing."""
    client, mine = signed_in(rina.user), {"org": org.external_id}
    assert "you are told of nothing" not in page(client, "/")
    if way == "away":
        sent(client, "/duty/mine", mine | {"act": "away", "away_until": "2031-01-02T08:00"})
    else:
        sent(client, "/duty/hand-over", mine | {"minutes": "60"})
    assert ("You are away until" if way == "away" else "Your rooms are handed over until") in page(client, "/")
    assert "you are told of nothing" not in page(signed_in(AssignmentFactory(org=org).user), "/")
    AssignmentFactory(org=OrgFactory(name="Kopi Selasar"), user=rina.user)  # which goes on telling
    assert f"<bdi>{org.name}</bdi>: " in page(client, "/")
    back = sent(client, "/duty/mine", mine | {"act": "back", "next": "/?tab=waiting"})
    assert (back.status_code, back.headers["Location"]) == (302, "/?tab=waiting")
    assert "you are told of nothing" not in page(client, "/")
    assert Assignment.every.get(pk=rina.pk).away_until is None
    elsewhere = sent(client, "/duty/mine", mine | {"act": "back", "next": "https://evil.example/"})
    assert elsewhere.headers["Location"].startswith("/duty/mine")


def test_hours_that_differ_on_holidays_stay_so_until_somebody_decides(org: Org, rina: Assignment, lead: User) -> None:
    Assignment.every.filter(pk=rina.pk).update(
        duty=[OFFICE[0] | {"days": [1, 2]}, OFFICE[0] | {"days": [3], "holidays": "off"}]
    )
    path = reverse("duty_hours", args=[rina.pk])
    assert "As the list says for each interval" in page(signed_in(lead), path)
    days = week(d1="08:00-17:00", d3="08:00-17:00", d4="08:00-17:00")
    sent(signed_in(lead), path, {"always": "0", "holidays": "", **days})
    rina.refresh_from_db()
    assert {day: one.get("holidays", "work") for one in rina.duty for day in one["days"]} == {
        1: "work", 3: "off", 4: "work",
    }  # fmt: skip


def test_ones_own_absence_quiet_hours_and_calendar(org: Org, rina: Assignment) -> None:
    client = signed_in(rina.user)
    mine = {"org": org.external_id}
    assert sent(client, "/duty/mine", mine | {"act": "away", "away_until": "2031-01-02T08:00"}).status_code == 302
    assert sent(client, "/duty/mine", mine | {"act": "quiet", **week(d6="22:00-06:00")}).status_code == 302
    rina.refresh_from_db()
    assert rina.away_until is not None
    assert QuietHours.objects.get(user=rina.user).hours == [{"days": [6], "from": "22:00", "to": "06:00"}]
    made = sent(client, "/duty/mine", mine | {"act": "feed"})
    assert made.status_code == 200 and "/duty-feeds/" in made.content.decode()
    assert "Revoke 1 address" in page(client, "/duty/mine", **mine)
    sent(client, "/duty/mine", mine | {"act": "unfeed"})
    assert not DutyFeed.objects.filter(revoked_at=None).exists()
    assert sent(client, "/duty/mine", mine | {"act": "quiet", **week(d6="x")}).status_code == 422
    assert sent(client, "/duty/mine", mine | {"act": "away", "away_until": "x"}).status_code == 422
    assert sent(client, "/duty/mine", mine | {"act": "else"}).status_code == 404
    assert sent(client, "/duty/mine", {"org": OrgFactory().external_id, "act": "feed"}).status_code == 404
    specialist = signed_in(UserFactory(is_specialist=True))
    assert "You have no role in this org" in page(specialist, "/duty/mine", **mine)
    assert sent(specialist, "/duty/mine", mine | {"act": "feed"}).status_code == 404


def test_handing_over_releases_and_being_back_ends_it(org: Org, rina: Assignment) -> None:
    alert = AlertFactory(org=org)
    actions.take(alert.pk, rina.user)
    client, body = signed_in(rina.user), {"org": org.external_id, "minutes": "30"}
    assert sent(client, "/duty/hand-over", body | {"minutes": "31"}).status_code == 404
    assert sent(client, "/duty/hand-over", body | {"next": "/"}).headers["Location"] == "/"
    alert.refresh_from_db()
    assert (alert.state, alert.assigned_to) == (Alert.State.OPEN, None)
    handed = Handover.objects.get()
    assert timedelta(minutes=29) < handed.ends_at - clock.now() <= timedelta(minutes=30)
    assert "handed over until" in page(client, "/duty") and "I am back" in page(client, "/duty/mine")
    sent(client, "/duty/mine", {"org": org.external_id, "act": "back"})
    handed.refresh_from_db()
    assert handed.ends_at <= clock.now()


def test_the_calendar_is_the_leads_and_says_what_is_wrong(org: Org, rina: Assignment, lead: User) -> None:
    client, mine = signed_in(lead), {"org": org.external_id}
    path = "/duty/calendar"
    assert signed_in(rina.user).get(path, mine).status_code == 403
    days = {"act": "holidays", "holidays_text": "2031-03-10 Idulfitri\n\n2031-03-11\n"}
    assert sent(client, path, mine | days).status_code == 302
    assert [(str(one.date), one.name) for one in Holiday.objects.all()] == [
        ("2031-03-10", "Idulfitri"), ("2031-03-11", ""),
    ]  # fmt: skip
    assert "2031-03-10 Idulfitri" in page(client, path, **mine)
    assert "Idulfitri" in page(client, "/duty", **{"from": "2031-03-08"})
    for wrong, said in [("10.3.2031", "Line 1: write a day"), ("2031-03-10\n2031-03-10", "Line 2: this day is there")]:
        answer = sent(client, path, mine | {"act": "holidays", "holidays_text": wrong})
        assert answer.status_code == 422 and said in answer.content.decode()
    assert sent(client, path, mine | {"act": "copy", "year": "1999"}).status_code == 404
    year = clock.now().astimezone(ZoneInfo(org.zone)).year  # begins seven hours before UTC's
    assert sent(client, path, mine | {"act": "copy", "year": str(year)}).status_code == 302
    assert Holiday.objects.filter(date__month=8, date__day=17).exists() and Holiday.objects.filter(name="Idulfitri")
    assert sent(client, path, mine | {"act": "hours", **week(d1="08:00-17:00")}).status_code == 302
    stand_in = {"act": "schedule", "begins": "2031-03-10T00:00", "ends": "2031-03-12T00:00", "role": "Front"}
    stand_in |= {"person": lead.sso_id, "hours": "1-7 10:00-12:00"}
    assert sent(client, path, mine | stand_in).status_code == 302
    assert "10:00\u201312:00" in page(client, "/duty", **{"from": "2031-03-10"})
    for change, said in [
        ({"ends": "2031-03-10T00:00"}, "It ends before it begins."),
        ({"begins": "soon"}, "This is no day and time."),
        ({"role": "None"}, "Choose a role."),
        ({"person": "nobody"}, "Choose at least one person."),
        ({"hours": "all day"}, "is not written like"),
    ]:
        answer = sent(client, path, mine | stand_in | change)
        assert answer.status_code == 422 and said in answer.content.decode(), change
    schedule = TemporarySchedule.objects.get()
    listed = page(client, path, **mine)
    assert "Its roles go back to their usual people." in listed[: listed.index('value="unschedule"') + 900], (
        "asked once more"
    )
    assert sent(client, path, mine | {"act": "unschedule", "schedule": str(schedule.pk)}).status_code == 302
    assert sent(client, path, mine | {"act": "unschedule", "schedule": str(schedule.pk)}).status_code == 404
    assert not TemporarySchedule.objects.exists()


def test_who_has_no_org_and_an_org_without_people(org: Org) -> None:
    assert "You see no org yet" in page(signed_in(UserFactory(locale="en")), "/duty")
    specialist = signed_in(UserFactory(is_specialist=True, locale="en"))
    assert "Nobody stands behind a role yet" in page(specialist, "/duty", org=org.external_id)
    assert specialist.get("/duty", {"org": "nowhere"}).status_code == 404
    with scopes_disabled():
        assert not Assignment.every.exists()


def test_gaps_stand_on_reach_by_agent_and_the_menu_hands_over(org: Org, rina: Assignment) -> None:
    AgentFactory(org=org, name="Billing Bot")
    text = page(signed_in(rina.user), "/reach")
    assert "Nobody is on duty" in text and f"/duty?org={org.external_id}" in text
    assert "Hand my rooms over for 30 min" in text and "/duty/mine?org=" in page(signed_in(rina.user), "/preferences")
    Assignment.every.filter(pk=rina.pk).update(duty=[])
    assert "Nobody is on duty" not in page(signed_in(rina.user), "/reach")


def test_the_orgs_business_hours_lie_behind_the_week_but_for_its_holidays(org: Org, rina: Assignment) -> None:
    bare = page(signed_in(rina.user), f"/duty?org={org.external_id}")
    assert "lm-duty-band" not in bare and "Business hours of the org" not in bare
    with scopes_disabled():
        hours = [{"days": [1, 2], "from": "08:00", "to": "16:00"}, {"days": [2], "from": "22:00", "to": "02:00"}]
        BusinessHours.objects.create(org=org, hours=hours)
        Holiday.objects.create(org=org, date="2026-12-07")
    row = [[("480", "480")], [("480", "480"), ("1320", "120")], [("0", "120")]]
    for monday, days in (("2026-11-30", row), ("2026-12-07", row[1:])):
        text = page(signed_in(rina.user), f"/duty?org={org.external_id}&from={monday}")
        bands = re.findall(r'<svg class="lm-duty-band".*?</svg>', text, re.DOTALL)
        edges = [re.findall(r'x="([\d.]+)" width="([\d.]+)"', one) for one in bands]
        assert edges[: len(days)] == days and len(edges) % len(days) == 0
    assert "Business hours of the org" in text
