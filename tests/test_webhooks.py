"""The webhook address: who may post, what is always answered, and that what was told acts on the room."""

import json
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import DataError, IntegrityError, connection
from django_scopes import scopes_disabled

from alerts.models import Alert, RoomActivity, SourceMinute, WebhookDelivery
from alerts.sources import inbox
from console.ingest.http import lane
from console.ingest.webhooks import Posted, receive
from orgs import webhooks
from orgs.models import Org, SourceHeard, WebhookEndpoint
from tests.factories import AlertFactory, AssignmentFactory, OrgFactory, RoomFactory
from tests.ingest_server import Answer, activities, pack
from tests.qontak import message


@dataclass
class Hook:
    """An endpoint and its address on the server under test."""

    port: int
    endpoint: WebhookEndpoint
    path: str

    @property
    def org(self) -> Org:
        return self.endpoint.org

    def send(self, body: bytes, path: str = "", method: str = "POST", **headers: str) -> Answer:
        talk = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            talk.request(method, path or self.path, body, {"Content-Type": "application/json", **named})
            response = talk.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            talk.close()

    def post(self, who: str = "customer", **fields: Any) -> Answer:
        """One message of this org."""
        return self.send(json.dumps(message(who, **{"org": self.org.external_id, **fields})).encode())


def path_of(url: str) -> str:
    return urlsplit(url).path


def deliveries() -> list[WebhookDelivery]:
    with scopes_disabled():
        return list(WebhookDelivery.objects.order_by("id"))


def work() -> int:
    with scopes_disabled():
        return inbox.work()


@pytest.fixture
def hook(transactional_db: None, ingest_port: int) -> Iterator[Hook]:
    with scopes_disabled():
        endpoint, url = webhooks.create(OrgFactory(), "qontak")
    yield Hook(ingest_port, endpoint, path_of(url))


# --- always 200 ------------------------------------------------------------------------------------------------------


def test_a_message_is_stored_before_the_answer_and_then_acts_on_its_room(hook: Hook) -> None:
    AssignmentFactory(org=hook.org, external_user_id="u0", user__name="Rina")
    assert hook.post("agent").status == 200
    assert [(one.outcome, len(one.facts)) for one in deliveries()] == [("", 1)]
    assert work() == 1
    (activity,) = activities()
    assert (activity.kind, activity.room.room_id, activity.room.state) == ("human_message", "room-1", "human")
    with scopes_disabled():
        assert str(RoomActivity.objects.get().actor) == "Rina"
    (delivery,) = deliveries()
    assert (delivery.outcome, delivery.facts, delivery.understood[1]["kind"]) == ("understood", [], "human_message")


def test_the_same_message_in_several_statuses_is_one_activity(hook: Hook) -> None:
    same = {"id": "m-1", "at": datetime.now(UTC) - timedelta(seconds=5)}
    for status in ("created", "sent", "delivered", "read"):
        hook.post("agent", status=status, **same)
    work()
    assert len(activities()) == 1
    assert [one.outcome for one in deliveries()] == ["understood", "repeated", "repeated", "repeated"]


def test_a_later_status_with_another_time_is_the_same_message(hook: Hook) -> None:
    for seconds in (5, 3):
        hook.post("agent", id="m-1", at=datetime.now(UTC) - timedelta(seconds=seconds))
    work()
    assert [one.outcome for one in deliveries()] == ["understood", "repeated"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"id": "m-1", "room_id"', "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"", "not_json"),
        (b"[]", "not_an_object"),
        (b"7", "not_an_object"),
        (b"[" * 100 + b"]" * 100, "too_deep"),
        (b'{"id": 1, "id": 2}', "duplicate_key"),
    ],
)
def test_what_cannot_be_read_is_200_and_kept_as_not_understood(hook: Hook, body: bytes, reason: str) -> None:
    assert hook.send(body).status == 200
    (delivery,) = deliveries()
    assert (delivery.outcome, delivery.reason) == ("not_understood", reason)


def test_unknown_fields_and_events_are_kept_and_shown_and_no_500(hook: Hook) -> None:
    answer = hook.post(webhook_event="room_tagged", new_field={"deep": 1})
    assert (answer.status, answer.json["status"]) == (200, "not_understood")
    (delivery,) = deliveries()
    assert (delivery.reason, delivery.field, delivery.sample["new_field"]) == (
        "unknown_event",
        "room_tagged",
        {"deep": "[number]"},
    )


