"""The schemas of what a sender writes, from the lane's structs and limits, and of what the lane answers."""

import json
from collections.abc import Mapping
from typing import Any

from alerts.items import ActivityItem, EventItem, Holds, ReceiptItem, Result
from console.ingest import check, fields, records
from console.ingest.decode import ITEM_LIMIT
from console.ingest.work import STATUSES
from console.openapi.structs import TIME, JsonSchema, array, record, ref, schemas_of
from orgs.shapes import ErrorShape
from orgs.signals import ROOM_SIGNALS, SENT
from orgs.texts import NAME_LENGTH
from runs.items import ReviewItem, RunItem

NAMES = {
    "EventItem": "FailureEvent",
    "ActivityItem": "RoomActivity",
    "ReceiptItem": "PushReceipt",
    "RunItem": "AgentRun",
    "ReviewItem": "AgentReview",
}
RECORDS = ("RunItem", "ReviewItem")
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
TOKENS = {"minimum": 0, "maximum": fields.INTEGER - 1}
SCORE = {"minimum": min(records.SCORES), "maximum": max(records.SCORES)}
COST = {
    "type": ["number", "string", "null"],
    "minimum": 0,
    "exclusiveMaximum": records.DOLLARS,
    "pattern": "^[0-9]{1,30}([.][0-9]{1,30})?$",
    "description": "US dollars, as a number or its digits; more than 5 places are rounded, half to even.",
}
OF_RECORDS: dict[str, JsonSchema] = {
    "started_at": {"format": "date-time"},
    "ended_at": {"format": "date-time", "description": "Not before `started_at`; then `resolution` is needed too."},
    "tokens_input": TOKENS,
    "tokens_output": TOKENS,
    "cost_usd": COST,
    "sla_target_seconds": {"minimum": 1, "maximum": check.COUNT - 1},
    "quality_score": SCORE,
    "metadata": {
        "description": f"At most {fields.METADATA // 1024} KiB of JSON, {fields.DEPTH} deep; a secret is refused. Later"
        " posts of the same run add entries."
    },
}
RUBRIC: JsonSchema = {"maxProperties": records.NAMES_IN_RUBRIC, "additionalProperties": {"type": "integer", **SCORE}}
NEW_RUN = (
    "One run, whole or at its start. The same `run_id` again completes it: then `run_id` alone is required, what is"
    " known may be repeated, and what differs is a `conflict`. A run that is new needs `agent_name`, `input_kind` and"
    " `started_at`, and `resolution` once it has `ended_at`."
)
REVIEW = (
    "A review of a run, which may come before its run. A later one of the same reviewer replaces it. Without a"
    " `reviewer` the `review_id` is required."
)
KEPT = {
    "token": "Kept as sent. A whole number is taken as text.",
    "identifier": "Blanks around it are dropped, a UUID is lower case, hidden characters are refused."
    " A whole number is taken as text.",
    "text": "A text: masked, cleaned, and cut after {longest} characters; it never costs the item.",
    "name": "A name of at most {longest} characters, masked; a longer one, and a secret, is refused.",
    "prose": "A text: masked, cleaned, and cut after {longest} characters; a secret is refused.",
    "link": "Left out if it is longer than {longest} characters or holds personal data.",
}


def item_schemas() -> dict[str, JsonSchema]:
    """What a sender writes, what it holds, and what the lane answers."""
    held = {struct.__name__: strings for struct, strings in fields.FIELDS.items()}
    found = schemas_of([EventItem, ActivityItem, ReceiptItem, RunItem, ReviewItem])
    schemas = {
        NAMES.get(name, name): _item(schema, held[name], record=name in RECORDS) for name, schema in found.items()
    }
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
    schemas["AgentRun"]["description"] = NEW_RUN
    schemas["AgentReview"]["description"] = REVIEW
    schemas["AgentReview"]["properties"]["rubric"] |= RUBRIC
    return schemas | _results()


def _item(schema: JsonSchema, held: Mapping[str, Any], *, record: bool) -> JsonSchema:
    required = schema["required"]
    made = {
        name: _field(name, field, held[name], name in required, record) for name, field in schema["properties"].items()
    }
    return schema | {"properties": made}


def _field(name: str, field: JsonSchema, holds: Any, required: bool, record: bool) -> JsonSchema:
    made = field | ((OF_RECORDS if record else {}).get(name) or LIMITS.get(name, {}))
    if "type" in (OF_RECORDS.get(name, {}) if record else {}):
        made.pop("anyOf", None)
    if isinstance(holds, Holds) and record and holds.what == "text":
        prose = holds.longest > NAME_LENGTH
        made |= {"description": KEPT["prose" if prose else "name"].format(longest=holds.longest)}
        made |= {} if prose else {"maxLength": holds.longest}
    elif isinstance(holds, Holds):
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


RUN = """{"run_id": "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e", "org_id": "toko-maju", "agent_name": "support-triage",
"input_kind": "ticket", "started_at": "2025-10-10T02:15:30Z", "ended_at": "2025-10-10T02:16:12Z",
"resolution": "resolved", "self_corrected": true, "tokens_input": 3421, "tokens_output": 1890, "cost_usd": 0.0342,
"sla_target_seconds": 600, "metadata": {"shop_id": "hotrodan", "ticket_id": "T-9123"}}"""
START = """{"run_id": "0f7c6a51-6a0e-4d54-9a8f-1f0f5f3c9f12", "org_id": "toko-maju", "agent_name": "support-triage",
"input_kind": "chat", "started_at": "NOW", "room_id": "room-42", "channel": "whatsapp"}"""
QC = """{"run_id": "6a90b3d1-2c6b-4a3a-8bb9-23a93ebffb8e", "org_id": "toko-maju", "quality_score": 4,
"reviewer": "rina", "rubric": {"tone": 5, "facts": 4}, "notes": "Asked twice for the order number."}"""


def examples(now: str) -> dict[str, dict[str, Any]]:
    """Per item kind, bodies that can be sent as they are, one of every signal; `now` is an RFC 3339 time."""
    told = (ACTIVITY, RECEIPT, RUN, START, QC)
    activity, receipt, run, start, qc = ({"value": json.loads(text.replace("NOW", now))} for text in told)
    events = [
        {"event_id": f"evt-{1001 + n}", "org_id": "toko-maju", "agent_name": "Billing Bot", "room_id": f"room-{42 + n}"}
        | {"signal": name, "occurred_at": now, **ROOM_SIGNALS[name].needs}
        for n, name in enumerate(SENT)
    ]
    return {
        "FailureEvent": {"one": {"value": events[0]}, "batch": {"value": events}},
        "RoomActivity": {"one": activity},
        "PushReceipt": {"one": receipt},
        "AgentRun": {"whole": run, "start": start},
        "AgentReview": {"one": qc},
    }
