"""Every operation of the document, path by path."""

from typing import Any

from alerts.models import Alert, Push, Signal
from console.openapi.items import body_of
from console.openapi.shapes import TEXT, TIME, JsonSchema, array, enum, ref
from orgs.models import LOCALES, NAME, Severity
from orgs.paging import LIMIT, MOST
from orgs.plan import LARGEST_TIER, MOST_ROWS
from orgs.texts import NAME_LENGTH as STRING
from orgs.texts import TEXT_LENGTH as LONG

Operation = dict[str, Any]

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
    return {
        f"Error{status}": {
            "description": text,
            "content": {"application/json": {"schema": ref("Error")}},
        }
        | ({"headers": RETRY_AFTER} if status in (429, 503) else {})
        for status, text in REFUSALS.items()
    }


def _operation(
    name: str,
    summary: str,
    tag: str,
    answers: dict[int, tuple[str, str]],
    refusals: tuple[int, ...],
    *,
    description: str = "",
    parameters: tuple[JsonSchema, ...] = (),
    body: JsonSchema | None = None,
    security: list[dict[str, list[str]]] | None = None,
) -> Operation:
    made: Operation = {"operationId": name, "summary": summary, "tags": [tag]}
    if description:
        made["description"] = description
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = body
    if security is not None:
        made["security"] = security
    made["responses"] = {
        str(status): {"description": text, "content": {"application/json": {"schema": ref(schema)}}}
        for status, (text, schema) in answers.items()
    } | {str(s): {"$ref": f"#/components/responses/Error{s}"} for s in sorted({*ALWAYS, *refusals} - set(answers))}
    return made


# --- parameters ------------------------------------------------------------------------------------------------------


def _query(name: str, schema: JsonSchema, description: str = "") -> JsonSchema:
    made: JsonSchema = {"name": name, "in": "query", "schema": schema}
    if schema.get("type") == "array":
        made |= {"style": "form", "explode": False}
    return made | ({"description": description} if description else {})


def _path(name: str, schema: JsonSchema) -> JsonSchema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


ID: JsonSchema = {"type": "string", "format": "uuid"}
PAGING = (
    _query("cursor", TEXT, "From `next` or `previous`."),
    _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}),
)
ORG = _query("org_id", TEXT, "One org; a foreign one is the same 404 as an unknown one.")


def _some(name: str, values: list[str]) -> JsonSchema:
    return _query(name, array(enum(values)), "Several: separated by commas, or given again.")


ALERT_FILTERS = (
    _some("state", Alert.State.values),
    _some("severity", Severity.values),
    _some("signal", Signal.values),
    _query("agent", TEXT, "The agent's name."),
    ORG,
    _query("room_id", TEXT),
    _query("opened_after", TIME),
)

# --- reading and acting ----------------------------------------------------------------------------------------------


def _list(name: str, path: str, summary: str, tag: str, *parameters: JsonSchema) -> tuple[str, str, Operation]:
    answers = {200: ("One page.", f"{name}Page")}
    return (
        path,
        "get",
        _operation(f"list_{path.rpartition('/')[2]}", summary, tag, answers, READS, parameters=(*parameters, *PAGING)),
    )


def _one(name: str, path: str, summary: str, tag: str, parameter: str) -> tuple[str, str, Operation]:
    answers = {200: ("It.", f"{name}Detail")}
    return (
        path,
        "get",
        _operation(f"get_{name.lower()}", summary, tag, answers, READS, parameters=(_path(parameter, ID),)),
    )


def _fields(required: tuple[str, ...] = (), **fields: JsonSchema) -> JsonSchema:
    schema = {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}
    return schema if required else {key: value for key, value in schema.items() if key != "required"}


def _body(schema: JsonSchema, example: Any, required: bool = False) -> JsonSchema:
    return {"required": required, "content": {"application/json": {"schema": schema, "example": example}}}


HUMAN = {
    "type": ["string", "null"],
    "maxLength": STRING,
    "description": "With a key: the human who acts. Required then.",
}
HUMAN_ONLY = _body(_fields(sso_id=HUMAN), {"sso_id": "rina"})
ACTS: dict[str, tuple[str, JsonSchema]] = {
    "acknowledge": ("I have seen it: repeats stop until it expires", HUMAN_ONLY),
    "take": ("Acknowledge, and assign it to me", HUMAN_ONLY),
    "release": ("Nobody has it any more; open again. Within 10 min of what the same person did: its undo", HUMAN_ONLY),
    "resolve": ("It is over", HUMAN_ONLY),
    "reopen": (
        "It is not over. Within 10 min, by who resolved it: an undo, clocks go on; else they start anew",
        HUMAN_ONLY,
    ),
    "snooze": (
        "Hold repeats until a time in the next 24 hours; worsening breaks it",
        _body(_fields(("until",), until=TIME, sso_id=HUMAN), {"until": "2026-05-04T10:30:00+07:00"}, True),
    ),
    "assign": (
        "Give it to another person",
        _body(_fields(("sso_id",), sso_id={**TEXT, "maxLength": STRING}), {"sso_id": "dewi"}, True),
    ),
    "verdict": (
        "Say whether it was a real failure",
        _body(
            _fields(
                ("verdict",),
                verdict=enum(Alert.Verdict.values),
                note={"type": ["string", "null"], "maxLength": LONG},
                sso_id=HUMAN,
            ),
            {"verdict": "false_alarm", "note": "The customer was joking."},
            True,
        ),
    ),
}


