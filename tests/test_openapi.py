"""The OpenAPI document is valid, complete and true: it is held against the URL conf, the lane and real answers."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import django
import pytest
import requests
import schemathesis
from django.test import Client
from django.urls import get_resolver
from django_scopes import scopes_disabled
from drf_spectacular.validation import validate_schema
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from jsonschema import Draft202012Validator
from schemathesis.checks import not_a_server_error
from schemathesis.generation.feedback import NO_FEEDBACK
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.specs.openapi import checks

from alerts import actions
from alerts.api.acts import ACTS
from console.ingest import check, records
from console.ingest.http import PATHS
from console.ingest.webhooks import PREFIX
from console.openapi.document import document
from orgs.models import Org, User
from tests.api_client import post, put, signed_in, supervisor_of, with_key
from tests.examples import at_most
from tests.factories import AgentFactory, AlertFactory, OrgFactory, PushFactory, SourceFactory
from tests.ingest_server import event, make_key
from tests.runs_made import made_run, reviewed

django.setup()
DOCUMENT = document()
OPEN_TO_NOBODY_ELSE = {"/api/schema", "/api/docs"}  # the document itself


def schema_of(name: str) -> Draft202012Validator:
    """A validator of one of the document's schemas."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})


def views_of_api() -> dict[str, set[str]]:
    """Path -> methods, as the URL conf has them."""
    found: dict[str, set[str]] = {}
    for pattern in get_resolver().url_patterns:
        for inner in getattr(pattern, "url_patterns", [pattern]):
            path = "/" + (str(pattern.pattern) if inner is not pattern else "") + str(inner.pattern)
            if path.startswith("/api/") and inner.name != "api_nothing_here":
                view = inner.callback.view_class
                methods = {name for name in view.http_method_names if hasattr(view, name)} - {"options", "head"}
                found[re.sub(r"<\w+:(\w+)>", r"{\1}", path)] = methods
    return found


def test_it_is_valid_openapi_3_1() -> None:
    validate_schema(DOCUMENT)
    assert DOCUMENT["openapi"] == "3.1.0"


def test_it_names_every_path_and_no_other() -> None:
    served = views_of_api() | {path: {"post"} for path in (*PATHS, f"{PREFIX}qontak/{{endpoint}}")}
    described = {path: set(operations) for path, operations in DOCUMENT["paths"].items()}
    assert described == {path: methods for path, methods in served.items() if path not in OPEN_TO_NOBODY_ELSE}


def test_every_reference_leads_somewhere() -> None:
    named = set(re.findall(r"#/components/(\w+)/(\w+)", str(DOCUMENT)))
    assert all(name in DOCUMENT["components"][kind] for kind, name in named)
    unused = {("schemas", name) for name in DOCUMENT["components"]["schemas"]} - named
    assert not unused


def test_the_acts_and_their_fields_are_those_of_the_code() -> None:
    for verb, act in ACTS.items():
        body = DOCUMENT["paths"][f"/api/alerts/{{alert_id}}/{verb}"]["post"]["requestBody"]
        schema = body["content"]["application/json"]["schema"]
        assert set(schema["properties"]) == set(act.fields)
        assert schema.get("required", []) == [name for name, field in act.fields.items() if field.required]
        Draft202012Validator(schema).validate(body["content"]["application/json"]["example"])


def test_the_examples_can_be_sent_as_they_are() -> None:
    kinds = {"FailureEvent": check.EVENTS, "RoomActivity": check.ACTIVITY, "PushReceipt": check.RECEIPTS}
    kinds |= {"AgentRun": records.RUNS, "AgentReview": records.REVIEWS}
    paths = ("/api/failure-events", "/api/room-activity", "/api/push-receipts", "/api/agent-runs", "/api/agent-qc")
    for path, name in zip(paths, kinds, strict=True):
        content = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            sent = example["value"] if isinstance(example["value"], list) else [example["value"]]
            for item in sent:
                schema_of(name).validate(item)
                check.convert(item, kinds[name], datetime.now(UTC))


@pytest.mark.parametrize(
    "wrong",
    [
        {"signal": "stalled_run"},
        {"room_id": "x" * 201},
        {"event_id": "x" * 129},
        {"room_id": ""},
        {"confidence": 1.5},
        {"message_count": -1},
        {"surprise": 1},
        {"error": None},
        {"error": {"type": "x", "more": 1}},
        {"signal": "unexpected_handoff"},
        {"signal": "message_cap", "message_count": 3},
        {"room_id": 1.5},
        {"run_id": 7},
    ],
)
def test_schema_and_lane_refuse_the_same(wrong: dict[str, Any]) -> None:
    assert schema_of("FailureEvent").is_valid(event())
    check.convert(event(), check.EVENTS, datetime.now(UTC))
    assert not schema_of("FailureEvent").is_valid(event() | wrong)
    with pytest.raises(check.InvalidItem):
        check.convert(event() | wrong, check.EVENTS, datetime.now(UTC))


def body_schema(method: str, path: str) -> Draft202012Validator:
    """A validator of what an operation is sent."""
    schema = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator(schema | {"components": DOCUMENT["components"]})


def test_what_was_read_of_a_policy_may_be_sent_back(org: Org) -> None:
    client = with_key(org)
    read = client.get("/api/policy").json()
    assert put(client, "/api/policy", read).status_code == 428  # and no 422
    assert body_schema("put", "/api/policy").is_valid(read)
    period = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-27T00:00:00Z"}
    assert body_schema("post", "/api/policy/preview").is_valid({"policy": read, **period})


