"""Qontak's message interactions as its webhook sends them, with invented values."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

SENDERS = {"customer": "Models::Contact", "bot": "Models::SystemAccount", "agent": "Models::User"}


def stamp(at: datetime) -> str:
    """A time as Qontak writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def message(
    who: str = "customer", *, org: str = "org-1", room: str = "room-1", at: datetime | None = None, **fields: Any
) -> dict[str, Any]:
    """One delivery. `fields` of the room are given as `room_...`, others at top level; None leaves a field out."""
    at = at or datetime.now(UTC) - timedelta(seconds=1)
    of_room = {name.removeprefix("room_"): value for name, value in fields.items() if name.startswith("room_")}
    made = {
        "id": str(uuid4()),
        "status": "created",
        "created_at": stamp(at),
        "sender": {"name": "Sari Dewi", "avatar": None},
        "room": {
            "id": room,
            "status": "unassigned",
            "resolved_at": None,
            "resolved_by_id": None,
            "resolved_by_type": None,
            "session_at": "2026-11-20T02:10:00.000Z",
            "created_at": "2026-11-20T02:10:00.412Z",
            "updated_at": stamp(at),
            "organization_id": org,
            "account_uniq_id": "6281200000001",
            "type": "Models::CustomerServiceRoom",
            "channel": "wa",
            "name": "Sari Dewi Hartono",
            "tags": [],
            **of_room,
        },
        "text": "Pesanan saya belum sampai",
        "is_campaign": False,
        "sender_id": {"customer": "c0", "bot": "b0", "agent": "u0"}.get(who, "x0"),
        "sender_type": SENDERS.get(who),
        "organization_id": org,
        "participant_type": who,
        "room_id": room,
        "type": "text",
        **{name: value for name, value in fields.items() if not name.startswith("room_")},
    }
    return {name: value for name, value in made.items() if value is not None}