def _act(verb: str) -> tuple[str, str, Operation]:
    summary, body = ACTS[verb]
    answers = {200: ("The alert as it is now.", "Alert"), 409: ("Somebody was faster.", "AlertConflict")}
    return (
        f"/api/alerts/{{alert_id}}/{verb}",
        "post",
        _operation(verb, summary, "Acting", answers, WRITES, parameters=(_path("alert_id", ID),), body=body),
    )


def _success() -> tuple[str, str, Operation]:
    day_or_time = {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}
    return (
        "/api/success",
        "get",
        _operation(
            "success",
            "The success figures of all your orgs together, and of each",
            "Reading",
            {200: ("The figures.", "Success")},
            READS,
            parameters=(
                ORG,
                _query(
                    "from", day_or_time, "Inclusive; a day in each org's own zone, or an instant. Else 30 days ago."
                ),
                _query("to", day_or_time, "Exclusive; at most 366 days after `from`. Else now."),
            ),
        ),
    )


def _replay() -> tuple[str, str, Operation]:
    answers = {200: ("The push as it is now.", "PushDetail"), 409: ("It is not dead.", "PushConflict")}
    return (
        "/api/pushes/{push_id}/replay",
        "post",
        _operation(
            "replay",
            "Send a dead push once more",
            "Pushes",
            answers,
            WRITES,
            parameters=(_path("push_id", ID),),
            body=_body(_fields(), {}),
        ),
    )


def _test_push() -> tuple[str, str, Operation]:
    org = {"type": ["string", "null"], "maxLength": STRING, "description": "Where the person has several orgs."}
    return (
        "/api/supervisors/{sso_id}/test-push",
        "post",
        _operation(
            "test_push",
            "Send a test push and see each hop",
            "Pushes",
            {
                200: (
                    "How far it came in 5 s (if many ask: at once); GET /api/pushes/{id} tells the rest.",
                    "PushDetail",
                )
            },
            WRITES,
            parameters=(_path("sso_id", TEXT),),
            body=_body(_fields(org_id=org), {}),
        ),
    )


def _flag(name: str, description: str) -> JsonSchema:
    return _query(name, {**enum(["0", "1"]), "default": "0"}, description)


def _sync() -> tuple[str, str, Operation]:
    text = {"type": "string", "maxLength": NAME}
    optional = {"type": ["string", "null"], "maxLength": NAME, "description": "Not given: what is there stays."}
    item = _fields(
        ("role", "tier", "sso_id"),
        role={**text, "minLength": 1},
        tier={"type": "integer", "minimum": 1, "maximum": LARGEST_TIER},
        sso_id={**text, "minLength": 1},
        external_user_id=optional,
        name=optional,
        locale={"enum": [*dict(LOCALES), "", None]},
    )
    many = {**array(item), "maxItems": MOST_ROWS}
    wrapped = _fields(("assignments",), assignments=many)
    example = {"role": "Shift lead", "tier": 1, "sso_id": "rina", "external_user_id": "8812", "name": "Rina Wulandari"}
    return (
        "/api/assignments",
        "put",
        _operation(
            "sync_assignments",
            "Say the whole list of an org's assignments",
            "Set-up",
            {
                200: ("What it did.", "AssignmentSync"),
                422: (
                    "Refused: `missing_field`, `invalid_field`, `empty_list`, ...",
                    "AssignmentSyncRefused",
                ),
            },
            WRITES,
            description="All items or none; what the list does not name is removed, but no role and no person. "
            "At most 5,000 items, 2 MiB. Which agents a role backs up is not touched. For keys with scope `act`, "
            "specialists and leads of the org. Whoever speaks for one org cannot rename people of others; somebody who "
            "is known and has no role in it is `pending` until a specialist or the person says yes.",
            parameters=(
                _query("org_id", TEXT, "Whose list it is; the key of an org may leave it out."),
                _flag("dry_run", "1: say what would happen, write nothing."),
                _flag("allow_empty", "1: an empty list is meant."),
            ),
            body=_body({"oneOf": [wrapped, many]}, {"assignments": [example]}, True),
        ),
    )


