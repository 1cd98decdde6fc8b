"""Every signal is known in every place that must know it, from its one declaration."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from jsonschema import Draft202012Validator

from alerts.delivery.message import push_body
from alerts.items import EventItem
from alerts.models import Alert, Push
from console.ingest import check
from console.openapi.document import document
from console.pages.policy.form import entered_of
from console.pages.sources.words import alarm
from console.text import sentences
from orgs.models import Org, Severity
from orgs.policy_fields import POLICY_DEFAULTS
from orgs.routing import Recipient
from orgs.signals import ROOM_SIGNALS, SENT, SIGNALS, SOURCE_SIGNALS, WIDE_SIGNALS
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import UserFactory
from tests.scene import Scene

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def scene(org: Org) -> Scene:
    return Scene(org)


def as_sent(signal: str) -> dict[str, Any]:
    """A failure event as a source sends it, with what its signal needs and no more."""
    common = {"event_id": "e-1", "agent_name": "Bot", "room_id": "r1", "signal": signal}
    return common | {"occurred_at": timezone.now().isoformat()} | dict(ROOM_SIGNALS[signal].needs)


def test_every_file_of_a_signal_is_registered_under_its_name() -> None:
    files = {path.stem for path in (ROOT / "orgs/signals").glob("*.py")}
    assert files - {"__init__", "kinds"} == set(SIGNALS)


def test_the_guide_says_of_each_what_is_declared() -> None:
    lines = (ROOT / "docs/signals.md").read_text().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(SIGNALS)
    for name, _, needs, severity, waits in rows:
        signal = SIGNALS[name.strip("`")]
        assert severity == signal.severity
        assert waits == ("yes" if getattr(signal, "waits", False) else "no")
        assert set(re.findall(r"`(\w+)", needs)) == set(getattr(signal, "needs", ()))
        assert ("never sent" in needs) == (signal.name not in SENT)


@pytest.mark.parametrize("signal", SENT)
def test_the_lane_takes_it_with_what_it_needs_and_the_document_says_so(signal: str) -> None:
    sent = as_sent(signal)
    validator = Draft202012Validator({"$ref": "#/components/schemas/FailureEvent", **document()})
    validator.validate(sent)
    item, _ = check.convert(sent, check.EVENTS, timezone.now())
    assert isinstance(item, EventItem)
    for name in ROOM_SIGNALS[signal].needs:
        without = {key: value for key, value in sent.items() if key != name}
        assert not validator.is_valid(without)
        with pytest.raises(check.InvalidItem):
            check.convert(without, check.EVENTS, timezone.now())


@pytest.mark.parametrize("signal", list(ROOM_SIGNALS))
def test_an_org_decides_how_severe_it_is_on_its_page(signal: str, scene: Scene, client: Client) -> None:
    wanted = "info" if ROOM_SIGNALS[signal].severity != "info" else "critical"
    client.force_login(UserFactory(is_specialist=True))
    form = entered_of(POLICY_DEFAULTS) | {f"severities.{signal}": wanted, "version": "0"}
    assert client.post(f"{reverse('policy')}?org={scene.org.external_id}", form).status_code == 302
    scene.fails(signal)
    assert scene.alert().severity == wanted
    history = client.get(reverse("admin:orgs_org_history", args=[scene.org.pk])).content.decode()
    assert f"<dt>{ROOM_SIGNALS[signal].label}</dt><dd>{Severity(wanted).label}</dd>" in history


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_push_says_what_happened_in_both_languages(signal: str, org: Org) -> None:
    now = timezone.now()
    alert = Alert(org=org, signals=[{"signal": signal, "severity": "critical"}], last_event_at=now)
    push = Push(severity="critical", planned_at=now, occurrence=1, reason="first")
    said = []
    for language in ("en", "id"):
        person = Recipient(1, "sso-1", "Rina", language, 1)
        text = push_body(push=push, alert=alert, org=org, room=None, subject="Billing Bot", recipient=person)
        body = msgspec.json.decode(text)
        with translation.override(language):
            assert str(SIGNALS[signal].label) in body["title"]
        said += [body["title"], body["body"]]
    assert all(said)
    assert len(set(said)) == 4


@pytest.mark.parametrize("signal", list(ROOM_SIGNALS))
def test_board_alert_and_api_show_it_and_can_be_filtered_by_it(signal: str, scene: Scene) -> None:
    scene.fails(signal)
    other = next(one for one in ROOM_SIGNALS if one != signal)
    browser, machine = signed_in(supervisor_of(scene.org)), with_key(scene.org)
    board = browser.get(f"/?tab=all&signal={signal}").content.decode()
    page = browser.get(f"/alerts/{scene.alert().pk}").content.decode()
    declared = ROOM_SIGNALS[signal]
    label = f"{declared.label} ×1"
    assert label in board
    assert f'<option value="{signal}" selected>{declared.label}</option>' in board
    assert label not in browser.get(f"/?tab=all&signal={other}").content.decode()
    assert page.count(str(declared.label)) >= 3  # its title, its ladder and its timeline
    assert f'href="#i-{declared.icon}"' in page
    assert f'<symbol id="i-{declared.icon}"' in page
    for wanted, found in ((signal, 1), (other, 0)):
        assert len(machine.get(f"/api/alerts?signal={wanted}").json()["results"]) == found


def test_every_signal_of_a_source_has_its_sentences(org: Org) -> None:
    assert set(SOURCE_SIGNALS) <= set(sentences.BECAUSE)
    for signal in SOURCE_SIGNALS:
        alert = Alert(org=org, opened_at=timezone.now(), episode=1, signals=[{"signal": signal, "episode": 1}])
        assert str(org) in alarm(alert, "UTC")


def test_every_signal_of_an_agent_has_its_sentences(org: Org) -> None:
    assert set(WIDE_SIGNALS) <= set(sentences.BECAUSE)
    sprite = (ROOT / "templates/_sprite.html").read_text()
    for signal in WIDE_SIGNALS.values():
        assert str(signal.recovered)
        assert f'<symbol id="i-{signal.icon}"' in sprite


@pytest.mark.parametrize("signal", set(SIGNALS) - set(SENT))
def test_what_is_found_here_cannot_be_sent(signal: str) -> None:
    sent = as_sent("help_requested") | {"signal": signal}
    with pytest.raises(check.InvalidItem):
        check.convert(sent, check.EVENTS, timezone.now())


def test_an_agent_asks_for_a_human_in_time(scene: Scene) -> None:
    scene.fails("help_requested", key="e1")
    alert = scene.alert()
    assert (alert.severity, alert.state) == ("critical", "open")
    assert alert.customer_waiting_since == scene.stored("e1").occurred_at
    assert scene.told() == [("first", "pending", "")]
