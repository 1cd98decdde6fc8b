"""Test pushes, dead pushes, preferences, error pages, and what machines ask: alive, ready, metrics."""

import re
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts.models import Gate, Push
from orgs import clock as database_clock
from orgs.models import DutyReminder, Org, User
from tests.api_client import signed_in, supervisor_of
from tests.factories import (
    AgentFactory,
    AlertFactory,
    MembershipFactory,
    OrgFactory,
    PushFactory,
    SourceFactory,
    UserFactory,
)


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


def test_a_test_push_goes_to_oneself_or_from_a_lead(org: Org) -> None:
    me, other = supervisor_of(org), supervisor_of(org)
    client = signed_in(me)
    assert client.post(f"/reach/{me.sso_id}/test-push").status_code == 302
    assert client.post(f"/reach/{other.sso_id}/test-push").status_code == 404
    assert client.get(f"/reach/{me.sso_id}/test-push").status_code == 405
    MembershipFactory(org=org, user=me, role="lead")
    answer = client.post(f"/reach/{other.sso_id}/test-push", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "Delivered" in text(answer)
    with scopes_disabled():
        made = Push.objects.filter(kind="test")
        assert sorted(made.values_list("supervisor__sso_id", flat=True)) == sorted([me.sso_id, other.sso_id])
        hops = f"/reach/{other.sso_id}/test-push/{made.get(supervisor=other).pk}"
    assert client.get(hops).status_code == 200
    assert signed_in(other).get(hops).status_code == 200
    assert signed_in(supervisor_of(OrgFactory())).get(hops).status_code == 404


def dead(org: Org) -> Push:
    return PushFactory(alert=AlertFactory(org=org), state="dead", ended_reason="refused", next_attempt_at=None)


def test_dead_pushes_are_shown_and_replayed_by_leads(org: Org) -> None:
    mine, foreign = dead(org), dead(OrgFactory())
    lead = supervisor_of(org)
    client = signed_in(lead)
    assert client.get("/pushes").status_code == 403
    assert client.post(f"/pushes/{mine.pk}/replay").status_code == 403
    MembershipFactory(org=org, user=lead, role="lead")
    page = text(client.get("/pushes"))
    assert "1 push has failed" in page
    assert "notification-service did not accept it" in page
    assert client.post(f"/pushes/{foreign.pk}/replay").status_code == 404
    assert client.get(f"/pushes/{mine.pk}/replay").status_code == 405
    assert client.post(f"/pushes/{mine.pk}/replay").status_code == 302
    with scopes_disabled():
        assert Push.objects.get(pk=mine.pk).state == "pending"
        assert Push.objects.get(pk=foreign.pk).state == "dead"
    assert "This push no longer counts as failed." not in text(client.get("/pushes"))
    client.post("/pushes/replay")
    assert "No push has failed" in text(client.get("/pushes"))


def test_a_dead_push_of_no_room_names_what_its_alert_is_about_and_costs_no_query(
    org: Org, django_assert_num_queries: Any
) -> None:
    """An agent's alert, a source's, and a digest, which has none."""
    lead = supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    client = signed_in(lead)

    def fill(names: str) -> None:
        agent, source = AgentFactory(org=org, name=f"agent {names}"), SourceFactory(org=org, name=f"source {names}")
        for alert in (
            AlertFactory(org=org, scope="agent", room=None, agent=agent),
            AlertFactory(org=org, scope="source", room=None, agent=None, source=source),
        ):
            PushFactory(alert=alert, room=None, state="dead", ended_reason="refused", next_attempt_at=None)
        PushFactory(org=org, alert=None, room=None, kind="digest", state="dead", next_attempt_at=None)

    fill("one")
    client.get("/pushes")
    with CaptureQueriesContext(connection) as of_three:
        page = client.get("/pushes").content.decode()
    asked = len(of_three)  # the next request empties the log
    assert "<bdi>agent one</bdi></a>" in page and "<bdi>source one</bdi></a>" in page and "?digest=" in page
    fill("two")
    client.get("/pushes")  # counts for the menu
    with django_assert_num_queries(asked):
        assert "<bdi>source two</bdi></a>" in client.get("/pushes").content.decode()


def test_a_lead_of_one_org_replays_nothing_of_another_they_back_up(org: Org) -> None:
    other = OrgFactory()
    lead = supervisor_of(org, other)
    MembershipFactory(org=org, user=lead, role="lead")
    push = dead(other)
    client = signed_in(lead)
    assert client.post(f"/pushes/{push.pk}/replay").status_code == 404
    client.post("/pushes/replay")
    with scopes_disabled():
        assert Push.objects.get(pk=push.pk).state == "dead"


def test_specialists_are_told_why_no_push_goes_out(org: Org) -> None:
    Gate.objects.update_or_create(id=1, defaults={"refilled_at": database_clock.now(), "reason": "configuration"})
    PushFactory(alert=AlertFactory(org=org))
    assert "does not accept our key" in text(signed_in(UserFactory(is_specialist=True)).get("/"))
    assert "does not accept our key" not in text(signed_in(supervisor_of(org)).get("/"))


def test_preferences_are_saved_and_used(org: Org) -> None:
    me = supervisor_of(org)
    client = signed_in(me)
    saved = client.post("/preferences", {"locale": "id", "zone": "Asia/Makassar", "theme": "dark"})
    assert (saved.status_code, saved.url) == (302, "/preferences")
    me.refresh_from_db()
    assert (me.locale, me.zone, me.theme) == ("id", "Asia/Makassar", "dark")
    page = client.get("/").content.decode()
    assert 'lang="id" data-bs-theme="dark"' in page
    assert 'data-zone="Asia/Makassar"' in page
    wrong = client.post("/preferences", {"locale": "xx", "zone": "Mars/Base", "theme": "pink"})
    assert wrong.status_code == 422


def test_pushes_about_duty_are_asked_for_in_the_orgs_where_one_has_a_role(org: Org) -> None:
    other, foreign = OrgFactory(), OrgFactory()
    me = supervisor_of(org, other)
    client = signed_in(me)
    client.post("/preferences", {"act": "duty", "duty": [org.external_id, foreign.external_id]})
    with scopes_disabled():
        assert list(DutyReminder.objects.values_list("org", "user")) == [(org.pk, me.pk)]
    page = client.get("/preferences").content.decode()
    ticked = re.findall(r'name="duty" value="([^"]+)" checked', page)
    assert "Pushes about my duty" in page and ticked == [org.external_id]
    client.post("/preferences", {"act": "duty"})
    with scopes_disabled():
        assert not DutyReminder.objects.exists()
    assert "Pushes about my duty" not in text(signed_in(UserFactory(is_specialist=True)).get("/preferences"))


def test_a_failed_push_about_duty_says_what_it_was_about(org: Org) -> None:
    person = supervisor_of(org)
    PushFactory(org=org, alert=None, supervisor=person, kind="duty", reason="duty_starts", state="dead")
    MembershipFactory(org=org, user=person, role="lead")
    shown = signed_in(person).get("/pushes").content.decode()
    assert f"/duty?org={org.external_id}" in shown and "duty starts" in shown


def test_language_for_people_who_are_signed_out(db: None) -> None:
    client = Client()
    answer = client.post("/language", {"language": "id", "next": "/accounts/login/"})
    assert (answer.status_code, answer.url) == (302, "/accounts/login/")
    assert "Masuk" in text(client.get("/accounts/login/"))
    assert client.post("/language", {"language": "id", "next": "https://evil.example/"}).url == "/"
    client.post("/language", {"language": "xx"})
    assert "Masuk" in text(client.get("/accounts/login/"))
    assert client.get("/language").status_code == 405


def test_language_of_a_person_is_kept_on_the_person(org: Org) -> None:
    me: User = supervisor_of(org, locale="en")
    signed_in(me).post("/language", {"language": "id", "next": "/"})
    me.refresh_from_db()
    assert me.locale == "id"


def test_error_pages_in_the_house_style(org: Org, settings: Any) -> None:
    client = signed_in(supervisor_of(org))
    missing = client.get("/nothing")
    assert missing.status_code == 404
    assert "There is nothing here" in text(missing)
    assert Client(enforce_csrf_checks=True).post("/language").status_code == 403


def test_alive_ready_and_metrics(db: None, settings: Any) -> None:
    client = Client()
    assert client.get("/livez").content == b"ok\n"
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (200, "ok")
    assert client.post("/livez").status_code == 405
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    away = client.get("/readyz")
    assert (away.status_code, away.json()["redis"][:4]) == (200, "away")


def test_specialists_and_machines_learn_of_alerts_whose_timers_fail(org: Org) -> None:
    alert = AlertFactory(org=org, timer_failures=2)
    AlertFactory(org=org, timer_failures=1, state="resolved", resolved_at=database_clock.now())
    page = signed_in(UserFactory(is_specialist=True)).get("/").content.decode()
    assert "The timers of 1 alert fail" in page
    assert f'href="/alerts/{alert.pk}"' in page.split("The timers of 1 alert fail", 1)[1].split("</div>", 1)[0]
    assert "The timers of" not in signed_in(supervisor_of(org)).get("/").content.decode()
    assert "live_broken_timers 1.0" in Client().get("/metrics").content.decode()


def test_metrics_are_for_loopback_and_specialists(db: None, settings: Any) -> None:
    settings.DEMO = False
    outside = Client(REMOTE_ADDR="203.0.113.9")
    assert outside.get("/metrics").status_code == 403
    assert Client().get("/metrics").status_code == 200
    assert Client(headers={"X-Forwarded-For": "203.0.113.9"}).get("/metrics").status_code == 403
    specialist = signed_in(UserFactory(is_specialist=True))
    assert specialist.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200
