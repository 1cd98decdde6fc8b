"""A run as it is read and written by the thousand: a plain struct with the columns of its table, no model behind it."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

RunId = tuple[int, UUID]  # org pk and run_id


class RunRow(msgspec.Struct):
    """One row of AgentRun; `id` 0: it is new. `agent_name` is no column: a new run's agent is found at the end."""

    org_id: int
    source_id: int
    run_id: UUID
    started_at: datetime
    received_at: datetime
    updated_at: datetime
    input_kind: str
    id: int = 0
    agent_id: int = 0
    agent_name: str = ""
    agent_version: str = ""
    channel: str = ""
    surface: str = ""
    room: str = ""
    ended_at: datetime | None = None
    started_as_sent: datetime | None = None
    ended_as_sent: datetime | None = None
    resolution: str = ""
    self_corrected: bool | None = None
    tokens_input: int | None = None
    tokens_output: int | None = None
    cost_usd: Decimal | None = None
    sla_target_seconds: int | None = None
    confidence: float | None = None
    message_count: int | None = None
    message_cap: int | None = None
    handoff_expected: bool | None = None
    human_touched: bool | None = None
    touched: bool | None = None
    metadata: dict[str, Any] = {}
    flags: list[str] = []
    altered: dict[str, str] = {}
    detected: list[str] = []
    due_at: datetime | None = None
    overdue_at: datetime | None = None
    review_count: int = 0
    review_sum: int = 0

    @property
    def key(self) -> RunId:
        """Which run it is."""
        return self.org_id, self.run_id

    @property
    def overdue(self) -> bool:
        """Whether it was not ended when it should have been."""
        return self.overdue_at is not None


class ReviewRow(msgspec.Struct):
    """One row of AgentQc as it is made. `payload_hash`: hex, as PostgreSQL reads it."""

    org_id: int
    source_id: int
    run_id: UUID
    review_id: str
    reviewer: str
    reviewer_key: str
    quality_score: int
    rubric: dict[str, int]
    notes: str
    flags: list[str]
    payload_hash: str
    at: datetime
    replaced_at: datetime | None = None
    id: int = 0
