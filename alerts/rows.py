"""Rows as they are written by the thousand: plain structs with the columns of their table, no model behind each."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class EventRow(msgspec.Struct):
    """One row of FailureEvent; `id` is known once it is written. `payload_hash`: hex, as PostgreSQL reads it."""

    org_id: int
    source_id: int
    event_id: str
    payload_hash: str
    room_id: int
    agent_id: int | None
    signal: str
    occurred_at: datetime
    as_sent: datetime | None
    received_at: datetime
    clock_flagged: bool
    flags: list[str]
    agent_version: str
    run_id: str
    channel: str
    confidence: float | None
    threshold: float | None
    message_count: int | None
    message_cap: int | None
    error_type: str
    error_message: str
    handoff_reason: str
    handoff_completed: bool | None
    customer_waiting_since: datetime | None
    metadata: dict[str, Any]
    id: int | None = None
    alert_id: UUID | None = None
    severity: str = ""
    reason: str = ""
    handoff_source: str = ""
    handoff_target: str = ""


class ActivityRow(msgspec.Struct):
    """One row of RoomActivity. `payload_hash`: hex, as PostgreSQL reads it."""

    org_id: int
    source_id: int
    activity_id: str
    payload_hash: str
    room_id: int
    kind: str
    actor_id: int | None
    actor_external_id: str
    at: datetime
    as_sent: datetime | None
    received_at: datetime
    clock_flagged: bool
    undelivered: bool
    asks: bool = False


class TransitionRow(msgspec.Struct):
    """One row of Transition; of the event that caused it the id is known once that is written."""

    org_id: int
    alert_id: UUID
    at: datetime
    change: str
    reason: str
    episode: int
    actor_id: int | None
    detail: dict[str, Any]
    occurrence: int = 0
    event_id: int | None = None
    swept_at: datetime | None = None


class PushRow(msgspec.Struct):
    """One row of Push as it is planned."""

    id: UUID
    org_id: int
    alert_id: UUID | None
    room_id: int | None
    supervisor_id: int
    kind: str
    occurrence: int
    tier: int
    reason: str
    severity: str
    idempotency_key: UUID
    planned_at: datetime
    state: str
    next_attempt_at: datetime | None = None
    body: str = ""
    ended_reason: str = ""
    ended_at: datetime | None = None
    attempts: int = 0
    last_answer: str = ""
    notification_id: str = ""
    push: str = ""
    failed_reason: str = ""
    revokes: UUID | None = None

    def end(self, state: str, reason: str, now: datetime) -> None:
        """It is not sent, or no more."""
        self.state, self.ended_reason, self.ended_at, self.next_attempt_at = state, reason, now, None


class DigestAlertRow(msgspec.Struct):
    """One row of DigestAlert as it is planned."""

    org_id: int
    push_id: UUID
    alert_id: UUID
    joined_at: datetime
