"""Qontak's message interactions: one payload -> the room activity it tells of. Pure.

The same message comes once per status; a message also carries its room, from which assignment and resolution are
read, whoever wrote it. Fields differ between versions: what is not known is left alone, what is missing is asked of
the room. Who wrote is never guessed: an outgoing message that is not plainly the bot's or a human's stops no alarm.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec

from alerts import times
from alerts.masking import MARGIN, mask, mask_cut
from orgs.clock import rfc3339
from orgs.identifiers import spelled
from orgs.texts import ID_LENGTH, NAME_LENGTH, TEXT_LENGTH

WHOLE = TEXT_LENGTH + MARGIN + 1  # of a text that is masked before it is cut
MOMENT = 32  # of a time in an id
# Who writes: participant_type and sender_type agree; where one is missing see `_sender`.
SENDERS = {"Models::Contact": "customer", "Models::SystemAccount": "bot", "Models::User": "agent"}
MESSAGES = {"customer": "customer_message", "bot": "bot_message", "agent": "human_message"}
EVENTS = {"", "message_interaction"}
ECHO_MARKS = ("external_echo", "is_echo")  # typed in the phone's own app, as far as is known
QUESTION_MARKS = ("?", "\uff1f", "\u061f")
FAILED = "failed"  # the status of a message that did not reach the customer
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
    undelivered: bool = False  # it never reached the customer
    asks: bool = False  # the customer asks something
    label: str = ""
    channel: str = ""
    text: str = ""

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value not in ("", False)}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a payload says. `reason`: a code, why its message was not understood; `field`: the field it is about.

    `refused`: the payload belongs to another org.
    """

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
    status = _text(payload.get("status"))
    named = _text(payload.get("organization_id") or room.get("organization_id"))
    if named and spelled(named) != spelled(organization_id):
        return Reading(reason="wrong_org", field="organization_id", status=status, refused=True)
    try:
        base = _base(payload, room, now)
    except _NotUnderstood as error:
        return Reading(reason=error.reason, field=error.about, status=status)
    of_room = _of_room(payload, room, base, now)
    try:
        return Reading(_message(payload, room, base) + of_room, status=status)
    except _NotUnderstood as error:
        return Reading(of_room, error.reason, error.about, status)


def _base(payload: Mapping[str, Any], room: Mapping[str, Any], now: datetime) -> Fact:
    """Where and when; a time that cannot be read is that of the receipt, flagged."""
    event = _text(payload.get("webhook_event"))
    if event not in EVENTS:
        raise _NotUnderstood("unknown_event", event)
    room_id = _text(payload.get("room_id") or room.get("id"))
    if not room_id:
        raise _NotUnderstood("no_room", "room_id")
    at, flagged = _time(payload, "created_at", now) or (now, True)
    return Fact("", "", room_id, rfc3339(at, "milliseconds"), clock_flagged=flagged)


def _message(payload: Mapping[str, Any], room: Mapping[str, Any], base: Fact) -> list[Fact]:
    """The message itself; a campaign is sent to many and answers nobody."""
    message_id = _text(payload.get("id"), ID_LENGTH - len("message:"))
    if not message_id:
        raise _NotUnderstood("no_id", "id")
    # Anything but a clear no is a campaign: no broadcast may stop an alarm.
    campaign = payload.get("is_campaign")
    if campaign and _text(campaign).lower() not in ("false", "0", "no", "f", "n", "null", "none"):
        return []
    who = _sender(payload)
    channel = _text(room.get("channel"))
    return [
        replace(
            base,
            kind=MESSAGES[who],
            activity_id=f"message:{message_id}",
            actor_external_id=_text(payload.get("sender_id")) if who == "agent" else "",
            undelivered=who != "customer" and _text(payload.get("status")).lower() == FAILED,
            label=shortened_name(_text(room.get("name"), WHOLE)),
            channel=CHANNELS.get(channel, channel),
            asks=who == "customer" and any(mark in _text(payload.get("text"), WHOLE) for mark in QUESTION_MARKS),
            text=mask_cut(_text(payload.get("text"), WHOLE), TEXT_LENGTH) if who == "customer" else "",
        )
    ]


