"""An alert's page, what people do there, and the way into its room."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import Alert, Push, RoomActivity, Transition
from console.pages.alert.view import snooze_until
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import AlertFactory, OrgFactory, PushFactory, UserFactory
from tests.scene import TAKEN_OVER_BY_NOBODY, Scene, fresh, pushes_are_sent

HTMX = {"HX-Request": "true"}


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    return Scene(org)


@pytest.fixture
def alert(scene: Scene) -> Alert:
    scene.fails(room_label="Ibu Sari")
    return scene.alert()


def text(response: Any) -> str:
    html = re.sub(r"<span data-yours hidden>.*?</span>(?=</span>)", "", response.content.decode())
    return re.sub(r"\s+", " ", strip_tags(html))


def toast(response: Any) -> dict[str, str]:
    return json.loads(response["HX-Trigger"])["lm:toast"]


def test_the_page_tells_the_whole_story(scene: Scene, clock: Any) -> None:
    scene.fails("low_confidence", confidence=0.31)
    pushes_are_sent()
    clock.advance(minutes=1)
    scene.fails("low_confidence", confidence=0.4)
    scene.fails("message_cap")
    pushes_are_sent()
    scene.fails("unexpected_handoff", **TAKEN_OVER_BY_NOBODY)
    Push.objects.filter(occurrence=1, supervisor=scene.people[0]).update(opened_at=datetime.now(ZoneInfo("UTC")))
    actions.take(scene.alert().pk, scene.people[1])
    page = text(signed_in(scene.people[0]).get(f"/alerts/{scene.alert().pk}"))
    for piece in (
        "Low confidence 0.31, limit 0.50",
        "Alert opened.",
        "first failure in this room.",
        "were told 1 min before.",
        "20 of 20 messages used",
        "It got worse, from info to warning.",
        "It got worse, from warning to critical.",
        "opened the push",
        "took it",
        "4 failure events, one alert",
        "lowest 0.31",
        "Who was told",
        "Next at",
    ):
        assert piece in page, piece


def test_reasons_stand_beside_their_sentences(scene: Scene, alert: Alert) -> None:
    scene.fails()
    scene.fails(ago=700)
    html = signed_in(scene.people[0]).get(f"/alerts/{alert.pk}").content.decode()
    for code in ("first", "attached", "late"):
        assert f'<span class="lm-code">{code}</span>' in html


@pytest.mark.parametrize(("part", "shown"), [("failures", "Agent error"), ("people", "took it")])
def test_the_timeline_shows_a_part(scene: Scene, alert: Alert, part: str, shown: str) -> None:
    actions.take(alert.pk, scene.people[1])
    page = text(signed_in(scene.people[0]).get(f"/alerts/{alert.pk}?t={part}"))
    assert shown in page.split("Timeline", 1)[1]


def test_someone_elses_alert_is_the_same_404_as_none(alert: Alert) -> None:
    outsider = signed_in(supervisor_of(OrgFactory()))
    for path in ("", "/room"):
        foreign, missing = (outsider.get(f"/alerts/{pk}{path}") for pk in (alert.pk, uuid4()))
        assert foreign.status_code == missing.status_code == 404
        assert strip(foreign) == strip(missing)
    assert outsider.post(f"/alerts/{alert.pk}/take").status_code == 404
    assert fresh(alert.pk).state == "open"


def strip(response: Any) -> str:
    """A page without what differs from request to request."""
    html = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", response.content.decode())
    return re.sub(r'(nonce|data-now|value)="[^"]*"|X-CSRFToken": "[^"]*"', "", html)


def test_taking_it_answers_with_the_fresh_row_and_an_undo(scene: Scene, alert: Alert) -> None:
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/take", headers=HTMX)
    assert answer.status_code == 200
    assert f'id="row-{alert.pk}"' in answer.content.decode()
    assert toast(answer) == {"text": "You took “Ibu Sari”.", "undo": f"/alerts/{alert.pk}/undo", "label": "Undo"}
    assert fresh(alert.pk).assigned_to == scene.people[0]


def test_the_loser_of_a_race_gets_the_fresh_row(scene: Scene, alert: Alert) -> None:
    scene.people[0].name = "Bayu Pratama"
    scene.people[0].save()
    actions.take(alert.pk, scene.people[0])
    answer = signed_in(scene.people[1]).post(f"/alerts/{alert.pk}/take", headers=HTMX)
    assert answer.status_code == 409
    assert re.fullmatch(r"Taken by Bayu Pratama, \d+ s before you\.", toast(answer)["text"])
    assert (toast(answer)["href"], toast(answer)["label"]) == (f"/alerts/{alert.pk}/room", "Open room")
    assert 'data-state="acknowledged"' in answer.content.decode()
    Alert.objects.filter(pk=alert.pk).update(acknowledged_at=F("acknowledged_at") - timedelta(minutes=6))
    plain = signed_in(scene.people[1]).post(f"/alerts/{alert.pk}/take", follow=True)
    assert "Already taken by Bayu Pratama." in text(plain)


@pytest.mark.parametrize(
    ("verb", "data", "state"),
    [
        ("acknowledge", {}, "acknowledged"),
        ("take", {}, "acknowledged"),
        ("resolve", {}, "resolved"),
        ("snooze", {"until": "15"}, "open"),
        ("verdict", {"verdict": "false_alarm", "note": "a test order"}, "open"),
    ],
)
def test_every_act_works_without_scripts(
    scene: Scene, alert: Alert, verb: str, data: dict[str, str], state: str
) -> None:
    client = signed_in(scene.people[0])
    answer = client.post(f"/alerts/{alert.pk}/{verb}", data)
    assert (answer.status_code, answer.url) == (302, f"/alerts/{alert.pk}")
    assert fresh(alert.pk).state == state
    back = client.post(f"/alerts/{alert.pk}/{verb}", data, headers={"Referer": "http://testserver/?tab=waiting"})
    assert back.url == "http://testserver/?tab=waiting"
    away = client.post(f"/alerts/{alert.pk}/{verb}", data, headers={"Referer": "https://evil.example/"})
    assert away.url == f"/alerts/{alert.pk}"


def test_undo_of_each_act(scene: Scene, alert: Alert) -> None:
    client = signed_in(scene.people[0])

    def undone(verb: str, data: dict[str, str]) -> Alert:
        answer = client.post(f"/alerts/{alert.pk}/{verb}", data, headers=HTMX)
        assert client.post(toast(answer)["undo"], headers=HTMX).status_code == 200
        return fresh(alert.pk)

    assert undone("acknowledge", {}).state == "open"
    assert undone("take", {}).assigned_to is None
    assert undone("assign", {"sso_id": scene.people[1].sso_id}).assigned_to is None
    assert undone("resolve", {}).state == "open"
    assert undone("snooze", {"until": "60"}).snoozed_until is None


def test_an_undo_that_comes_too_late_says_so(scene: Scene, alert: Alert) -> None:
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/undo", headers=HTMX)
    assert (answer.status_code, toast(answer)["text"]) == (409, "This can no longer be undone.")


def test_the_timeline_says_what_was_undone(scene: Scene, alert: Alert) -> None:
    actions.snooze(alert.pk, scene.people[1], timezone.now() + timedelta(minutes=20))
    actions.undo(alert.pk, scene.people[1])
    page = text(signed_in(scene.people[0]).get(f"/alerts/{alert.pk}"))
    assert "undid it: it is as it was before" in page.split("Timeline", 1)[1]


def test_where_one_assigns_it_is_said_that_it_goes_on_ringing(scene: Scene, alert: Alert) -> None:
    """Only an acknowledge stops the ladder. Mutation: "Given to Bayu" reads as if somebody was on it."""
    client, rings = signed_in(scene.people[0]), "it goes on ringing until somebody acknowledges it"
    assert rings in text(client.get(f"/alerts/{alert.pk}"))
    client.post(f"/alerts/{alert.pk}/assign", {"sso_id": scene.people[1].sso_id})
    for page in ("/", f"/alerts/{alert.pk}"):
        assert ", not acknowledged yet" in text(client.get(page))
    client.post(f"/alerts/{alert.pk}/acknowledge")
    page = text(client.get(f"/alerts/{alert.pk}"))
    assert rings not in page and ", not acknowledged yet" not in page


def test_assign_to_who_backs_up_the_agent_and_nobody_else(scene: Scene, alert: Alert) -> None:
    client = signed_in(scene.people[0])
    client.post(f"/alerts/{alert.pk}/assign", {"sso_id": scene.people[1].sso_id})
    assert fresh(alert.pk).assigned_to == scene.people[1]
    outsider = supervisor_of(OrgFactory())
    for sso_id in (outsider.sso_id, "nobody", ""):
        assert client.post(f"/alerts/{alert.pk}/assign", {"sso_id": sso_id}, headers=HTMX).status_code == 422
    assert fresh(alert.pk).assigned_to == scene.people[1]


@pytest.mark.parametrize("until", ["", "0", "9999", "yesterday", "2020-01-01T00:00", "-5"])
def test_a_snooze_ends_within_a_day(scene: Scene, alert: Alert, until: str) -> None:
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/snooze", {"until": until}, headers=HTMX)
    assert answer.status_code == 422
    assert toast(answer)["text"] == "Choose a time in the next 24 hours."


def test_until_morning_is_seven_in_ones_own_zone() -> None:
    zone = ZoneInfo("Asia/Jakarta")
    with timezone.override(zone):
        evening, night = (datetime(2026, 5, 4, hour, 0, tzinfo=zone) for hour in (22, 3))
        assert snooze_until("morning", evening) == datetime(2026, 5, 5, 7, 0, tzinfo=zone)
        assert snooze_until("morning", night) == datetime(2026, 5, 4, 7, 0, tzinfo=zone)
        assert snooze_until("2026-05-04T23:30", evening) == datetime(2026, 5, 4, 23, 30, tzinfo=zone)


def test_unknown_verbs_and_reads_change_nothing(scene: Scene, alert: Alert) -> None:
    client = signed_in(scene.people[0])
    assert client.post(f"/alerts/{alert.pk}/explode").status_code == 404
    assert client.get(f"/alerts/{alert.pk}/take").status_code == 405
    assert fresh(alert.pk).state == "open"


def test_an_act_without_a_session_sends_the_page_to_the_log_in(alert: Alert) -> None:
    headers = {**HTMX, "HX-Current-URL": "http://testserver/?tab=waiting"}
    answer = Client().post(f"/alerts/{alert.pk}/take", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"].startswith("/accounts/login/?next=")
    assert Client().post(f"/alerts/{alert.pk}/take").status_code == 302
    assert Client(enforce_csrf_checks=True).post(f"/alerts/{alert.pk}/take").status_code == 403
    assert fresh(alert.pk).state == "open"


def test_on_the_alerts_page_an_act_answers_with_the_page_part(scene: Scene, alert: Alert) -> None:
    headers = {**HTMX, "HX-Target": "alert"}
    answer = signed_in(scene.people[0]).post(f"/alerts/{alert.pk}/take", headers=headers)
    assert 'id="alert-head"' in answer.content.decode()
    assert "<html" not in answer.content.decode()


# --- the room ----------------------------------------------------------------------------------------------------


def entered(alert: Alert) -> int:
    with scopes_disabled():
        return RoomActivity.objects.filter(room=alert.room, kind="human_opened").count()


def test_the_drill_in_is_written_down_and_leads_into_the_room(scene: Scene, alert: Alert) -> None:
    answer = signed_in(scene.people[0]).get(f"/alerts/{alert.pk}/room", headers={"Sec-Fetch-Mode": "navigate"})
    assert (answer.status_code, answer.url) == (303, "https://chat.example.com/inbox/r1")
    assert answer["Cache-Control"] == "no-store"
    assert entered(alert) == 1
    now = fresh(alert.pk)
    assert (now.state, now.acknowledged_by) == ("acknowledged", scene.people[0])
    assert now.human_acted_at is not None


def test_a_browser_that_sends_no_fetch_headers_is_a_person_too(scene: Scene, alert: Alert) -> None:
    assert signed_in(scene.people[0]).get(f"/alerts/{alert.pk}/room").status_code == 303
    assert entered(alert) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender", "Sec-Fetch-Mode": "navigate"},
        {"Purpose": "prefetch"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
    ],
)
def test_a_prefetch_is_not_a_person(scene: Scene, alert: Alert, headers: dict[str, str]) -> None:
    answer = signed_in(scene.people[0]).get(f"/alerts/{alert.pk}/room", headers=headers)
    assert answer.status_code == 204
    assert entered(alert) == 0
    assert fresh(alert.pk).state == "open"


def test_head_and_post_write_nothing_down(scene: Scene, alert: Alert) -> None:
    client = signed_in(scene.people[0])
    assert client.head(f"/alerts/{alert.pk}/room").status_code == 303
    assert client.post(f"/alerts/{alert.pk}/room").status_code == 405
    assert Client().get(f"/alerts/{alert.pk}/room").status_code == 302
    assert entered(alert) == 0


def test_a_room_without_an_allowed_link_is_a_clear_page(scene: Scene, alert: Alert) -> None:
    scene.org.room_url_template = "http://chat.example.com/{room_id}"
    scene.org.save()
    answer = signed_in(scene.people[0]).get(f"/alerts/{alert.pk}/room")
    assert answer.status_code == 409
    assert "No way into this room from here" in text(answer)
    assert entered(alert) == 0


def test_an_alert_of_many_events_stays_one_page(org: Org, system: None, django_assert_max_num_queries: Any) -> None:
    made = AlertFactory(org=org)
    client = signed_in(supervisor_of(org))
    with django_assert_max_num_queries(36):
        assert client.get(f"/alerts/{made.pk}").status_code == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([("resolved", "recovered")], "Not sent: it had recovered by then."),
        ([("resolved", "quiet")], "Not sent: the alert had closed by then, because the room was quiet."),
        ([("resolved", "room")], "Not sent: the room had been resolved by then."),
        ([("abandoned", "abandoned")], "Not sent: the alert had closed by then, because nobody came."),
        ([("resolved", "")], "Not sent: somebody had acted by then."),
        (
            [("resolved", "quiet"), ("rearmed", "rearmed"), ("acknowledged", "")],
            "Not sent: somebody had acted by then.",
        ),
        ([], "Not sent: somebody had acted by then."),
    ],
)
def test_a_push_that_nobody_needs_says_what_had_happened(org: Org, changes: list[tuple[str, str]], said: str) -> None:
    now = datetime.now(UTC)
    alert = AlertFactory(org=org, state="resolved", resolved_at=now)
    over = {"state": "cancelled", "ended_reason": "no_longer_needed", "ended_at": now, "next_attempt_at": None}
    PushFactory(alert=alert, **over)
    with scopes_disabled():
        for change, reason in changes:
            Transition.objects.create(org=org, alert=alert, at=now, change=change, reason=reason)
    page = text(signed_in(supervisor_of(org)).get(f"/alerts/{alert.pk}"))
    assert said in page
    assert page.count("by then") == page.count(said) > 0


def test_specialists_see_the_trace_of_each_push(alert: Alert) -> None:
    Push.objects.update(state="sent", trace={"committed": 3, "kicked": 4, "claimed": 9, "sent": 10, "answered": 1250})
    said = "After it was received: committed 3 ms, worker kicked 4 ms, claimed 9 ms, sent 10 ms, answered 1,250 ms"
    supervisor = Push.objects.all()[0].supervisor
    assert said in text(signed_in(UserFactory(is_specialist=True)).get(f"/alerts/{alert.pk}"))
    assert "After it was received" not in text(signed_in(supervisor).get(f"/alerts/{alert.pk}"))
    Push.objects.update(trace={})
    assert "After it was received" not in text(signed_in(UserFactory(is_specialist=True)).get(f"/alerts/{alert.pk}"))
