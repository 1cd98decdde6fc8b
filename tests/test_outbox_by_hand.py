"""The test push, and the phones that notification-service knows."""

from typing import Any

import pytest
from django_scopes import scope, scopes_disabled

from alerts.delivery import outbox, tokens
from alerts.delivery.notification_service import ask_tokens
from alerts.delivery.receipts import record_receipts
from alerts.items import ReceiptItem
from alerts.models import Push
from orgs import clock as orgs_clock
from orgs.models import User
from tests.factories import AssignmentFactory, UserFactory
from tests.outbox import posts, sweep

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("gate")]


@pytest.fixture
def assignment() -> Any:
    return AssignmentFactory()


def a_test_push(assignment: Any) -> Push:
    with scope(org=[assignment.org_id]):
        return outbox.send_test_push(assignment.org, assignment.user, UserFactory(is_specialist=True))


def fresh(push: Push) -> Push:
    with scopes_disabled():
        return Push.objects.get(id=push.id)


def test_every_hop_of_a_test_push_shows_on_its_row(standins: Any, assignment: Any) -> None:
    push = a_test_push(assignment)
    assert (push.state, push.kind, push.reason) == ("pending", "test", "test")
    sweep()
    record_receipts([ReceiptItem(push.idempotency_key, "delivered", orgs_clock.now())])
    row = fresh(push)
    assert (row.state, row.push, row.last_answer) == ("sent", "queued", "accepted by notification-service")
    assert row.planned_at <= row.sent_at <= row.delivered_at  # type: ignore[operator]
    (request,) = posts(standins)
    assert request["body"]["recipient"] == {"sso_id": assignment.user.sso_id}


def test_two_test_pushes_are_two(standins: Any, assignment: Any) -> None:
    a_test_push(assignment)
    a_test_push(assignment)
    sweep()
    assert len(posts(standins)) == 2


def test_a_test_push_kicks_the_worker(assignment: Any, run_commit_hooks: Any, monkeypatch: Any) -> None:
    kicked: list[bool] = []
    monkeypatch.setattr(outbox.feed, "kick", lambda: kicked.append(True))
    with run_commit_hooks():
        a_test_push(assignment)
    assert kicked == [True]


def test_a_test_push_says_why_it_failed(standins: Any, assignment: Any) -> None:
    standins.behave("status", status=401)
    push = a_test_push(assignment)
    sweep()
    assert fresh(push).state == "pending"
    assert fresh(push).last_answer.startswith("401 from notification-service")


# --- phones --------------------------------------------------------------------------------------------------------


def test_asks_how_many_phones_everybody_has(standins: Any, assignment: Any) -> None:
    stranger = UserFactory()
    standins.tokens({assignment.user.sso_id: 3})
    assert tokens.ask_everybody() == 1
    assert User.objects.get(id=assignment.user_id).push_tokens == 3
    assert User.objects.get(id=assignment.user_id).push_tokens_at is not None
    assert User.objects.get(id=stranger.id).push_tokens is None


def test_asks_on_demand_for_some(standins: Any) -> None:
    people = [UserFactory(sso_id="a+b&c=d/é"), UserFactory(sso_id="plain")]
    standins.tokens({"a+b&c=d/é": 2, "plain": 0})
    assert tokens.ask_tokens_of(people) == 2
    assert [User.objects.get(id=user.id).push_tokens for user in people] == [2, 0]
    assert all(request["signature_ok"] for request in standins.log())


def test_a_long_list_is_asked_in_parts(standins: Any) -> None:
    people = [f"{n:03d}-{'x' * 190}" for n in range(60)]
    assert set(ask_tokens(people)) == set(people)
    assert len(standins.log()) > 1


@pytest.mark.parametrize("trouble", [{"mode": "garbage"}, {"mode": "down"}, {"mode": "status", "status": 500}])
def test_what_could_not_be_asked_keeps_its_figure(standins: Any, assignment: Any, trouble: Any) -> None:
    User.objects.update(push_tokens=1)
    standins.behave(trouble.pop("mode"), **trouble)
    assert tokens.ask_everybody() == 0
    assert User.objects.get(id=assignment.user_id).push_tokens == 1
    assert User.objects.get(id=assignment.user_id).push_tokens_at is None