def test_another_orgs_message_has_no_effect(hook: Hook) -> None:
    other = OrgFactory()
    assert hook.post("agent", org=other.external_id).status == 200
    work()
    assert activities() == []
    assert [(one.outcome, one.reason) for one in deliveries()] == [("refused", "wrong_org")]


def test_an_endpoint_may_know_its_org_by_another_id(hook: Hook) -> None:
    with scopes_disabled():
        _, url = webhooks.create(hook.org, "qontak", organization_id="0f3f8f7e")
    Hook(hook.port, hook.endpoint, path_of(url)).post("agent", org="0f3f8f7e")
    work()
    assert [activity.kind for activity in activities()] == ["human_message"]


def test_a_packed_body_is_read(hook: Hook) -> None:
    hook.send(pack(message(org=hook.org.external_id)), Content_Encoding="gzip")
    work()
    assert [activity.kind for activity in activities()] == ["customer_message"]


def test_a_byte_order_mark_and_a_slash_at_the_end_change_nothing(hook: Hook) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(message(org=hook.org.external_id)).encode()
    assert hook.send(body, f"{hook.path}/", Content_Type="application/json; charset=utf-8;").status == 200
    work()
    assert [activity.kind for activity in activities()] == ["customer_message"]


def test_a_body_over_256_kib_is_413(hook: Hook) -> None:
    assert hook.send(b" " * (256 * 1024 + 1)).status == 413
    assert deliveries() == []


def test_nothing_personal_is_stored(hook: Hook) -> None:
    hook.post(text="Saya Sari, 0812-3456-7890", room_account_uniq_id="6281234567890", room_name="Sari Dewi Hartono")
    work()
    with connection.cursor() as cursor:
        cursor.execute("SELECT d::text FROM alerts_webhookdelivery d UNION ALL SELECT r::text FROM alerts_room r")
        stored = " ".join(row[0] for row in cursor.fetchall())
    assert "Sari D. H." in stored
    assert not [leak for leak in ("6281234567890", "812-3456", "3456-7890", "Hartono") if leak in stored]


def test_an_org_that_drops_names_and_texts_keeps_none(hook: Hook) -> None:
    with scopes_disabled():
        Org.objects.filter(pk=hook.org.pk).update(personal_data="drop")
    hook.post()
    with scopes_disabled():
        assert "text" not in WebhookDelivery.objects.get().facts[0]
        work()
        room = activities()[0].room
    assert (room.label, room.last_customer_text, room.channel) == ("", "", "WhatsApp")


def test_the_customers_new_words_show_on_the_open_alert_where_the_org_shows_them(hook: Hook) -> None:
    room = RoomFactory(org=hook.org, room_id="room-1", customer_waiting_since=datetime.now(UTC) - timedelta(minutes=1))
    since = room.customer_waiting_since
    alert = AlertFactory(org=hook.org, room=room, customer_waiting_since=since)
    versions = []
    for shown in (False, True):
        with scopes_disabled():
            Org.objects.filter(pk=hook.org.pk).update(show_customer_text=shown)
        hook.post(text=f"Halo? {shown}")
        work()
        with scopes_disabled():
            versions.append(Alert.objects.get(pk=alert.pk).version)
    assert versions == [alert.version + 1, alert.version + 2]  # each moved the reply window; once their words are shown


# --- who may post ----------------------------------------------------------------------------------------------------


def test_a_wrong_token_and_no_such_endpoint_get_the_same_bytes(hook: Hook) -> None:
    public_id = hook.endpoint.public_id
    tried = [f"{public_id}.wrong", f"{public_id}", "0000000000000000.x", "", "%00.%00", f"{public_id}X.y", "a/b"]
    answers = [hook.send(b"{}", f"/api/webhooks/qontak/{segment}") for segment in tried]
    answers.append(hook.send(b"{}", hook.path.replace("qontak", "chatwoot")))
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    assert deliveries() == []


def test_only_post_is_possible(hook: Hook) -> None:
    assert hook.send(b"", method="GET").status == 405


def test_a_rotated_address_works_beside_the_new_one_until_it_ends(hook: Hook) -> None:
    with scopes_disabled():
        new = path_of(webhooks.rotate_address(hook.endpoint, timedelta(hours=1)))
        assert [hook.send(b"{}", path).status for path in (hook.path, new)] == [200, 200]
        newest = path_of(webhooks.rotate_address(hook.endpoint, timedelta(hours=1)))
    lane()._endpoints._found.clear()  # instead of waiting 5 s
    assert [hook.send(b"{}", path).status for path in (hook.path, new, newest)] == [200, 200, 200]


