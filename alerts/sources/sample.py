"""A payload or item as it may be kept and shown: names and shapes stay, whatever could be personal goes. Pure."""

import json
import re
from functools import lru_cache
from typing import Any

from alerts.masking import mask, secret_key

# These fields say what happened, not to whom. Every other value is replaced by its kind.
SHOWN = {
    "activity_id", "at", "channel", "confidence", "created_at", "data_event", "event_id", "id", "is_campaign", "kind",
    "message_cap", "message_count", "occurred_at", "org_id", "organization_id", "participant_type", "resolved_at",
    "resolved_by_type", "room_id", "sender_type", "session_at", "signal", "status", "threshold", "type", "updated_at",
    "webhook_event", "agent_name", "agent_version", "completed", "customer_waiting_since", "run_id", "unread_count",
    "cost_usd", "ended_at", "input_kind", "quality_score", "resolution", "sla_target_seconds", "started_at", "surface",
    "tokens_input", "tokens_output",
}  # fmt: skip
# Cannot be personal: a time, a UUID, a word. Asking `mask` costs ten times as much.
PLAIN = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]{0,10}(?:Z|[+-]\d\d:\d\d)"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[A-Za-z_:]{0,64}"
)
LIMIT = 8 * 1024  # bytes of JSON
DEPTH, FIELDS, LONGEST = 4, 60, 200  # levels, fields of an object, characters of a value or a name


def sample_of(value: Any) -> Any:
    """What may be kept of a payload or item, at most 8 KiB of JSON."""
    made = sanitised(value)
    return made if len(json.dumps(made)) <= LIMIT else {"[too large]": len(value)}


def sanitised(value: Any, name: str = "", depth: int = DEPTH) -> Any:
    """The value with everything replaced that is not known to be harmless; bounded in depth, fields and length."""
    if isinstance(value, dict):
        if depth == 0:
            return f"[object, {len(value)}]"
        kept = list(value.items())[:FIELDS]
        return {_name(_text(str(key))[:LONGEST]): sanitised(inner, str(key), depth - 1) for key, inner in kept}
    if isinstance(value, list):
        return f"[list, {len(value)}]"
    if value is None or isinstance(value, bool):
        return value
    shown = _text(str(value))
    if name in SHOWN and len(shown) <= LONGEST and (PLAIN.fullmatch(shown) or mask(shown) == shown):
        return value if isinstance(value, int | float) and abs(value) < 2**53 else shown
    return f"[text, {len(value)}]" if isinstance(value, str) else "[number]"


@lru_cache(maxsize=1024)  # the same few names come all day
def _name(text: str) -> str:
    """A name that the sender chose, as it may be shown: it could be a phone number or a token, too."""
    return "[secret]" if secret_key(text) else mask(text)


def _text(text: str) -> str:
    return text[: LONGEST + 1].replace("\x00", "").encode(errors="replace").decode()
