"""What an answer of notification-service means for the push that was sent. Pure."""

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from alerts.masking import mask_cut

RETRY_AFTER_MIN, RETRY_AFTER_MAX = 1.0, 3600.0  # seconds
RETRIED = frozenset({408, 425, 429})
MISCONFIGURED = frozenset({401, 403, 404, 405})  # wrong secret or wrong address: no push of any org would pass
NUMBER = re.compile(r"\d+(\.\d*)?([eE]\+?\d+)?", re.ASCII)
SERVICE = "notification-service"

UNKNOWN_THERE = frozenset({404, 405, 501})  # of a revocation: a service that does not take pushes back

PushOutcomeKind = Literal["sent", "retry", "refused", "configuration", "given_back", "put_off", "unsupported"]


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """What became of one attempt.

    `answer` is for people, at most 300 characters. `retry_after` in seconds: the service asked everybody to wait.
    `given_back`: not sent at all, the claim was too old or sending was stopped. Of a revocation: `put_off` is tried
    again and says nothing of how pushes fare; `unsupported`, the service does not know what that is.
    """

    kind: PushOutcomeKind
    answer: str
    retry_after: float | None = None
    notification_id: str = ""
    push: str = ""


def no_answer(why: str) -> PushOutcome:
    """The network failed, or the deadline passed: it may or may not have arrived, so the same key goes again."""
    return PushOutcome("retry", f"no answer from {SERVICE}: {why}"[:300])


GIVEN_BACK = PushOutcome("given_back", "")


def classify(status: int, retry_after: str | None, body: bytes | None, now: datetime) -> PushOutcome:
    """Judge an answer; `body` None means that it was longer than we read. `now` is the wall clock, UTC."""
    if 200 <= status < 300:
        match _decoded(body):
            case {"notification_id": str(given), "in_app": str(), "push": "queued" | "no_token" as push} if (
                given and given.isprintable()
            ):
                return PushOutcome("sent", f"accepted by {SERVICE}", notification_id=given[:200], push=push)
        return PushOutcome("retry", f"{status} from {SERVICE}, but the answer is not the contract's")
    answer = f"{status} from {SERVICE}"
    if status in MISCONFIGURED:
        return PushOutcome("configuration", answer + _reason_given(body))
    if 300 <= status < 400 or status in RETRIED or status >= 500:
        return PushOutcome("retry", answer, retry_after=seconds_to_wait(retry_after, now))
    return PushOutcome("refused", answer + _reason_given(body))


def classify_revocation(status: int, retry_after: str | None, body: bytes | None, now: datetime) -> PushOutcome:
    """The same for a revocation: what becomes of it holds up no push, but for a wrong secret and a wish to wait."""
    if 200 <= status < 300:
        return PushOutcome("sent", f"accepted by {SERVICE}")
    if status in UNKNOWN_THERE:
        return PushOutcome("unsupported", f"{status} from {SERVICE}")
    outcome = classify(status, retry_after, body, now)
    if outcome.kind == "retry" and outcome.retry_after is None:
        return replace(outcome, kind="put_off")
    return outcome


def refused_field(status: int, body: bytes | None) -> str:
    """The field that a 422 names, the first part of its path; empty for none."""
    match _decoded(body) if status == 422 else None:
        case {"error": {"field": str(field)}}:
            return field.partition(".")[0].partition("[")[0]
    return ""


def _reason_given(body: bytes | None) -> str:
    """The service's own words in the one error shape, without control characters and personal data."""
    match _decoded(body):
        case {"error": {"message": str(message)}} if message:
            return f": {mask_cut(''.join(c if c.isprintable() else ' ' for c in message), 248)}"
    return ""


def _decoded(body: bytes | None) -> object:
    try:
        return json.loads(body or b"")
    except (ValueError, RecursionError):
        return None


def seconds_to_wait(retry_after: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds or as an HTTP date, clamped to 1 s - 1 h; None where it is missing or garbage."""
    if retry_after is None:
        return None
    text = retry_after.strip()
    if NUMBER.fullmatch(text):
        seconds = float(text)
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, RETRY_AFTER_MIN), RETRY_AFTER_MAX)