def _sender(payload: Mapping[str, Any]) -> str:
    """customer, bot or agent (a human). Raises _NotUnderstood unless both fields say so.

    A customer needs no sender_type; where there is no participant_type a known sender_type is enough. An outgoing
    message that a human typed in the phone's own app comes back as an echo without a sender: a human we do not know.
    """
    if _is_echo(payload):
        return "agent"
    participant = _text(payload.get("participant_type"))
    sender = SENDERS.get(_text(payload.get("sender_type")), "")
    who = participant or sender
    if who not in MESSAGES:
        raise _NotUnderstood("unknown_sender", "participant_type")
    if sender != who and (who != "customer" or sender):
        raise _NotUnderstood("unknown_sender", "sender_type")
    return who


def _is_echo(payload: Mapping[str, Any]) -> bool:
    """Marked as an echo, and nothing says who wrote it."""
    extra = payload.get("content_attributes")
    marks = [payload, extra] if isinstance(extra, dict) else [payload]
    marked = any(one.get(name) in (True, "true", 1) for one in marks for name in ECHO_MARKS)
    named = payload.get("sender_type") or payload.get("sender_id")
    return marked and not named and _text(payload.get("participant_type")) in ("", "agent")


def _of_room(payload: Mapping[str, Any], room: Mapping[str, Any], base: Fact, now: datetime) -> list[Fact]:
    """That the room is assigned, once per session, or resolved, once per resolution: every message repeats it."""
    status = _text(room.get("status")).lower()
    if status == "assigned":
        session = _text(room.get("session_at") or room.get("created_at"), MOMENT)
        human = ""
        with suppress(_NotUnderstood):
            human = _text(payload.get("sender_id")) if _sender(payload) == "agent" else ""
        since = None if human else _time_of(room, "updated_at", now)
        return [_told_by_room(base, "assigned", session, since, human)]
    if status == "resolved":
        over = _time_of(room, "resolved_at", now)
        # One that cannot be read still tells one resolution from the next.
        named = _text(room.get("resolved_at"), MOMENT) or _text(payload.get("created_at"), MOMENT)
        by_human = _text(room.get("resolved_by_type")) == "Models::User"
        by = _text(room.get("resolved_by_id")) if by_human else ""
        moment = rfc3339(over[0], "milliseconds") if over else named or base.at
        return [_told_by_room(base, "resolved", moment, over, by)]
    return []


def _told_by_room(base: Fact, kind: str, moment: str, time: tuple[datetime, bool] | None, actor: str) -> Fact:
    """`moment` tells this one from the next; without a `time` of its own it was when the message was."""
    at, flagged = (rfc3339(time[0], "milliseconds"), time[1]) if time else (base.at, base.clock_flagged)
    return replace(
        base,
        kind=kind,
        activity_id=f"{kind}:{base.room_id[: ID_LENGTH - len(kind) - len(moment) - 2]}:{moment}",
        at=at,
        clock_flagged=flagged,
        actor_external_id=actor,
    )


def _time(payload: Mapping[str, Any], name: str, now: datetime) -> tuple[datetime, bool] | None:
    """The time, and whether its clock was ahead; None for what cannot be read, or lies in the future.

    Raises _NotUnderstood (too_old).
    """
    try:
        return times.judge_time(msgspec.convert(payload.get(name), datetime), now)
    except (msgspec.ValidationError, OverflowError, ValueError):
        return None
    except times.BadTime as error:
        if error.code == "too_old":
            raise _NotUnderstood(error.code, name) from None
        return None


def _time_of(room: Mapping[str, Any], name: str, now: datetime) -> tuple[datetime, bool] | None:
    try:
        return _time(room, name, now)
    except _NotUnderstood:
        return None


def _text(value: Any, longest: int = NAME_LENGTH) -> str:
    """A value as text that can be stored; empty for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    return text.replace("\x00", "").encode(errors="replace").decode().strip()[:longest]


def shortened_name(name: str) -> str:
    """`Ibu Sari Dewi Hartono` -> `Ibu Sari D. H.`: enough to find the room again; phone numbers, addresses masked."""
    words = mask(name).split()
    kept = 2 if words and words[0].lower().rstrip(".") in TITLES else 1
    initials = (f"{word[0]}." if word[0].isalpha() else word for word in words[kept:])
    return " ".join([*words[:kept], *initials])[:NAME_LENGTH]
