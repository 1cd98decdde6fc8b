"""What a push says: contract, language, and nothing that does not belong on a lock screen."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from alerts.delivery.message import idempotency_key, push_body
from alerts.models import Alert, Push, Room
from demo.standins import contract
from orgs.models import Org
from orgs.routing import Recipient

AT = datetime(2026, 1, 5, 19, 2, 30, 123456, tzinfo=UTC)
ORG = Org(external_id="toko-1", name="Toko Satu", zone="Asia/Jakarta", locale="id")


def made(alert: Alert | None, **push: object) -> dict:
    room = Room(room_id="r-9", label="Budi 0812", last_customer_text="halo?") if alert else None
    fields = {"id": UUID(int=7), "severity": "critical", "planned_at": AT, "occurrence": 3, "reason": "first"}
    row = Push(**{**fields, **push})
    person = Recipient(1, "sso-1", "Rina", "en", 1)
    text = push_body(push=row, alert=alert, org=ORG, room=room, subject="Billing Bot", recipient=person)
    contract.parse(json.loads(text))
    return json.loads(text)


def an_alert(**fields: object) -> Alert:
    signals = [{"signal": "unexpected_handoff", "severity": "critical", "last_at": "2026-01-05T19:02:30Z"}]
    return Alert(**{"id": UUID(int=5), "signals": signals, "last_event_at": AT, **fields})


def test_says_what_failed_where_and_since_when() -> None:
    body = made(an_alert(customer_waiting_since=AT))
    assert body["title"] == "Critical: Unexpected handoff, Billing Bot"
    assert body["body"] == "Nobody is in the room. The customer has been waiting since 02:02."


def test_body_is_the_contract() -> None:
    body = made(an_alert())
    assert body["recipient"] == {"sso_id": "sso-1"}
    assert body["collapse_key"] == str(UUID(int=5))
    assert body["ttl_seconds"] == 1800
    assert body["data"] == {
        "alert_id": str(UUID(int=5)),
        "org_id": "toko-1",
        "room_id": "r-9",
        "url": f"http://127.0.0.1:8000/alerts/{UUID(int=5)}",
        "sequence": 3,
        "occurred_at": "2026-01-05T19:02:30.123Z",
    }


def test_no_customer_text_and_no_label_on_a_lock_screen() -> None:
    text = json.dumps(made(an_alert(customer_waiting_since=AT)))
    assert "halo" not in text
    assert "Budi" not in text


@pytest.mark.parametrize(
    ("reason", "start"),
    [("worsened", "It got worse."), ("repeat_due", "Nobody has acted yet."), ("rearmed", "It failed again.")],
)
def test_says_why_it_comes_again(reason: str, start: str) -> None:
    assert made(an_alert(), reason=reason)["body"].startswith(start)


def test_leads_with_the_newest_signal_of_the_highest_severity() -> None:
    signals = [
        {"signal": "message_cap", "severity": "warning", "last_at": "2026-01-05T19:10:00Z"},
        {"signal": "agent_error", "severity": "critical", "last_at": "2026-01-05T19:03:00Z"},
    ]
    assert made(an_alert(signals=signals))["title"] == "Critical: Agent error, Billing Bot"


def test_same_facts_same_bytes() -> None:
    assert json.dumps(made(an_alert())) == json.dumps(made(an_alert()))


def test_a_long_agent_name_keeps_within_the_contract() -> None:
    push = Push(id=UUID(int=7), severity="info", planned_at=AT, reason="first")
    person = Recipient(1, "sso-1", "Rina", "", 1)
    text = push_body(push=push, alert=an_alert(), org=ORG, room=None, subject="x" * 200, recipient=person)
    assert len(contract.parse(json.loads(text)).title) == 200
    assert json.loads(text)["locale"] == "id"  # none of their own: the org's


def test_a_test_push_names_its_org_and_no_alert() -> None:
    body = made(None, severity="info")
    assert body["title"] == "Test push"
    assert "Toko Satu" in body["body"]
    assert body["data"]["alert_id"] is None
    assert body["collapse_key"] == str(UUID(int=7))


def test_idempotency_key_depends_on_the_push_alone() -> None:
    assert idempotency_key(UUID(int=1)) == idempotency_key(UUID(int=1))
    assert idempotency_key(UUID(int=1)) != idempotency_key(UUID(int=2))
    assert idempotency_key(UUID(int=1)).version == 5


def test_speaks_bahasa_indonesia() -> None:
    push = Push(id=UUID(int=7), severity="critical", planned_at=AT, reason="first")
    person = Recipient(1, "sso-1", "Rina", "id", 1)
    alert = an_alert(customer_waiting_since=AT)
    text = push_body(push=push, alert=alert, org=ORG, room=None, subject="Billing Bot", recipient=person)
    assert json.loads(text)["title"].startswith("Kritis: ")
    assert json.loads(text)["body"].endswith("Pelanggan menunggu sejak 02.02.")
