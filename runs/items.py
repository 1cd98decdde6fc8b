"""What a sender may write of runs and reviews: one msgspec struct per item kind, as in `alerts.items`."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from alerts.items import Identifier, Prose, ShownName, Token

Resolution = Literal["resolved", "escalated", "failed"]
SurfaceName = Literal["chatbot", "chatwoot", "shopify_admin", "runbook"]


class RunItem(msgspec.Struct, forbid_unknown_fields=True):
    """One run as sent: whole, its start, or what completes it. What a new run needs is checked where it is stored."""

    run_id: UUID
    agent_name: ShownName | None = None
    input_kind: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    resolution: Resolution | None = None
    self_corrected: bool | None = None
    tokens_input: int | None = None
    tokens_output: int | None = None
    cost_usd: float | str | None = None  # a number, or its digits as text
    sla_target_seconds: int | None = None
    metadata: dict[str, Any] | None = None
    org_id: Identifier | None = None
    room_id: Identifier | None = None
    agent_version: str | None = None
    channel: str | None = None
    confidence: float | None = None
    message_count: int | None = None
    message_cap: int | None = None
    handoff_expected: bool | None = None
    human_touched: bool | None = None
    surface: SurfaceName | None = None


class ReviewItem(msgspec.Struct, forbid_unknown_fields=True):
    """One review of a run as sent."""

    run_id: UUID
    quality_score: int
    review_id: Token | None = None
    reviewer: ShownName | None = None
    rubric: dict[str, int] | None = None
    notes: Prose | None = None
    org_id: Identifier | None = None
