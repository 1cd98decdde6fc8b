"""Half of a surrogate pair, as JSON can say it, in any place of anything that is sent: never a fault of ours, and of a
batch never more than its own item.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from django.test import Client

from console.ingest import check, records
from console.ingest.fields import FIELDS, InvalidItem
from orgs import clock
from orgs.models import Org, Scope
from orgs.policy_fields import POLICY_DEFAULTS
from tests.api_client import with_key
from tests.factories import OrgFactory
from tests.ingest_server import ACTIVITY, EVENTS, REVIEWS, RUNS, Sender, activity, ago, event, review, run
from tests.qontak import message
from tests.test_webhooks import Hook, deliveries, work
from tests.test_webhooks import hook as hook  # a fixture

HALF = "\ud800"
ODD = [HALF, f"a{HALF}b", [HALF], {HALF: HALF}, {"a": [HALF]}]
KINDS = [check.EVENTS, check.ACTIVITY, check.RECEIPTS, records.RUNS, records.REVIEWS]
GOOD = {EVENTS: event, ACTIVITY: activity, RUNS: run, REVIEWS: review}
STRUCT = dict(zip(GOOD, (check.EVENTS, check.ACTIVITY, records.RUNS, records.REVIEWS), strict=True))


def fields_of(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]


def spoilt(value: Any) -> Iterator[Any]:
    """A JSON value with one of its leaves, or itself, or a name in it, replaced by the half of a pair."""
    yield HALF
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: other} for other in spoilt(inner))
        yield {**value, HALF: 1}
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from ([*value[:place], other, *value[place + 1 :]] for other in spoilt(inner))


# --- items -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.struct.__name__)
def test_no_field_of_an_item_is_more_than_refused(kind: Any, db: None) -> None:
    """Mutation: a time, a number or a choice is read before it is known to be a text at all."""
    now = clock.now()
    good = {"run_id": "0197c2f0-0000-7000-8000-000000000000", **dict.fromkeys(check.REQUIRED[kind.struct], "x")}
    places = [(name,) for name in fields_of(kind.struct)]
    places += [
        (name, inner)
        for name, nested in check.NESTED.items()
        if name in FIELDS[kind.struct]
        for inner in fields_of(nested)
    ]
    for name, *within in places:
        for odd in ODD:
            value = {within[0]: odd} if within else odd
            sent = {one: said for one, said in good.items() if one in FIELDS[kind.struct]} | {name: value}
            with pytest.raises(InvalidItem):  # of this field, or of the others' x
                check.convert(sent, kind, now)


@pytest.mark.parametrize("path", GOOD)
def test_the_neighbours_of_a_spoilt_item_are_stored(sender: Sender, path: str) -> None:
    good = GOOD[path]
    if path == REVIEWS:
        sender.post([run(run_id=one) for one in RATED], RUNS)
    sent = [first(path, good)]
    names = [name for name in fields_of(STRUCT[path].struct) if name != "org_id"]
    sent += [good(**{name: HALF}) for name in names]
    sent.append(last(path, good))
    answer = sender.post(sent, path)
    assert answer.statuses[0] == answer.statuses[-1] == "created"
    assert set(answer.statuses) <= {"created", "invalid", "duplicate"}
    refused = {one["index"]: one["error"] for one in answer.json["results"] if "error" in one}
    assert [refused[place]["field"] for place in sorted(refused)] == [
        f"items[{place}].{names[place - 1]}" for place in sorted(refused)
    ]


RATED = ["0197c2f0-0000-7000-8000-00000000000a", "0197c2f0-0000-7000-8000-00000000000b"]


def first(path: str, good: Any) -> dict[str, Any]:
    return good(run_id=RATED[0]) if path == REVIEWS else good()


def last(path: str, good: Any) -> dict[str, Any]:
    return good(run_id=RATED[1]) if path == REVIEWS else good()


@pytest.mark.parametrize(("path", "field"), [(RUNS, "started_at"), (EVENTS, "signal"), (ACTIVITY, "kind")])
def test_it_is_told_which_field_it_was(sender: Sender, path: str, field: str) -> None:
    answer = sender.post([GOOD[path](**{field: f"x{HALF}"}), GOOD[path]()], path)
    assert answer.statuses == ["invalid", "created"]
    error = answer.json["results"][0]["error"]
    assert (error["code"], error["field"]) == ("bad_text", f"items[0].{field}")


# --- webhooks and the API --------------------------------------------------------------------------------------------


def test_no_field_of_a_webhook_is_a_fault_of_ours(hook: Hook) -> None:
    sent = list(spoilt(message(org=hook.org.external_id)))
    assert {hook.send(json.dumps(one).encode()).status for one in sent} == {200}
    work()
    assert "internal_error" not in {one.reason for one in deliveries()}


WEEK = [{"days": [1], "from": "08:00", "to": "17:00"}]
POLICY = dict(POLICY_DEFAULTS)
BODIES: list[tuple[str, str, Any]] = [
    ("put", "policy?org_id={org}", {**POLICY, "version": "1"}),
    ("post", "policy/preview", {"org_id": "{org}", "from": "@1", "to": "@0", "policy": POLICY, "agent": "x"}),
    ("post", "policy/revert", {"org_id": "{org}", "version": "1", "to": "2"}),
    ("post", "silences", {"org_id": "{org}", "room_id": "r1", "signal": "x", "ends_at": "@0", "note": "x"}),
    ("put", "calendar?org_id={org}", {"business_hours": WEEK, "holidays": [{"date": "2026-12-25", "name": "x"}]}),
    (
        "post",
        "schedules",
        {"from": "@0", "to": "@0", "assignments": [{"sso_id": "x", "role": "x", "duty": WEEK}], "org_id": "{org}"},
    ),
    ("post", "handovers", {"org_id": "{org}", "sso_id": "x", "minutes": 30}),
    ("post", "duty-feeds", {"org_id": "{org}", "sso_id": "x"}),
    ("post", "client-tokens", {"org_id": "{org}", "sso_id": "x", "label": "x"}),
    ("put", "people/x/quiet-hours?org_id={org}", {"hours": WEEK}),
    ("put", "people/x/duty-pushes?org_id={org}", {"minutes": 30}),
    (
        "put",
        "assignments?org_id={org}",
        {"assignments": [{"role": "x", "tier": 1, "sso_id": "x", "name": "x", "duty": WEEK, "agents": ["x"]}]},
    ),
    ("post", "supervisors/x/test-push", {"org_id": "{org}"}),
]


@pytest.mark.parametrize(("method", "path", "body"), BODIES, ids=[path.partition("?")[0] for _, path, _ in BODIES])
def test_no_field_of_a_body_of_the_api_is_a_fault_of_ours(db: None, method: str, path: str, body: Any) -> None:
    org: Org = OrgFactory()
    client: Client = with_key(org, *Scope.values)
    text = json.dumps(body).replace("{org}", org.external_id).replace("@0", ago()).replace("@1", ago(hours=1))
    for sent in spoilt(json.loads(text)):
        address = "/api/" + path.replace("{org}", org.external_id)
        answer = client.generic(method.upper(), address, json.dumps(sent), content_type="application/json")
        assert 400 <= answer.status_code < 500, (sent, answer.content)
