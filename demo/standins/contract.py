"""The body of `POST /v1/notifications` as `docs/contracts/notification-service.yaml` has it."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

SsoId = Annotated[str, Meta(min_length=1, max_length=200)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
Instant = Annotated[datetime, Meta(tz=True)]


class ContractError(Exception):
    """The body is not the contract's; `field` is the path of what is wrong, `message` says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Recipient(Struct, forbid_unknown_fields=True):
    """Whom to tell."""

    sso_id: SsoId


class Data(Struct, forbid_unknown_fields=True):
    """What the phone opens. `alert_id` and `room_id` are null in a test push, a push about duty and a digest."""

    alert_id: Name | None
    org_id: Name
    room_id: Name | None
    url: Text
    sequence: Annotated[int, Meta(ge=0)]
    occurred_at: Instant
    alert_ids: list[Name] | UnsetType = UNSET


class Notification(Struct, forbid_unknown_fields=True):
    """One notification to one supervisor. `ttl_seconds` counts from acceptance."""

    user_source: Literal["chat"]
    recipient: Recipient
    channels: list[Literal["in_app", "push"]]
    title: Name
    body: Text
    locale: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
    severity: Literal["info", "warning", "critical"]
    collapse_key: Name
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)]
    data: Data
    priority: Literal["normal", "high"] = "normal"
    replaces: Annotated[list[Name], Meta(max_length=10)] = []


class RevocationData(Struct, forbid_unknown_fields=True):
    """What the phone opens."""

    alert_id: Name
    org_id: Name
    url: Text
    occurred_at: Instant


class Revocation(Struct, forbid_unknown_fields=True):
    """What replaces all that one person's phones show under these keys, without a sound."""

    user_source: Literal["chat"]
    recipient: Recipient
    collapse_keys: Annotated[list[Name], Meta(min_length=1, max_length=10)]
    title: Name
    body: Text
    locale: Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")]
    ttl_seconds: Annotated[int, Meta(ge=1, le=86_400)]
    data: RevocationData


def parse(body: Any) -> Notification:
    """Check decoded JSON against the contract; raises `ContractError`."""
    try:
        notification = msgspec.convert(body, Notification)
    except msgspec.ValidationError as problem:
        raise as_contract_error(problem) from problem
    if sorted(notification.channels) != ["in_app", "push"]:
        raise ContractError("channels", "Expected in_app and push, each once.")
    _check_url(notification.data.url)
    return notification


def parse_revocation(body: Any) -> Revocation:
    """The same of a revocation."""
    try:
        revocation = msgspec.convert(body, Revocation)
    except msgspec.ValidationError as problem:
        raise as_contract_error(problem) from problem
    _check_url(revocation.data.url)
    return revocation


def _check_url(text: str) -> None:
    try:
        url = urlsplit(text)
    except ValueError:
        url = urlsplit("")
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ContractError("data.url", "Expected an absolute http or https URL.")


def as_contract_error(problem: msgspec.ValidationError) -> ContractError:
    """Turn msgspec's sentence into a field path and a message."""
    text = str(problem)
    message, _, path = text.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    if named := re.search(r"(?:required|unknown) field `([^`]+)`", message):
        path = f"{path}.{named[1]}".lstrip(".")
    return ContractError(path, f"{message}.")
