"""Qontak's message interactions: one payload -> the room activity it tells of. Pure.

The same message comes once per status; a message also carries its room, from which assignment and resolution are
read. Fields differ between versions: what is not known is left alone, what is missing is asked of the room.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from alerts import times
from alerts.masking import MARGIN, mask, mask_cut
from orgs.identifiers import spelled

ID, NAME, TEXT = 128, 200, 2000  # characters, as everywhere
WHOLE = TEXT + MARGIN + 1  # of a text that is masked before it is cut
# Who writes: participant_type, where it is missing sender_type.
SENDERS = {"Models::Contact": "customer", "Models::SystemAccount": "bot", "Models::User": "agent"}
MESSAGES = {"customer": "customer_message", "bot": "bot_message", "agent": "human_message"}
EVENTS = {"", "message_interaction"}
TITLES = {"ibu", "bu", "bapak", "pak", "kak", "mas", "mbak", "bang", "mr", "mrs", "ms", "dr"}
CHANNELS = {
    "wa": "WhatsApp", "wa_cloud": "WhatsApp", "ig": "Instagram", "ig_comment": "Instagram", "fb": "Messenger",
    "web_chat": "Web chat", "livechat_dot_com": "Web chat", "telegram": "Telegram", "line": "LINE", "email": "E-mail",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fact:
    """One room activity; `at` RFC 3339 in UTC. `label`, `channel`, `text` of the room, masked; empty = unknown."""

    kind: str
    activity_id: str
    room_id: str
    at: str
    actor_external_id: str = ""
    clock_flagged: bool = False
    label: str = ""
    channel: str = ""
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in ("", False)}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a payload says. No facts: `reason` is a code, `field` what it is about; `refused`: it is not ours."""

    facts: list[Fact] = field(default_factory=list)
    reason: str = ""
    field: str = ""
    status: str = ""  # of the message: created, sent, delivered ...
    refused: bool = False


class _NotUnderstood(Exception):
    def __init__(self, reason: str, about: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.about = about


def read(payload: Any, organization_id: str, now: datetime) -> Reading:
    """The facts of one delivery for the org known to Qontak as `organization_id`; never raises."""
    if not isinstance(payload, dict):
        return Reading(reason="not_an_object")
    room = payload["room"] if isinstance(payload.get("room"), dict) else {}
    status = _text(payload.get("status"), NAME)
    named = _text(payload.get("organization_id") or room.get("organization_id"), NAME)
    if named and spelled(named) != spelled(organization_id):
        return Reading(reason="wrong_org", field="organization_id", status=status, refused=True)
    try:
        return Reading(_facts(payload, room, now), status=status)
    except _NotUnderstood as error:
        return Reading(reason=error.reason, field=error.about, status=status)


def _facts(payload: Mapping[str, Any], room: Mapping[str, Any], now: datetime) -> list[Fact]:
    event = _text(payload.get("webhook_event"), NAME)
    if event not in EVENTS:
        raise _NotUnderstood("unknown_event", event)
    room_id = _text(payload.get("room_id") or room.get("id"), NAME)
    if not room_id:
        raise _NotUnderstood("no_room", "room_id")
    message_id = _text(payload.get("id"), ID - len("message:"))
    if not message_id:
        raise _NotUnderstood("no_id", "id")
    at, flagged = _time(payload, "created_at", now)
    facts = _message(payload, room, Fact("", f"message:{message_id}", room_id, _rfc3339(at), clock_flagged=flagged))
    return facts + _of_room(payload, room, room_id, at, now)


def _message(payload: Mapping[str, Any], room: Mapping[str, Any], base: Fact) -> list[Fact]:
    """The message itself; a campaign is sent to many and answers nobody."""
    if payload.get("is_campaign") is True:
        return []
    who = _sender(payload)
    actor = _text(payload.get("sender_id"), NAME) if who == "agent" else ""
    said = mask_cut(_text(payload.get("text"), WHOLE), TEXT) if who == "customer" else ""
    channel = _text(room.get("channel"), NAME)
    made = {name: getattr(base, name) for name in ("activity_id", "room_id", "at", "clock_flagged")}
    return [
        Fact(
            kind=MESSAGES[who],
            actor_external_id=actor,
            label=short_name(_text(room.get("name"), WHOLE)),
            channel=CHANNELS.get(channel, channel),
            text=said,
            **made,
        )
    ]


def _sender(payload: Mapping[str, Any]) -> str:
    """customer, bot or agent (a human): what participant_type says, unless sender_type says it was no human."""
    participant = _text(payload.get("participant_type"), NAME)
    sender = SENDERS.get(_text(payload.get("sender_type"), NAME), "")
    who = participant or sender
    if who == "agent" and sender == "bot":
        raise _NotUnderstood("unknown_sender", "sender_type")
    if who not in MESSAGES:
        raise _NotUnderstood("unknown_sender", "participant_type")
    return who


def _of_room(
    payload: Mapping[str, Any], room: Mapping[str, Any], room_id: str, at: datetime, now: datetime
) -> list[Fact]:
    """That the room is assigned, once per session, or resolved, once per resolution: every message repeats it."""
    status = _text(room.get("status"), NAME)
    if status == "assigned":
        session = _text(room.get("session_at") or room.get("created_at"), 32)
        human = _text(payload.get("sender_id"), NAME) if _is_human(payload) else ""
        since = at if human else _time_or(room, "updated_at", at, now)
        return [Fact("assigned", _id("assigned", room_id, session), room_id, _rfc3339(since), human)]
    if status == "resolved":
        over = _time_or(room, "resolved_at", at, now)
        by_human = _text(room.get("resolved_by_type"), NAME) == "Models::User"
        by = _text(room.get("resolved_by_id"), NAME) if by_human else ""
        return [Fact("resolved", _id("resolved", room_id, _rfc3339(over)), room_id, _rfc3339(over), by)]
    return []


def _is_human(payload: Mapping[str, Any]) -> bool:
    try:
        return _sender(payload) == "agent"
    except _NotUnderstood:
        return False


def _id(kind: str, room_id: str, moment: str) -> str:
    return f"{kind}:{room_id[: ID - len(kind) - len(moment) - 2]}:{moment}"


def _time(payload: Mapping[str, Any], name: str, now: datetime) -> tuple[datetime, bool]:
    value = payload.get(name)
    if value is None:
        raise _NotUnderstood("no_time", name)
    try:
        return times.judge(msgspec.convert(value, datetime), now)
    except (msgspec.ValidationError, OverflowError, ValueError):
        raise _NotUnderstood("bad_time", name) from None
    except times.BadTime as error:
        raise _NotUnderstood("bad_time" if error.code == "naive" else error.code, name) from None


def _time_or(room: Mapping[str, Any], name: str, otherwise: datetime, now: datetime) -> datetime:
    try:
        return _time(room, name, now)[0]
    except _NotUnderstood:
        return otherwise


def _rfc3339(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _text(value: Any, longest: int) -> str:
    """A value as text that can be stored; empty for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    return text.replace("\x00", "").encode(errors="replace").decode().strip()[:longest]


def short_name(name: str) -> str:
    """`Ibu Sari Dewi Hartono` -> `Ibu Sari D. H.`: enough to find the room again; phone numbers, addresses masked."""
    words = mask(name).split()
    kept = 2 if words and words[0].lower().rstrip(".") in TITLES else 1
    return " ".join([*words[:kept], *(_initial(word) for word in words[kept:])])[:NAME]


def _initial(word: str) -> str:
    return f"{word[0]}." if word[0].isalpha() else word