def _confirm_person() -> tuple[str, str, Operation]:
    return (
        "/api/people/{sso_id}/confirm",
        "post",
        _operation(
            "confirm_person",
            "Say that somebody whom an org named may take its roles",
            "Set-up",
            {200: ("They are told and shown what the roles say.", "PersonConfirmed")},
            WRITES,
            description="For specialists who are signed in. 404: this org did not name this person.",
            parameters=(_path("sso_id", TEXT), _query("org_id", TEXT, "The org that named them; required.")),
            body=_body(_fields(), {}),
        ),
    )


# --- the lane --------------------------------------------------------------------------------------------------------

SIGNATURE = tuple(
    {"name": name, "in": "header", "required": True, "schema": TEXT, "description": "Standard Webhooks."}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
)
GZIP = {"name": "Content-Encoding", "in": "header", "schema": enum(["gzip", "identity"])}


def _write(name: str, path: str, summary: str, examples: dict[str, Any], **more: Any) -> tuple[str, str, Operation]:
    answers = {
        200: ("One object: a duplicate, or it updated what is there.", "ItemResult"),
        201: ("One object: created.", "ItemResult"),
        207: ("An array: a status per item.", "BatchResult"),
        409: ("One object: the same id with another payload; the original is kept.", "ItemResult"),
        422: ("One object: `invalid`.", "ItemResult"),
    }
    content = {"application/json": {"schema": body_of(name), "examples": examples[name]}}
    limit = more.pop("limit", "2 MiB after decompression")
    description = f'One object, an array, or `{{"items": [...]}}`: at most 1,000 items, {limit}. A 2xx '
    return (
        path,
        "post",
        _operation(
            f"write_{path.rpartition('/')[2].replace('-', '_')}",
            summary,
            "Writing",
            answers,
            LANE,
            description=description + "is sent after the items are stored, never before.",
            parameters=(GZIP, *more.pop("parameters", ())),
            body={"required": True, "content": content},
            **more,
        ),
    )


def _webhook() -> tuple[str, str, Operation]:
    """What a chat product posts is its own; only the answer is ours."""
    any_object = {"application/json": {"schema": {"type": "object", "additionalProperties": True}}}
    return (
        "/api/webhooks/qontak/{endpoint}",
        "post",
        _operation(
            "receive_qontak",
            "What Qontak's message interaction webhook posts",
            "Writing",
            {200: ("Stored, whatever it says; then worked.", "Delivery")},
            (408, 413, 429),
            description="The address is made by `webhook create` or on the page of sources, its last part the secret. "
            "At most 256 KiB. "
            "401: no such address, or a newer one took its place. 403: not an allowed address.",
            parameters=(GZIP, _path("endpoint", {**TEXT, "description": "`public_id.token`"})),
            body={"required": True, "content": any_object},
            security=[{}],
        ),
    )


def operations(examples: dict[str, Any]) -> list[tuple[str, str, Operation]]:
    """(path, method, operation), in the order people read them."""
    return [
        _write("FailureEvent", "/api/failure-events", "Tell of failures of an agent", examples),
        _write("RoomActivity", "/api/room-activity", "Tell what happens in a room", examples),
        _write(
            "PushReceipt",
            "/api/push-receipts",
            "Tell what became of a push (notification-service)",
            examples,
            limit="64 KiB, not packed",
            parameters=SIGNATURE,
            security=[{}],
        ),
        _webhook(),
        _list("Alert", "/api/alerts", "Alerts, newest activity first", "Reading", *ALERT_FILTERS),
        _one("Alert", "/api/alerts/{alert_id}", "One alert and everything that happened to it", "Reading", "alert_id"),
        _list("Org", "/api/orgs", "Orgs", "Reading"),
        _list("Agent", "/api/agents", "Agents", "Reading", ORG),
        _list("Supervisor", "/api/supervisors", "Supervisors and their roles", "Reading", ORG),
        _list("Source", "/api/sources", "Sources: last heard, rate, lag, what was refused", "Reading", ORG),
        _list("AgentReach", "/api/reach", "Production agents, and who of their supervisors is reached", "Reading", ORG),
        _success(),
        *[_act(verb) for verb in ACTS],
        _list("Push", "/api/pushes", "Pushes, newest first", "Pushes", _some("state", Push.State.values), ORG),
        _one("Push", "/api/pushes/{push_id}", "One push with its hops", "Pushes", "push_id"),
        _replay(),
        _test_push(),
        _sync(),
        _confirm_person(),
    ]