def test_each_address_works_to_its_own_end(hook: Hook, clock: Any) -> None:
    """However often it was rotated meanwhile: the chat product may still post to the first one."""
    paths = [hook.path]
    for _ in range(3):
        with scopes_disabled():
            paths.append(path_of(webhooks.rotate_address(hook.endpoint)))
        clock.advance(hours=6)
    found = []
    for _ in range(4):
        lane()._endpoints._found.clear()
        found.append([hook.send(b"{}", path).status for path in paths])
        clock.advance(hours=6)
    assert found == [[200, 200, 200, 200], [401, 200, 200, 200], [401, 401, 200, 200], [401, 401, 401, 200]]


def test_the_overlap_can_be_ended_at_once(hook: Hook) -> None:
    with scopes_disabled():
        paths = [hook.path, *(path_of(webhooks.rotate_address(hook.endpoint)) for _ in range(2))]
        webhooks.end_overlap(hook.endpoint)
    assert [hook.send(b"{}", path).status for path in paths] == [401, 401, 200]


def test_the_address_before_is_refused_once_its_overlap_is_over(hook: Hook, clock: Any) -> None:
    with scopes_disabled():
        webhooks.rotate_address(hook.endpoint, timedelta(hours=1))
    clock.advance(hours=2)
    assert hook.send(b"{}").status == 401


def test_an_endpoint_switched_off_is_refused(hook: Hook) -> None:
    with scopes_disabled():
        WebhookEndpoint.objects.update(active=False)
    assert hook.send(b"{}").status == 401


def test_an_endpoint_deleted_just_now_is_refused_and_takes_nobody_along(hook: Hook) -> None:
    with scopes_disabled():
        other, url = webhooks.create(OrgFactory(), "qontak")
    gone = Hook(hook.port, other, path_of(url))
    assert gone.post().status == 200  # remembered for 5 s from here on
    with scopes_disabled():
        other.org.delete()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda one: one.post("agent"), [hook, gone] * 8))
    assert [answer.status for answer in answers] == [200, 401] * 8
    assert len(deliveries()) == 8


@pytest.mark.parametrize(("allowed", "status"), [(["127.0.0.0/8"], 200), (["10.0.0.1", "2001:db8::/32"], 403)])
def test_only_listed_addresses_may_post(hook: Hook, allowed: list[str], status: int) -> None:
    with scopes_disabled():
        WebhookEndpoint.objects.update(allowed_addresses=allowed)
    assert hook.post("agent").status == status
    assert [one.reason for one in deliveries()] == ([""] if status == 200 else ["address"])


