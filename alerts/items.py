"""What a sender may write: one msgspec struct per item kind, names as in contracts.md."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

SignalName = Literal["agent_error", "unexpected_handoff", "message_cap", "low_confidence"]
ActivityKind = Literal[
    "human_opened",
    "human_message",
    "assigned",
    "resolved",
    "returned_to_agent",
    "customer_message",
    "bot_message",
]


class ErrorInfo(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    message: str | None = None


class Handoff(msgspec.Struct, forbid_unknown_fields=True):
    completed: bool
    reason: str | None = None


class EventItem(msgspec.Struct, forbid_unknown_fields=True):
    """One failure event as sent; limits and what each signal needs are checked by the lane."""

    event_id: str
    agent_name: str
    room_id: str
    signal: SignalName
    occurred_at: datetime
    org_id: str | None = None
    agent_version: str | None = None
    run_id: str | None = None
    channel: str | None = None
    confidence: float | None = None
    threshold: float | None = None
    message_count: int | None = None
    message_cap: int | None = None
    error: ErrorInfo | None = None
    handoff: Handoff | None = None
    customer_waiting_since: datetime | None = None
    room_label: str | None = None
    last_customer_text: str | None = None
    room_url: str | None = None
    metadata: dict[str, Any] | None = None


class ActivityItem(msgspec.Struct, forbid_unknown_fields=True):
    """One room activity as sent."""

    activity_id: str
    room_id: str
    kind: ActivityKind
    at: datetime
    org_id: str | None = None
    actor_sso_id: str | None = None
    actor_external_id: str | None = None


class ReceiptItem(msgspec.Struct, forbid_unknown_fields=True):
    """One receipt of notification-service: what became of a push after it was accepted."""

    idempotency_key: UUID
    state: Literal["delivered", "opened", "failed"]
    at: datetime
    reason: str | None = None


class RoomNames(msgspec.Struct, frozen=True):
    """What a room is called and was last told, masked; empty: not said."""

    label: str = ""
    channel: str = ""
    url: str = ""
    last_customer_text: str = ""


class Accepted(msgspec.Struct):
    """An item that passed every check: whose it is, its hash as sent, whether its clock was ahead.

    `names`: what else was said of its room; a failure event carries them itself. `undelivered`: of an activity, a
    message that never reached the customer; the same message may have been told before as one that might.
    """

    index: int
    org_id: int
    item: EventItem | ActivityItem
    payload_hash: bytes
    clock_flagged: bool = False
    names: RoomNames | None = None
    undelivered: bool = False


class Result(msgspec.Struct, omit_defaults=True):
    """What became of an item. `error` only with conflict or invalid: {"code", "message", "field"?}."""

    index: int
    id: str | None
    status: Literal["created", "updated", "duplicate", "conflict", "invalid"]
    error: dict[str, str] | None = None
