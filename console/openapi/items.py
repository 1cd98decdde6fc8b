"""The schemas of what a sender writes, from the lane's structs and limits, and of what the lane answers."""

import json
from collections.abc import Mapping
from typing import Any

from alerts.items import ActivityItem, EventItem, Holds, ReceiptItem, Result
from console.ingest import check, fields
from console.ingest.decode import ITEM_LIMIT
from console.ingest.work import STATUSES
from console.openapi.structs import TIME, JsonSchema, array, record, ref, schemas_of
from orgs.shapes import ErrorShape
from orgs.signals import ROOM_SIGNALS, SENT

NAMES = {"EventItem": "FailureEvent", "ActivityItem": "RoomActivity", "ReceiptItem": "PushReceipt"}
COUNT = {"type": "integer", "minimum": 0}
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
    """FailureEvent, RoomActivity, PushReceipt, what they hold, and what the lane answers."""
    held = {struct.__name__: strings for struct, strings in fields.FIELDS.items()}
    found = schemas_of([EventItem, ActivityItem, ReceiptItem])
    schemas = {NAMES.get(name, name): _item(schema, held[name]) for name, schema in found.items()}
    needs = [
        {
            "if": {"properties": {"signal": {"const": name}}, "required": ["signal"]},
            "then": {"required": list(needs), "properties": {field: {"not": {"type": "null"}} for field in needs}},
        }
        for name in SENT
        if (needs := ROOM_SIGNALS[name].needs)
    ]
    schemas["FailureEvent"]["allOf"] = needs
    schemas["FailureEvent"]["description"] = "One report of a signal. What each signal needs is in `allOf`."
    return schemas | _results()


def _item(schema: JsonSchema, held: Mapping[str, Any]) -> JsonSchema:
    required = schema["required"]
    made = {name: _field(name, field, held[name], name in required) for name, field in schema["properties"].items()}
    return schema | {"properties": made}


def _field(name: str, field: JsonSchema, holds: Any, required: bool) -> JsonSchema:
    made = field | LIMITS.get(name, {})
    if isinstance(holds, Holds):
        made |= {"description": KEPT[holds.what].format(longest=holds.longest)} | ({"minLength": 1} if required else {})
        if holds.what in ("token", "identifier"):
            made |= {"type": ["string", "integer", *([] if required else ["null"])], "maxLength": holds.longest}
    return made


def _results() -> dict[str, JsonSchema]:
    result = schemas_of([Result])["Result"]
    error = schemas_of([ErrorShape])["Error"]["properties"]["error"]
    result["properties"] |= {"index": COUNT, "error": error}
    return {
        "ItemResult": result | {"description": "What became of one item.", "additionalProperties": False},
        "BatchResult": record(
            "What became of each item, in the order sent, and how many of each.",
            results=array(ref("ItemResult")),
            **dict.fromkeys(STATUSES, COUNT),
        ),
    }


def body_of(name: str) -> JsonSchema:
    """One item, an array of them, or {"items": [...]}."""
    many = {**array(ref(name)), "maxItems": ITEM_LIMIT}
    wrapped = {"type": "object", "properties": {"items": many}, "required": ["items"], "additionalProperties": False}
    return {"oneOf": [ref(name), many, wrapped]}


ACTIVITY = """{"activity_id": "act-1", "org_id": "toko-maju", "room_id": "room-42", "kind": "human_message",
"actor_sso_id": "rina", "at": "NOW"}"""
RECEIPT = """{"idempotency_key": "0f7c6a51-6a0e-5d54-9a8f-1f0f5f3c9f11", "state": "delivered", "at": "NOW"}"""


def examples(now: str) -> dict[str, dict[str, Any]]:
    """Per item kind, bodies that can be sent as they are, one of every signal; `now` is an RFC 3339 time."""
    activity, receipt = ({"value": json.loads(text.replace("NOW", now))} for text in (ACTIVITY, RECEIPT))
    events = [
        {"event_id": f"evt-{1001 + n}", "org_id": "toko-maju", "agent_name": "Billing Bot", "room_id": f"room-{42 + n}"}
        | {"signal": name, "occurred_at": now, **ROOM_SIGNALS[name].needs}
        for n, name in enumerate(SENT)
    ]
    return {
        "FailureEvent": {"one": {"value": events[0]}, "batch": {"value": events}},
        "RoomActivity": {"one": activity},
        "PushReceipt": {"one": receipt},
    }
