"""What can be reported: one Kind for each path of the service, and an item made ready to send."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypedDict, Union

from agent_live_monitoring.prose import fit, say

Time = Union[datetime, str]


class Kind(NamedTuple):
    """One kind of item: where it goes, and which of its fields are filled in if the caller left them out."""

    name: str
    path: str
    id_field: str
    time_field: str


FAILURE_EVENT = Kind("failure_event", "/api/failure-events", "event_id", "occurred_at")
ROOM_ACTIVITY = Kind("room_activity", "/api/room-activity", "activity_id", "at")
KINDS = (FAILURE_EVENT, ROOM_ACTIVITY)  # in the order in which a batch goes out


class Record(NamedTuple):
    """An item as it goes over the wire. `kept`: on disk until it is settled, so that our end does not lose it."""

    kind: Kind
    id: str
    room: str
    body: bytes
    kept: bool = False


class Unsayable(Exception):
    """This item cannot be said in JSON; the message says why."""


def make_record(kind: Kind, fields: Mapping[str, Any], now: datetime) -> Record:
    """Encode the fields at once, so that what the caller changes later changes nothing. Raises Unsayable.

    The id and the time are made here where the caller gave none: a retry then says the same and is a duplicate.
    """
    try:
        item = fit(fields)
        item.setdefault(kind.id_field, str(uuid.uuid4()))
        item.setdefault(kind.time_field, now)
        body = json.dumps(item, allow_nan=False, separators=(",", ":"), default=say)
        return Record(kind, str(item[kind.id_field]), str(item.get("room_id")), body.encode())
    except Exception as error:
        raise Unsayable(f"It cannot be said in JSON: {error}") from error


def read_record(kind: Kind, body: bytes) -> Record:
    """A record as it was kept on disk. Raises ValueError."""
    item = json.loads(body)
    return Record(kind, str(item[kind.id_field]), str(item.get("room_id")), body, kept=True)


# --- what the contract asks for, for type checkers; at run time the service judges and says what is wrong ---------


class _Error(TypedDict):
    type: str


class Error(_Error, total=False):
    """What went wrong in the agent."""

    message: str


class _Handoff(TypedDict):
    completed: bool


class Handoff(_Handoff, total=False):
    """A handoff; `completed` False if no human took the room."""

    reason: str


class _FailureEvent(TypedDict):
    agent_name: str
    room_id: str
    signal: str  # the service judges it: a new one needs no new client


class FailureEvent(_FailureEvent, total=False):
    """A failure event. `org_id` is needed with the key of a platform source; times carry their offset."""

    event_id: str | None
    occurred_at: Time | None
    org_id: str | None
    agent_version: str | None
    run_id: str | None
    channel: str | None
    confidence: float | None
    threshold: float | None
    message_count: int | None
    message_cap: int | None
    error: Error | None
    handoff: Handoff | None
    customer_waiting_since: Time | None
    room_label: str | None
    last_customer_text: str | None
    room_url: str | None
    metadata: dict[str, Any] | None


class _RoomActivity(TypedDict):
    room_id: str
    kind: Literal[
        "human_opened",
        "human_message",
        "assigned",
        "resolved",
        "returned_to_agent",
        "customer_message",
        "bot_message",
    ]


class RoomActivity(_RoomActivity, total=False):
    """Something that happened in a room. `org_id` is needed with the key of a platform source."""

    activity_id: str | None
    at: Time | None
    org_id: str | None
    actor_sso_id: str | None
    actor_external_id: str | None
