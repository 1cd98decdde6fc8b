"""What operations are made of: parameters, bodies, refusals."""

import re
from collections.abc import Mapping
from typing import Any

from alerts.models import Alert
from console.openapi.structs import TEXT, TIME, JsonSchema, array, enum, ref
from orgs.incoming import Field
from orgs.models import Severity
from orgs.paging import LIMIT, MOST
from orgs.signals import SIGNALS

Operation = tuple[str, str, dict[str, Any]]  # path, method, what OpenAPI says of it
Answers = Mapping[int, tuple[str, str]]  # status -> what it means, and the name of its schema

REFUSALS = {
    400: "The body or the address cannot be read: `not_json`, `too_deep`, `duplicate_key`, `bad_gzip`, `not_items`, "
    "`unknown_field`, `bad_text`.",
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
READS, WRITES, LANE = (400, 404, 406, 422), (400, 404, 406, 408, 413, 415, 422, 429), (400, 408, 413, 415, 429)
RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}


def responses() -> dict[str, JsonSchema]:
    """The refusals, as components."""
    headers = {status: {"headers": RETRY_AFTER} for status in (429, 503)}
    return {
        f"Error{status}": {"description": text, "content": json_content(schema=ref("Error"))} | headers.get(status, {})
        for status, text in REFUSALS.items()
    }


def json_content(**content: Any) -> JsonSchema:
    return {"application/json": content}


# --- parameters and bodies -------------------------------------------------------------------------------------------


def in_query(name: str, schema: JsonSchema, description: str = "") -> JsonSchema:
    described = {"description": description} if description else {}
    listed = {"style": "form", "explode": False} if schema.get("type") == "array" else {}
    return {"name": name, "in": "query", "schema": schema, **listed, **described}


def choices_in_query(name: str, values: list[str]) -> JsonSchema:
    return in_query(name, array(enum(values)), "Several: separated by commas, or given again.")


def flag_in_query(name: str, description: str) -> JsonSchema:
    return in_query(name, {**enum(["0", "1"]), "default": "0"}, description)


def in_path(name: str) -> JsonSchema:
    texts = {"sso_id": TEXT, "agent_name": TEXT, "endpoint": {**TEXT, "description": "`public_id.token`"}}
    schema = texts.get(name, {"type": "string", "format": "uuid"})
    return {"name": name, "in": "path", "required": True, "schema": schema}


def object_of(fields: Mapping[str, Field], **more: JsonSchema) -> JsonSchema:
    """The object that `check_fields` takes; `more` of some fields."""
    properties: dict[str, JsonSchema] = {}
    for name, field in fields.items():
        kind = "integer" if field.number else "boolean" if field.flag else "string"
        limit = TIME if field.time else {} if field.number or field.flag else {"maxLength": field.longest}
        typed = {"type": kind if field.required else [kind, "null"]}
        properties[name] = {**limit, **typed, **more.get(name, {})}
    required = [name for name, field in fields.items() if field.required]
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return made | ({"required": required} if required else {})


def json_body(schema: JsonSchema, example: Any) -> JsonSchema:
    required = bool(schema.get("required") or "oneOf" in schema)
    return {"required": required, "content": json_content(schema=schema, example=example)}


NOTHING = json_body(object_of({}), {})
ORG = in_query("org_id", TEXT, "One org; a foreign one is the same 404 as an unknown one.")
PAGING = (
    in_query("cursor", TEXT, "From `next` or `previous`."),
    in_query("limit", {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}),
)
ALERT_FILTERS = (
    choices_in_query("state", Alert.State.values),
    choices_in_query("severity", Severity.values),
    choices_in_query("signal", list(SIGNALS)),
    in_query("agent", TEXT, "The agent's name."),
    ORG,
    in_query("room_id", TEXT),
    in_query("opened_after", TIME),
)
GZIP = {"name": "Content-Encoding", "in": "header", "schema": enum(["gzip", "identity"])}
SENT = (
    {
        "name": "X-Items-Sent",
        "in": "header",
        "schema": {"type": "integer", "minimum": 0},
        "description": "How many items this process sent so far, these included: what is lost on the way then shows.",
    },
    {
        "name": "X-Client-Id",
        "in": "header",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "description": "A random name of this process, so that the counts of several are not mixed up.",
    },
)
SIGNATURE = tuple(
    {"name": name, "in": "header", "required": True, "schema": TEXT, "description": "Standard Webhooks."}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
)

# --- operations ------------------------------------------------------------------------------------------------------


def make_operation(
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
    if parameters := (*[in_path(name) for name in re.findall(r"{(\w+)}", path)], *parameters):
        made["parameters"] = list(parameters)
    made["responses"] = {
        str(status): {"description": text, "content": json_content(schema=ref(schema))}
        for status, (text, schema) in answers.items()
    } | {str(s): {"$ref": f"#/components/responses/Error{s}"} for s in sorted({*ALWAYS, *refusals} - set(answers))}
    return path, method, made


def list_operation(name: str, path: str, summary: str, tag: str, *parameters: JsonSchema) -> Operation:
    answers = {200: ("One page.", f"{name}Page")}
    named = f"list_{path.rpartition('/')[2]}"
    return make_operation("get", path, named, summary, tag, answers, READS, (*parameters, *PAGING))


def read_operation(name: str, path: str, summary: str, tag: str) -> Operation:
    return make_operation("get", path, f"get_{name.lower()}", summary, tag, {200: ("It.", f"{name}Detail")}, READS)


def post_operation(
    path: str,
    name: str,
    summary: str,
    tag: str,
    answers: Answers,
    body: JsonSchema,
    *parameters: JsonSchema,
    **more: Any,
) -> Operation:
    return make_operation("post", path, name, summary, tag, answers, WRITES, parameters, requestBody=body, **more)


WHO, UNTIL = {"sso_id": "rina"}, {"until": "2026-05-04T10:30:00+07:00"}
