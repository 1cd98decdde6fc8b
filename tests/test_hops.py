"""The hop chain of a push: what is done, what is waited for, and what nobody waits for any more."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation

from alerts.models import Push
from console.text.hops import chain
from orgs.models import User

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


def states(push: Push, entered_at: datetime | None = None) -> list[tuple[str, str]]:
    return [(hop.name, hop.state) for hop in chain(push, "UTC", NOW, entered_at).hops]


def sent(**fields: object) -> Push:
    at = NOW - timedelta(minutes=2)
    return Push(supervisor=User(name="Rina"), kind="alert", state="sent", planned_at=at, sent_at=at, **fields)


def test_each_step_waits_for_the_one_before() -> None:
    names = ("Pushed", "Delivered", "Opened", "Entered room")
    delivered = sent(delivered_at=NOW - timedelta(minutes=1))
    assert states(sent()) == list(zip(names, ("done", "wait", "todo", "todo"), strict=True))
    assert states(delivered) == list(zip(names, ("done", "done", "wait", "todo"), strict=True))


def test_nobody_waits_for_a_push_whose_person_is_in_the_room() -> None:
    for push in (sent(), sent(delivered_at=NOW - timedelta(minutes=1))):
        found = chain(push, "UTC", NOW, NOW)
        assert "wait" not in [hop.state for hop in found.hops]
        assert [hop.note for hop in found.hops if hop.state == "todo"][-1] == "came another way"
        assert states(push, NOW)[-1] == ("Entered room", "done")


def test_whoever_belongs_to_no_tier_is_called_what_they_are() -> None:
    person = User(name="Rina", is_specialist=True)
    assert chain(Push(supervisor=person, tier=0, planned_at=NOW), "UTC", NOW).role == "specialist"
    assert chain(sent(), "UTC", NOW).role == "fallback"


def test_why_it_was_not_delivered_is_said_in_words() -> None:
    failed = sent(failed_at=NOW, failed_reason="unregistered")
    assert chain(failed, "UTC", NOW).hops[1].note == "the phone is no longer registered"
    failed.failed_reason = "quota_exceeded"
    assert "“<bdi>quota_exceeded</bdi>”" in chain(failed, "UTC", NOW).hops[1].note


def test_what_a_stand_in_took_is_delivered_to_no_phone(settings: Any) -> None:
    settings.NOTIFICATION_SERVICE_IS_STANDIN = True
    found = chain(sent(delivered_at=NOW, opened_at=NOW), "UTC", NOW)
    assert [hop.state for hop in found.hops] == ["done", "todo", "todo", "todo"]
    assert (found.hops[1].note, found.pill, found.pill_tone) == ("a stand-in took it", "No phone rang", "none")
    assert found.over and found.why == "a stand-in took it; no phone rang."
    assert states(sent(delivered_at=NOW), NOW)[-1] == ("Entered room", "done")


def test_a_push_of_another_day_says_its_day() -> None:
    push = sent()
    push.sent_at = NOW - timedelta(days=1)
    assert ">3 May 03:00<" in chain(push, "UTC", NOW).hops[0].note
