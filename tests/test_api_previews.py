"""`/api/policy/preview`: asked, played outside the web process, polled; bad input by field; strangers see nothing."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django_scopes import scopes_disabled

from alerts.api import previews
from alerts.models import Alert, PolicyPreview, Push
from alerts.replay import requests
from orgs.keys import issue
from orgs.policy_fields import POLICY_DEFAULTS
from tests.factories import AgentFactory, AssignmentFactory, OrgFactory, SourceFactory

pytestmark = pytest.mark.django_db
ASK = "/api/policy/preview"


@pytest.fixture
def org():
    return OrgFactory()


def caller(org, *scopes):
    _, raw = issue(SourceFactory(org=org), scopes or ["read"])
    return Client(headers={"Authorization": f"Bearer {raw}"})


def body(**said):
    now = timezone.now()
    asked = {"policy": dict(POLICY_DEFAULTS), "from": (now - timedelta(days=7)).isoformat(), "to": now.isoformat()}
    return {name: value for name, value in (asked | said).items() if value is not ...}


def ask(client, **said):
    return client.post(ASK, body(**said), content_type="application/json")


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(previews, "ANSWERS_WITHIN", 0.0)


def test_it_is_asked_with_scope_read_polled_while_it_waits_and_told_when_it_is_played(org, impatient):
    AssignmentFactory(org=org)
    client = caller(org)
    waits = ask(client)
    assert (waits.status_code, waits.json()["progress"]) == (202, 0.0)
    assert waits.json()["url"].startswith("http://testserver/api/policy/preview/")  # like every address of the API
    assert client.get(waits.json()["url"]).status_code == 202
    with scopes_disabled():
        assert requests.work_previews() == 1
    answer = client.get(waits.json()["url"])
    assert answer.status_code == 200
    assert answer.json()["now"] == answer.json()["then"]
    assert (answer.json()["events"], answer.json()["not_reproduced"]) == (0, 0)
    assert len(answer.json()["now"]["by_hour"]) in (168, 169)
    with scopes_disabled():
        assert not Alert.objects.exists() and not Push.objects.exists()


def test_what_is_played_within_20_s_is_the_answer_itself(org, monkeypatch):
    client, sleep = caller(org), previews.time.sleep

    def work(seconds):
        with scopes_disabled():
            requests.work_previews()
        sleep(0)

    monkeypatch.setattr(previews.time, "sleep", work)
    assert ask(client).status_code == 200


def test_who_asks_anew_ends_what_was_asked_before(org, impatient):
    client = caller(org)
    first, second = ask(client).json()["url"], ask(client).json()["url"]
    gone = client.get(first)
    assert (gone.status_code, gone.json()["error"]["code"]) == (409, "preview_cancelled")
    assert client.get(second).status_code == 202


def test_one_that_is_cancelled_while_it_is_played_stops(org, impatient):
    client = caller(org)
    url = ask(client).json()["url"]
    with scopes_disabled():
        taken = requests._take()
        ask(client)
        with pytest.raises(requests.PreviewStopped):
            requests._Progress(taken).say(0.5)
    assert client.get(url).status_code == 409


def test_one_whose_process_died_has_failed(org, impatient):
    client = caller(org)
    url = ask(client).json()["url"]
    with scopes_disabled():
        taken = requests._take()
        PolicyPreview.objects.filter(pk=taken.pk).update(heard_at=timezone.now() - timedelta(minutes=2))
        assert requests.work_previews() == 0
    assert client.get(url).json()["error"]["code"] == "preview_failed"


def test_it_is_forgotten_after_a_day(org, impatient):
    client = caller(org)
    url = ask(client).json()["url"]
    with scopes_disabled():
        PolicyPreview.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        assert client.get(url).status_code == 404
        requests.work_previews()
        assert not PolicyPreview.objects.exists()


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"policy": ...}, "policy"),
        ({"policy": []}, "policy"),
        ({"policy": {}}, "policy.severities"),
        ({"policy": POLICY_DEFAULTS | {"throttle_minutes": "5"}}, "policy.throttle_minutes"),
        ({"policy": POLICY_DEFAULTS | {"volume": 11}}, "policy.volume"),
        ({"policy": POLICY_DEFAULTS | {"budget": {"pushes": -1, "minutes": 10}}}, "policy.budget.pushes"),
        ({"from": ...}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-01T00:00:00"}, "from"),
        ({"from": "2999-01-01T00:00:00Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z"}, "from"),
        ({"to": "2020-01-01T00:00:00Z"}, "to"),
        ({"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, "from"),
        ({"from": "1999-12-31T00:00:00Z", "to": "2000-01-01T00:00:00Z"}, "from"),
        ({"from": "2999-01-01T00:00:00Z", "to": "2999-01-02T00:00:00Z"}, "from"),
        ({"to": "9999-12-31T23:59:59Z"}, "to"),
        ({"days": 7}, "days"),
    ],
)
def test_bad_input_is_refused_by_field(org, said, field):
    answer = ask(caller(org), **said)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    with scopes_disabled():
        assert not PolicyPreview.objects.exists()


def test_an_agent_says_only_what_it_has_for_itself_and_an_unknown_one_is_404(org, impatient):
    agent = AgentFactory(org=org)
    client = caller(org)
    assert ask(client, agent=agent.name, policy={"throttle_minutes": 30}).status_code == 202
    assert ask(client, agent="nobody", policy={}).status_code == 404


def test_a_stranger_neither_asks_nor_sees(org, impatient):
    url = ask(caller(org)).json()["url"]
    stranger = caller(OrgFactory())
    assert ask(stranger, org_id=org.external_id).status_code == 404
    assert stranger.get(url).status_code == 404
    assert Client().get(url).status_code == 401
    assert ask(caller(org, "ingest")).status_code == 403


def test_two_who_ask_at_once_leave_one(org, impatient):
    assert threading and datetime.now(UTC)
    for _ in range(2):
        ask(caller(org))
    with scopes_disabled():
        assert PolicyPreview.objects.filter(state="waiting").count() == 1
