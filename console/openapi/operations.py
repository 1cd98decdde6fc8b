"""Every operation of the document, path by path."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.api.acts import ACTS
from alerts.models import Alert, Push
from console.openapi.items import body_of
from console.openapi.structs import TEXT, TIME, JsonSchema, array, enum, ref
from orgs.assignments_api import FIELDS as OF_ASSIGNMENT
from orgs.incoming import Field
from orgs.models import LOCALES, NAME, Severity
from orgs.paging import LIMIT, MOST
from orgs.plan import LARGEST_TIER, MOST_ROWS
from orgs.signals import SIGNALS

Operation = tuple[str, str, dict[str, Any]]  # path, method, what OpenAPI says of it
Answers = Mapping[int, tuple[str, str]]  # status -> what it means, and the name of its schema

REFUSALS = {
    400: "The body cannot be read: `not_json`, `too_deep`, `duplicate_key`, `bad_gzip`, `not_items`, `unknown_field`.",
    401: "No, an unknown, an expired or a revoked key, and no session: `unauthenticated`.",
    403: "The key has not the scope, or you may not: `missing_scope`, `permission_denied`.",
    404: "There is no such thing, or it belongs to another org: the same answer, byte for byte.",
    405: "Another method: `method_not_allowed`.",
    406: "Only application/json is answered: `not_acceptable`.",
    408: "The body did not arrive in time: `too_slow`.",
    413: "`too_large`, `too_many_items`.",
    415: "Not application/json in UTF-8: `unsupported_type`.",
    422: "`field` names what is wrong: `missing_field`, `unknown_field`, `invalid_field`, `unknown_parameter`, "
    "`invalid_parameter`, `too_long`, `bad_text`, `unknown_person`.",
    429: "More requests, or more at once, than this sender may send: `rate_limited`, `too_much_at_once`.",
    503: "Overloaded, or the database is away; nothing was stored: `overloaded`, `unavailable`.",
}
ALWAYS = (401, 403, 405, 503)
READS, WRITES, LANE = (404, 406, 422), (400, 404, 406, 408, 413, 415, 422, 429), (400, 408, 413, 415, 429)
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def responses() -> dict[str, JsonSchema]:
    """The refusals, as components."""
    headers = {status: {"headers": RETRY_AFTER} for status in (429, 503)}
    return {
        f"Error{status}": {"description": text, "content": _json(schema=ref("Error"))} | headers.get(status, {})
        for status, text in REFUSALS.items()
    }


def _json(**content: Any) -> JsonSchema:
    return {"application/json": content}


# --- parameters and bodies -------------------------------------------------------------------------------------------


def _query(name: str, schema: JsonSchema, description: str = "") -> JsonSchema:
    described = {"description": description} if description else {}
    listed = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return {"name": name, "in": "query", "schema": schema, **listed, **described}


def _some(name: str, values: list[str]) -> JsonSchema:
    return _query(name, array(enum(values)), "Several: separated by commas, or given again.")


def _flag(name: str, description: str) -> JsonSchema:
    return _query(name, {**enum(["0", "1"]), "default": "0"}, description)


def _in_path(name: str) -> JsonSchema:
    texts = {"sso_id": TEXT, "endpoint": {**TEXT, "description": "`public_id.token`"}}
    schema = texts.get(name, {"type": "string", "format": "uuid"})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _fields(fields: Mapping[str, Field], **more: JsonSchema) -> JsonSchema:
    """The object that `check_fields` takes; `more` of some fields."""
    properties: dict[str, JsonSchema] = {}
    for name, field in fields.items():
        kind = "integer" if field.number else "string"
        limit = TIME if field.time else {} if field.number else {"maxLength": field.longest}
        typed = {"type": kind if field.required else [kind, "null"]}
        properties[name] = {**limit, **typed, **more.get(name, {})}
    required = [name for name, field in fields.items() if field.required]
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": required} if required else {})


def _body(schema: JsonSchema, example: Any) -> JsonSchema:
    required = bool(schema.get("required") or "oneOf" in schema)
    return {"required": required, "content": _json(schema=schema, example=example)}


NOTHING = _body(_fields({}), {})
ORG = _query("org_id", TEXT, "One org; a foreign one is the same 404 as an unknown one.")
PAGING = (
    _query("cursor", TEXT, "From `next` or `previous`."),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}),
)
ALERT_FILTERS = (
    _some("state", Alert.State.values),
    _some("severity", Severity.values),
    _some("signal", list(SIGNALS)),
    _query("agent", TEXT, "The agent's name."),
    ORG,
    _query("room_id", TEXT),
    _query("opened_after", TIME),
)
GZIP = {"name": "Content-Encoding", "in": "header", "schema": enum(["gzip", "identity"])}
SIGNATURE = tuple(
    {"name": name, "in": "header", "required": True, "schema": TEXT, "description": "Standard Webhooks."}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
)

# --- operations ------------------------------------------------------------------------------------------------------


def _operation(
    method: str,
    path: str,
    name: str,
    summary: str,
    tag: str,
    answers: Answers,
    refusals: tuple[int, ...],
    parameters: tuple[JsonSchema, ...] = (),
    **more: Any,
) -> Operation:
    """`more`: `description`, `requestBody`, `security`."""
    made: dict[str, Any] = {"operationId": name, "summary": summary, "tags": [tag], **more}
    if parameters := (*[_in_path(name) for name in re.findall(r"{(\w+)}", path)], *parameters):
        made["parameters"] = list(parameters)
    made["responses"] = {
        str(status): {"description": text, "content": _json(schema=ref(schema))}
        for status, (text, schema) in answers.items()
    } | {str(s): {"$ref": f"#/components/responses/Error{s}"} for s in sorted({*ALWAYS, *refusals} - set(answers))}
    return path, method, made


def _list(name: str, path: str, summary: str, tag: str, *parameters: JsonSchema) -> Operation:
    answers = {200: ("One page.", f"{name}Page")}
    named = f"list_{path.rpartition('/')[2]}"
    return _operation("get", path, named, summary, tag, answers, READS, (*parameters, *PAGING))


def _one(name: str, path: str, summary: str, tag: str) -> Operation:
    return _operation("get", path, f"get_{name.lower()}", summary, tag, {200: ("It.", f"{name}Detail")}, READS)


def _post(
    path: str,
    name: str,
    summary: str,
    tag: str,
    answers: Answers,
    body: JsonSchema,
    *parameters: JsonSchema,
    **more: str,
) -> Operation:
    return _operation("post", path, name, summary, tag, answers, WRITES, parameters, requestBody=body, **more)


WHO, UNTIL = {"sso_id": "rina"}, {"until": "2026-05-04T10:30:00+07:00"}
SUMMARIES: dict[str, tuple[str, Any]] = {  # and an example of the body
    "acknowledge": ("I have seen it: repeats stop until it expires", WHO),
    "take": ("Acknowledge, and assign it to me", WHO),
    "release": ("Nobody has it any more; open again. Within 10 min of what the same person did: its undo", WHO),
    "resolve": ("It is over", WHO),
    "reopen": ("It is not over. Within 10 min, by who resolved it: an undo, clocks go on; else they start anew", WHO),
    "snooze": ("Hold repeats until a time in the next 24 hours; worsening breaks it", UNTIL),
    "assign": ("Give it to another person", {"sso_id": "dewi"}),
    "verdict": ("Say whether it was a real failure", {"verdict": "false_alarm", "note": "The customer was joking."}),
}


def _act(verb: str) -> Operation:
    summary, example = SUMMARIES[verb]
    fields = ACTS[verb].fields
    human = {} if fields["sso_id"].required else {"description": "With a key: the human who acts. Required then."}
    body = _body(_fields(fields, sso_id=human, verdict=enum(Alert.Verdict.values)), example)
    answers = {200: ("The alert as it is now.", "Alert"), 409: ("Somebody was faster.", "AlertConflict")}
    return _post(f"/api/alerts/{{alert_id}}/{verb}", verb, summary, "Acting", answers, body)


def _success() -> Operation:
    day_or_time = {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}
    starts = "Inclusive; a day in each org's own zone, or an instant. Else 30 days ago."
    ends = "Exclusive; at most 366 days after `from`. Else now."
    parameters = (ORG, _query("from", day_or_time, starts), _query("to", day_or_time, ends))
    summary, answers = "The success figures of all your orgs together, and of each", {200: ("The figures.", "Success")}
    return _operation("get", "/api/success", "success", summary, "Reading", answers, READS, parameters)


def _sync() -> Operation:
    text = {"minLength": 1, "maxLength": NAME}
    optional = {"maxLength": NAME, "description": "Not given: what is there stays."}
    item = _fields(
        OF_ASSIGNMENT,
        role=text,
        sso_id=text,
        tier={"minimum": 1, "maximum": LARGEST_TIER},
        **dict.fromkeys(("external_user_id", "name"), optional),
    )
    item["properties"]["locale"] = {"enum": [*dict(LOCALES), "", None]}
    many = {**array(item), "maxItems": MOST_ROWS}
    wrapped = {**_fields({"assignments": Field(required=True)}), "properties": {"assignments": many}}
    example = {"role": "Shift lead", "tier": 1, "sso_id": "rina", "external_user_id": "8812", "name": "Rina Wulandari"}
    refused = "Refused: `missing_field`, `invalid_field`, `empty_list`, ..."
    return _operation(
        "put",
        "/api/assignments",
        "sync_assignments",
        "Say the whole list of an org's assignments",
        "Set-up",
        {200: ("What it did.", "AssignmentSync"), 422: (refused, "AssignmentSyncRefused")},
        WRITES,
        (
            _query("org_id", TEXT, "Whose list it is; the key of an org may leave it out."),
            _flag("dry_run", "1: say what would happen, write nothing."),
            _flag("allow_empty", "1: an empty list is meant."),
        ),
        description="All items or none; what the list does not name is removed, but no role and no person. "
        "At most 5,000 items, 2 MiB. Which agents a role backs up is not touched. For keys with scope `act`, "
        "specialists and leads of the org. Whoever speaks for one org cannot rename people of others; somebody who "
        "is known and has no role in it is `pending` until a specialist or the person says yes.",
        requestBody=_body({"oneOf": [wrapped, many]}, {"assignments": [example]}),
    )


def _write(
    name: str,
    path: str,
    summary: str,
    examples: dict[str, Any],
    *parameters: JsonSchema,
    limit: str = "2 MiB after decompression",
    **more: Any,
) -> Operation:
    answers = {
        200: ("One object: a duplicate, or it updated what is there.", "ItemResult"),
        201: ("One object: created.", "ItemResult"),
        207: ("An array: a status per item.", "BatchResult"),
        409: ("One object: the same id with another payload; the original is kept.", "ItemResult"),
        422: ("One object: `invalid`.", "ItemResult"),
    }
    description = (
        f'One object, an array, or `{{"items": [...]}}`: at most 1,000 items, {limit}. A 2xx '
        "is sent after the items are stored, never before."
    )
    named = "write_" + path.rpartition("/")[2].replace("-", "_")
    more["requestBody"] = {"required": True, "content": _json(schema=body_of(name), examples=examples[name])}
    more["description"] = description
    return _operation("post", path, named, summary, "Writing", answers, LANE, (GZIP, *parameters), **more)


def _webhook() -> Operation:
    """What a chat product posts is its own; only the answer is ours."""
    any_object = {"type": "object", "additionalProperties": True}
    return _operation(
        "post",
        "/api/webhooks/qontak/{endpoint}",
        "receive_qontak",
        "What Qontak's message interaction webhook posts",
        "Writing",
        {200: ("Stored, whatever it says; then worked.", "Delivery")},
        (408, 413, 429),
        (GZIP,),
        description="The address is made by `webhook create` or on the page of sources, its last part the secret. "
        "At most 256 KiB. 401: no such address, or a newer one took its place. 403: not an allowed address.",
        requestBody={"required": True, "content": _json(schema=any_object)},
        security=[{}],
    )


def operations(examples: dict[str, Any]) -> list[Operation]:
    """(path, method, operation), in the order people read them."""
    replayed = {200: ("The push as it is now.", "PushDetail"), 409: ("It is not dead.", "PushConflict")}
    far = "How far it came in 5 s (if many ask: at once); GET /api/pushes/{id} tells the rest."
    tested = {200: (far, "PushDetail")}
    org = _body(_fields({"org_id": Field()}, org_id={"description": "Where the person has several orgs."}), {})
    return [
        _write("FailureEvent", "/api/failure-events", "Tell of failures of an agent", examples),
        _write("RoomActivity", "/api/room-activity", "Tell what happens in a room", examples),
        _write(
            "PushReceipt",
            "/api/push-receipts",
            "Tell what became of a push (notification-service)",
            examples,
            *SIGNATURE,
            limit="64 KiB, not packed",
            security=[{}],
        ),
        _webhook(),
        _list("Alert", "/api/alerts", "Alerts, newest activity first", "Reading", *ALERT_FILTERS),
        _one("Alert", "/api/alerts/{alert_id}", "One alert and everything that happened to it", "Reading"),
        _list("Org", "/api/orgs", "Orgs", "Reading"),
        _list("Agent", "/api/agents", "Agents", "Reading", ORG),
        _list("Supervisor", "/api/supervisors", "Supervisors and their roles", "Reading", ORG),
        _list("Source", "/api/sources", "Sources: last heard, rate, lag, what was refused", "Reading", ORG),
        _list("AgentReach", "/api/reach", "Production agents, and who of their supervisors is reached", "Reading", ORG),
        _success(),
        *[_act(verb) for verb in SUMMARIES],
        _list("Push", "/api/pushes", "Pushes, newest first", "Pushes", _some("state", Push.State.values), ORG),
        _one("Push", "/api/pushes/{push_id}", "One push with its hops", "Pushes"),
        _post("/api/pushes/{push_id}/replay", "replay", "Send a dead push once more", "Pushes", replayed, NOTHING),
        _post(
            "/api/supervisors/{sso_id}/test-push",
            "test_push",
            "Send a test push and see each hop",
            "Pushes",
            tested,
            org,
        ),
        _sync(),
        _post(
            "/api/people/{sso_id}/confirm",
            "confirm_person",
            "Say that somebody whom an org named may take its roles",
            "Set-up",
            {200: ("They are told and shown what the roles say.", "PersonConfirmed")},
            NOTHING,
            _query("org_id", TEXT, "The org that named them; required."),
            description="For specialists who are signed in. 404: this org did not name this person.",
        ),
    ]
