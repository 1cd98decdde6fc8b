"""What a sender may write: one msgspec struct per item kind.

Each string says what it holds; one that says nothing is a text of at most 200 characters. `console.ingest.fields`
judges, cleans and masks it accordingly.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec

from orgs.signals import SENT
from orgs.texts import ID_LENGTH, NAME_LENGTH, TEXT_LENGTH


@dataclass(frozen=True, slots=True)
class Holds:
    """What a string is, and how many characters it may have.

    `token`: the sender's own name of the item, kept as sent. `identifier`: brought to its one spelling; `masked`: it is
    shown, so it may hold nothing personal. These are never cut. `text`: cleaned, masked and cut. `link`: kept as it is
    or not at all.
    """

    what: Literal["token", "identifier", "text", "link"]
    longest: int
    masked: bool = False


TEXT = Holds("text", NAME_LENGTH)
Token = Annotated[str, Holds("token", ID_LENGTH)]
Identifier = Annotated[str, Holds("identifier", NAME_LENGTH)]
ShownName = Annotated[str, Holds("identifier", NAME_LENGTH, masked=True)]
Prose = Annotated[str, Holds("text", TEXT_LENGTH)]
Link = Annotated[str, Holds("link", TEXT_LENGTH)]

if TYPE_CHECKING:
    SignalName = str
else:
    SignalName = Literal[SENT]
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
    message: Prose | None = None


class Handoff(msgspec.Struct, forbid_unknown_fields=True):
    completed: bool
    reason: Prose | None = None
    source: str | None = None  # who handed the room over, and to whom: `agent`, `human`, or an agent by its name
    target: str | None = None


class EventItem(msgspec.Struct, forbid_unknown_fields=True):
    """One failure event as sent; limits and what each signal needs are checked by the lane."""

    event_id: Token
    agent_name: ShownName
    room_id: Identifier
    signal: SignalName
    occurred_at: datetime
    org_id: Identifier | None = None
    agent_version: str | None = None
    run_id: UUID | None = None
    channel: str | None = None
    confidence: float | None = None
    threshold: float | None = None
    message_count: int | None = None
    message_cap: int | None = None
    error: ErrorInfo | None = None
    handoff: Handoff | None = None
    customer_waiting_since: datetime | None = None
    room_label: str | None = None
    last_customer_text: Prose | None = None
    room_url: Link | None = None
    metadata: dict[str, Any] | None = None


class ActivityItem(msgspec.Struct, forbid_unknown_fields=True):
    """One room activity as sent."""

    activity_id: Token
    room_id: Identifier
    kind: ActivityKind
    at: datetime
    org_id: Identifier | None = None
    actor_sso_id: Identifier | None = None
    actor_external_id: Identifier | None = None


class ReceiptItem(msgspec.Struct, forbid_unknown_fields=True):
    """One receipt of notification-service: what became of a push after it was accepted."""

    idempotency_key: UUID
    state: Literal["delivered", "opened", "failed"]
    at: datetime
    reason: str | None = None


ItemT = TypeVar("ItemT", bound=msgspec.Struct)


class RoomNames(msgspec.Struct, frozen=True):
    """What a room is called and was last told, masked; empty: not said."""

    label: str = ""
    channel: str = ""
    url: str = ""
    last_customer_text: str = ""


class Accepted(msgspec.Struct, Generic[ItemT]):
    """An item that passed every check: whose it is, its hash as sent, whether its clock was ahead.

    `flags`: what was done to its texts, some of `truncated` (cut, or cleaned), `masked`, `secret`.
    `names`: what else was said of its room; a failure event carries them itself. `received_at`: None for just now.
    `undelivered`: of an activity, a message that never reached the customer; the same message may have been told before
    as one that might. `asks`: of a customer's message, it asks something. `altered`: of a run, by field (or
    `metadata.KEY`) that is not kept as it was sent, the mark of what was sent.
    """

    index: int
    org_id: int
    item: ItemT
    payload_hash: bytes
    clock_flagged: bool = False
    names: RoomNames | None = None
    flags: list[str] = []
    received_at: datetime | None = None
    undelivered: bool = False
    asks: bool = False
    altered: dict[str, str] = {}


class Result(msgspec.Struct, omit_defaults=True):
    """What became of an item. `error` only with conflict or invalid: {"code", "message", "field"?}."""

    index: int
    id: str | None
    status: Literal["created", "updated", "duplicate", "conflict", "invalid"]
    error: dict[str, str] | None = None
