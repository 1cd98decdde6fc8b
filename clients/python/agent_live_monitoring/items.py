"""What can be reported: one Kind for each path of the service, and an item made ready to send."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict, Union

from agent_live_monitoring.prose import fit, in_json

Time = Union[datetime, str]


class Kind(NamedTuple):
    """One kind of item: where it goes, and which field names it. `ordered`: those of a room keep their order.
    `presses`: somebody is waked by it, or need not be any more; the others wait a moment for company.
    """

    name: str
    path: str
    id_field: str
    ordered: bool = True
    presses: bool = True


FAILURE_EVENT = Kind("failure_event", "/api/failure-events", "event_id")
ROOM_ACTIVITY = Kind("room_activity", "/api/room-activity", "activity_id")
AGENT_RUN = Kind("agent_run", "/api/agent-runs", "run_id", ordered=False, presses=False)
AGENT_QC = Kind("agent_qc", "/api/agent-qc", "run_id", ordered=False, presses=False)
KINDS = (FAILURE_EVENT, ROOM_ACTIVITY, AGENT_RUN, AGENT_QC)  # in the order in which a batch goes out: alarms first


class Record(NamedTuple):
    """An item as it goes over the wire. `kept`: on disk until it is settled, so that our end does not lose it."""

    kind: Kind
    id: str
    room: str | None  # None: there is no order to keep
    body: bytes
    kept: bool = False


class Unsayable(Exception):
    """This item cannot be said in JSON; the message says why."""


def make_record(kind: Kind, fields: Mapping[str, Any], made: Mapping[str, Any]) -> Record:
    """Encode the fields at once, so that what the caller changes later changes nothing. Raises Unsayable.

    `made`: the id and the time, for where the caller gave none; a retry then says the same and is a duplicate.
    """
    try:
        item = fit(fields)
        for name, value in made.items():
            item.setdefault(name, value)
        return _record(kind, item, in_json(item))
    except Exception as error:
        raise Unsayable(f"It cannot be said in JSON: {error}") from error


def read_record(kind: Kind, body: bytes) -> Record:
    """A record as it was kept on disk. Raises ValueError."""
    return _record(kind, json.loads(body), body)._replace(kept=True)


def _record(kind: Kind, item: Mapping[str, Any], body: bytes) -> Record:
    return Record(kind, str(item[kind.id_field]), str(item.get("room_id")) if kind.ordered else None, body)


# --- what the contract asks for, for type checkers; at run time the service judges and says what is wrong ---------


class _Error(TypedDict):
    type: str


class Error(_Error, total=False):
    """What went wrong in the agent."""

    message: str


class _Handoff(TypedDict):
    completed: bool


class Handoff(_Handoff, total=False):
    """A handoff; `completed` False if nobody took the room. `source`, `target`: `agent`, `human`, or a name."""

    reason: str
    source: str
    target: str


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


class AgentRun(TypedDict, total=False):
    """One execution of an agent. A new run needs `agent_name`, `input_kind` and `started_at`, one that ends
    `resolution`; what is known of it need not be said again."""

    run_id: str | uuid.UUID | None
    agent_name: str | None
    input_kind: str | None
    started_at: Time | None
    ended_at: Time | None
    resolution: Literal["resolved", "escalated", "failed"] | None
    self_corrected: bool | None
    tokens_input: int | None
    tokens_output: int | None
    cost_usd: str | float | Decimal | None
    sla_target_seconds: int | None
    metadata: dict[str, Any] | None
    org_id: str | None
    room_id: str | None
    agent_version: str | None
    channel: str | None
    confidence: float | None
    message_count: int | None
    message_cap: int | None
    handoff_expected: bool | None
    human_touched: bool | None
    surface: Literal["chatbot", "chatwoot", "shopify_admin", "runbook"] | None


class _AgentQc(TypedDict):
    run_id: str | uuid.UUID
    quality_score: int


class AgentQc(_AgentQc, total=False):
    """A human's quality score of a run, 1 to 5; a reviewer's later score replaces their earlier one."""

    review_id: str | None
    reviewer: str | None
    rubric: dict[str, int] | None
    notes: str | None
    org_id: str | None