def test_what_is_null_or_has_a_name_is_described_as_it_is_taken(org: Org, rina: User) -> None:
    client, hours = with_key(org), [{"days": [1], "from": "22:00", "to": "06:00"}]
    listed = {"role": "Lead", "tier": 1, "sso_id": rina.sso_id, "duty": None, "agents": None, "fallback": None}
    quiet = f"/api/people/{rina.sso_id}/quiet-hours"
    for path, pattern, sent in (
        ("/api/assignments?dry_run=1", "/api/assignments", [listed]),
        (quiet, "/api/people/{sso_id}/quiet-hours", hours),
        (quiet, "/api/people/{sso_id}/quiet-hours", {"quiet_hours": hours}),
    ):
        assert put(client, path, sent).status_code == 200, path
        assert body_schema("put", pattern).is_valid(sent), path


# --- true answers ---------------------------------------------------------------------------------------------------


@pytest.fixture
def rina(org: Org) -> User:
    return supervisor_of(org)


def test_answers_are_as_described(org: Org, rina: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from alerts.api import pushes

    monkeypatch.setattr(pushes, "HOPS_WITHIN", 0.0)
    alert = AlertFactory(org=org)
    push = PushFactory(alert=alert)
    run = made_run(org, AgentFactory(org=org), datetime.now(UTC), review_count=1, review_sum=4)
    reviewed(run, 4)
    client = signed_in(rina)
    with scopes_disabled():
        actions.take(alert.pk, rina)
    for path, name in (
        ("/api/alerts", "AlertPage"),
        (f"/api/alerts/{alert.pk}", "AlertDetail"),
        ("/api/orgs", "OrgPage"),
        ("/api/agents", "AgentPage"),
        ("/api/supervisors", "SupervisorPage"),
        ("/api/sources", "SourcePage"),
        ("/api/reach", "AgentReachPage"),
        ("/api/pushes", "PushPage"),
        ("/api/success", "Success"),
        ("/api/runs", "RunPage"),
        (f"/api/runs/{run.run_id}", "Run"),
        ("/api/kpis?group_by=version", "Kpis"),
        (f"/api/agents/{run.agent.name}/versions", "AgentVersions"),
        (f"/api/pushes/{push.pk}", "PushDetail"),
        (f"/api/pushes/{uuid4()}", "Error"),
    ):
        schema_of(name).validate(client.get(path).json())
    schema_of("AssignmentSync").validate(put(with_key(org), "/api/assignments?dry_run=1&allow_empty=1", []).json())
    schema_of("AssignmentSyncRefused").validate(put(with_key(org), "/api/assignments", [{}]).json())
    schema_of("ClientToken").validate(post(with_key(org, "ingest"), "/api/client-tokens").json())
    schema_of("Alert").validate(post(client, f"/api/alerts/{alert.pk}/resolve").json())
    schema_of("AlertConflict").validate(post(client, f"/api/alerts/{alert.pk}/take").json())
    schema_of("PushConflict").validate(post(with_key(org), f"/api/pushes/{push.pk}/replay").json())
    schema_of("PushDetail").validate(post(client, f"/api/supervisors/{rina.sso_id}/test-push").json())


# The whole application behind a real server, asked what the document allows and what it does not.
SERVED = schemathesis.openapi.from_dict(DOCUMENT)
ASKED = SERVED.exclude(operation_id="test_push")
OPERATIONS = {operation.label: operation for operation in (each.ok() for each in ASKED.get_all_operations())}
BOUNDED = hypothesis_settings(
    max_examples=at_most(10, usually=4),  # after each edge of each field
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def served(transactional_db: None, ingest_port: int) -> Iterator[dict[str, Any]]:
    """Where the application listens, and a platform key that may do everything; one org with an alert."""
    org = OrgFactory(external_id="toko-maju")
    PushFactory(alert=AlertFactory(org=org, opened_at=datetime.now(UTC) - timedelta(hours=1)))
    _, key = make_key(SourceFactory(org=None), ("ingest", "read", "act"))
    address = {"base_url": f"http://127.0.0.1:{ingest_port}", "headers": {"Authorization": f"Bearer {key}"}}
    with requests.Session() as session:  # of schemathesis: one connection, and no look for proxies at each request
        session.trust_env = False
        yield {**address, "session": session}


@pytest.mark.parametrize("label", OPERATIONS)
def test_the_running_service_answers_as_described(label: str, served: dict[str, Any]) -> None:
    """A test push waits for its hops: it has tests of its own.

    Its cases are made here: `parametrize()` of schemathesis would make those of all operations in every test process.
    """

    def answers(case: Any) -> None:
        case.call_and_validate(**served, checks=CHECKS)

    build_operation_test(
        config=SERVED.config,
        operation=OPERATIONS[label],
        test_func=BOUNDED(answers),
        given_kwargs={},
        feedback=NO_FEEDBACK,
    )()


# --- who may read it, and how it looks ------------------------------------------------------------------------------


def test_the_document_is_json(client: Client, settings: Any) -> None:
    settings.DEMO = True
    answer = client.get("/api/schema")
    assert answer.status_code == 200
    assert answer.json()["openapi"] == "3.1.0"


def test_in_production_it_is_for_callers_we_know(client: Client, settings: Any, org: Org, rina: User) -> None:
    settings.DEMO = False
    assert client.get("/api/schema").status_code == 401
    assert client.get("/api/schema").json()["error"]["code"] == "unauthenticated"
    assert client.get("/api/docs").headers["Location"] == "/accounts/login/?next=/api/docs"
    assert with_key(org, "read").get("/api/schema").status_code == 200
    assert signed_in(rina).get("/api/docs").status_code == 200


def test_the_page_needs_nothing_inline_and_nobody_outside(client: Client, settings: Any) -> None:
    settings.DEMO = True
    answer = client.get("/api/docs")
    html = answer.content.decode()
    assert "<style" not in html
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    script = client.get("/api/docs?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert '"validatorUrl": null' in script.content.decode()