def test_the_secret_of_an_address_is_in_no_log(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        hook.post()
        hook.send(b"{}", f"{hook.path}x")
    ours = " ".join(one.getMessage() for one in caplog.records if one.name != "uvicorn.access")  # `serve` has it off
    assert "/api/webhooks/qontak" in ours
    assert hook.path.rpartition(".")[2] not in ours


# --- figures, isolation ----------------------------------------------------------------------------------------------


def test_what_was_sent_is_counted_by_the_minute(hook: Hook, wait_for: Callable[..., Any]) -> None:
    hook.post("agent", id="m-1")
    hook.post("agent", id="m-1", status="sent")
    hook.send(b"nonsense")
    work()

    def counted() -> Any:
        with scopes_disabled():
            rows = list(SourceMinute.objects.values_list("endpoint", "created", "duplicate", "not_understood"))
        sums = tuple(sum(row[n] for row in rows) for n in (1, 2, 3))
        return sums if sums[2] and {row[0] for row in rows} == {hook.endpoint.pk} else None

    assert wait_for(counted) == (1, 1, 1)
    with scopes_disabled():
        assert SourceHeard.objects.get().source_id == hook.endpoint.source_id


def test_one_orgs_flood_is_worked_in_turns_with_the_others(hook: Hook) -> None:
    with scopes_disabled():
        other, _ = webhooks.create(OrgFactory(), "qontak")
    mine = [message(org=hook.org.external_id, room=f"r{n}") for n in range(inbox.BATCH + 5)]
    with scopes_disabled():
        for one in mine:
            inbox.store([inbox.read_delivery(hook.endpoint, one, datetime.now(UTC))])
        inbox.store([inbox.read_delivery(other, message(org=other.org.external_id), datetime.now(UTC))])
        for endpoint in (hook.endpoint.pk, other.pk):
            inbox._work(endpoint)
        waiting = WebhookDelivery.objects.filter(outcome="").values_list("endpoint", flat=True)
        assert set(waiting) == {hook.endpoint.pk} and len(waiting) == 5


def test_a_delivery_that_cannot_be_stored_holds_up_nobody(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    true = inbox.read_delivery

    def read(endpoint: Any, payload: Any, now: datetime) -> WebhookDelivery:
        delivery = true(endpoint, payload, now)
        if payload["id"] == "bad":
            delivery.facts = [{"kind": "\x00"}]
        return delivery

    monkeypatch.setattr(inbox, "read_delivery", read)
    posted = [
        Posted(hook.endpoint, "127.0.0.1", json.dumps(message(id=name, org=hook.org.external_id)).encode(), False)
        for name in ("good-1", "bad", "good-2")
    ]
    with scopes_disabled():
        answers = receive(posted)
    assert [answer.status for answer in answers] == [200, 200, 200]
    kept = {str(one.pk): (one.outcome, one.reason) for one in deliveries()}  # ids of one millisecond have no order
    assert [kept.pop(json.loads(answer.body)["delivery_id"]) for answer in answers] == [
        ("", ""),
        ("not_understood", "internal_error"),
        ("", ""),
    ]
    assert not kept


@pytest.mark.parametrize("fault", [KeyError, DataError, IntegrityError])
def test_a_delivery_that_cannot_be_worked_holds_up_nobody(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    hook.post(id="good-1")
    hook.post(id="bad")
    hook.post(id="good-2")
    true = inbox._accepted

    def broken(index: int, org_id: int, fact: dict[str, Any]) -> Any:
        if fact["activity_id"] == "message:bad":
            raise fault("a fault of ours")
        return true(index, org_id, fact)

    monkeypatch.setattr(inbox, "_accepted", broken)
    work()
    assert [(one.outcome, one.reason) for one in deliveries()] == [
        ("understood", ""),
        ("not_understood", "internal_error"),
        ("understood", ""),
    ]
    assert deliveries()[1].facts  # they stay, to be worked again
    monkeypatch.undo()
    with scopes_disabled():
        assert inbox.work_again(hook.endpoint) == 1
    assert work() == 1
    assert [one.outcome for one in deliveries()] == ["understood"] * 3
    with scopes_disabled():
        assert inbox.work_again(hook.endpoint) == 0
    assert len(activities()) == 3


def test_the_delivery_we_failed_on_is_marked_itself_and_while_nobody_else_can_work_it(
    hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("bad", "good"):
        hook.post(id=name)

    true, worked_elsewhere = inbox._accepted, []

    def broken_once(*args: Any) -> Any:
        monkeypatch.setattr(inbox, "_accepted", true)
        raise KeyError("a fault of ours")

    def elsewhere() -> int:
        try:
            with scopes_disabled():
                return inbox._work(hook.endpoint.pk)
        finally:
            connection.close()

    def another_process_tries(*args: Any, **kwargs: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            worked_elsewhere.append(pool.submit(elsewhere).result())

    monkeypatch.setattr(inbox, "_accepted", broken_once)
    monkeypatch.setattr(inbox, "log", SimpleNamespace(exception=another_process_tries))
    with scopes_disabled():
        assert inbox._work_alone(hook.endpoint.pk) == 1
    assert worked_elsewhere == [0]
    assert [(one.reason, len(one.facts)) for one in deliveries()] == [("internal_error", 1), ("", 1)]


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8;",
        'application/json;charset="UTF-8"; version=1',
        "application/vnd.qontak+json; profile=x",
        "text/plain",
    ],
)
def test_a_byte_order_mark_and_parameters_of_the_content_type_lose_no_message(hook: Hook, content_type: str) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(message("agent", org=hook.org.external_id)).encode()
    assert hook.send(body, Content_Type=content_type).json["status"] == "stored"
    work()
    assert [activity.kind for activity in activities()] == ["human_message"]


def test_only_the_last_deliveries_are_kept(hook: Hook) -> None:
    from alerts.sources import traffic

    with scopes_disabled():
        for n in range(traffic.DELIVERIES_SHOWN + 5):
            told = message(org=hook.org.external_id, room=f"r{n}")
            inbox.store([inbox.read_delivery(hook.endpoint, told, datetime.now(UTC))])
        work()
        RoomFactory(org=hook.org)
        traffic.tidy(datetime.now(UTC))
        assert WebhookDelivery.objects.count() == traffic.DELIVERIES_SHOWN
        assert RoomActivity.objects.count() == traffic.DELIVERIES_SHOWN + 5
