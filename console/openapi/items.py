"""The schemas of what a sender writes, from the lane's structs and limits, and of what the lane answers."""

from collections.abc import Mapping
from typing import Any

import msgspec

from alerts.items import ActivityItem, EventItem, Holds, ReceiptItem
from console.ingest import check, fields
from console.ingest.decode import ITEM_LIMIT
from console.openapi.shapes import COUNT, ERROR, TEXT_OR_NULL, TIME, JsonSchema, array, enum, record, ref

NAMES = {"EventItem": "FailureEvent", "ActivityItem": "RoomActivity", "ReceiptItem": "PushReceipt"}
FROM_0_TO_1 = {"minimum": 0, "maximum": 1}
FROM_0 = {"minimum": 0, "maximum": check.COUNT - 1}
LIMITS: dict[str, JsonSchema] = {
    "confidence": FROM_0_TO_1,
    "threshold": FROM_0_TO_1,
    "message_count": FROM_0,
    "message_cap": FROM_0,
    "occurred_at": TIME,
    "at": TIME,
    "customer_waiting_since": {"format": "date-time"},
    "metadata": {"description": f"At most {fields.METADATA // 1024} KiB of JSON are kept; a secret is replaced."},
}
KEPT = {
    "token": "Kept as sent. A whole number is taken as text.",
    "identifier": "Blanks around it are dropped, a UUID is lower case, hidden characters are refused."
    " A whole number is taken as text.",
    "text": "A text: masked, cleaned, and cut after {longest} characters; it never costs the item.",
    "link": "Left out if it is longer than {longest} characters or holds personal data.",
}


def item_schemas() -> dict[str, JsonSchema]:
    """FailureEvent, RoomActivity, PushReceipt and what they hold."""
    _, found = msgspec.json.schema_components(
        [EventItem, ActivityItem, ReceiptItem], ref_template="#/components/schemas/{name}"
    )
    held = {struct.__name__: strings for struct, strings in fields.FIELDS.items()}
    schemas = {NAMES.get(name, name): _item(schema, held[name]) for name, schema in found.items()}
    needs = [
        {
            "if": {"properties": {"signal": {"const": signal}}, "required": ["signal"]},
            "then": {"required": list(fields), "properties": {name: {"not": {"type": "null"}} for name in fields}},
        }
        for signal, fields in check.NEEDS.items()
        if fields
    ]
    schemas["FailureEvent"]["allOf"] = needs
    schemas["FailureEvent"]["description"] = "One report of a signal. What each signal needs is in `allOf`."
    return schemas


def _item(schema: JsonSchema, held: Mapping[str, Any]) -> JsonSchema:
    required = schema["required"]
    made = {name: _field(name, field, held[name], name in required) for name, field in schema["properties"].items()}
    kept = {key: value for key, value in schema.items() if key != "title"}
    return kept | {"properties": made}


def _field(name: str, field: JsonSchema, holds: Any, required: bool) -> JsonSchema:
    options = [option for option in field.get("anyOf", [field]) if option != {"type": "null"}]
    made: JsonSchema = dict(options[0])
    if "$ref" in made:
        return {"oneOf": [made, {"type": "null"}]}
    if isinstance(holds, Holds):
        made |= _string(holds) | ({"minLength": 1} if required else {})
    made |= LIMITS.get(name, {})
    if not required and "type" in made:
        made["type"] = [*(made["type"] if isinstance(made["type"], list) else [made["type"]]), "null"]
    return made


def _string(holds: Holds) -> JsonSchema:
    described = {"description": KEPT[holds.what].format(longest=holds.longest)}
    if holds.what in ("text", "link"):
        return described
    return described | {"type": ["string", "integer"], "maxLength": holds.longest}


def body_of(name: str) -> JsonSchema:
    """One item, an array of them, or {"items": [...]}."""
    many = {**array(ref(name)), "maxItems": ITEM_LIMIT}
    wrapped = {"type": "object", "properties": {"items": many}, "required": ["items"], "additionalProperties": False}
    return {"oneOf": [ref(name), many, wrapped]}


def _result(description: str, *statuses: str, index: bool = True) -> JsonSchema:
    error = {"type": "object", "description": ERROR["description"], "properties": ERROR["properties"]}
    made = record(description, index=COUNT, id=TEXT_OR_NULL, status=enum(list(statuses)), error=error)
    made["required"] = ["index", "id", "status"]
    return made


STATUSES = ("created", "updated", "duplicate", "conflict", "invalid")
RESULTS: dict[str, JsonSchema] = {
    "ItemResult": _result("What became of one item.", *STATUSES),
    "BatchResult": record(
        "What became of each item, in the order sent, and how many of each.",
        results=array(ref("ItemResult")),
        **dict.fromkeys(STATUSES, COUNT),
    ),
}


def examples(now: str) -> dict[str, dict[str, Any]]:
    """Per item kind, bodies that can be sent as they are; `now` is an RFC 3339 time."""
    event = {
        "event_id": "evt-1001",
        "org_id": "toko-maju",
        "agent_name": "Billing Bot",
        "room_id": "room-42",
        "signal": "agent_error",
        "occurred_at": now,
        "error": {"type": "ToolTimeout", "message": "The order system did not answer."},
        "room_label": "Order 1182",
    }
    handoff = {
        "event_id": "evt-1002",
        "org_id": "toko-maju",
        "agent_name": "Billing Bot",
        "room_id": "room-43",
        "signal": "unexpected_handoff",
        "occurred_at": now,
        "handoff": {"completed": False, "reason": "no human agent online"},
    }
    activity = {
        "activity_id": "act-1",
        "org_id": "toko-maju",
        "room_id": "room-42",
        "kind": "human_message",
        "actor_sso_id": "rina",
        "at": now,
    }
    receipt = {"idempotency_key": "0f7c6a51-6a0e-5d54-9a8f-1f0f5f3c9f11", "state": "delivered", "at": now}
    return {
        "FailureEvent": {"one": {"value": event}, "batch": {"value": [event, handoff]}},
        "RoomActivity": {"one": {"value": activity}},
        "PushReceipt": {"one": {"value": receipt}},
    }
