"""What an answer means. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from agent_live_monitoring.retry import retry_after
from agent_live_monitoring.transport import Answer

AGAIN = {408, 425, 429, 500, 502, 503, 504}
STATUSES = {"created", "updated", "duplicate", "conflict", "invalid"}

# settled: each item has its result. again: nothing was stored, send the same. suspect: the same, but the items
# may be to blame, or their number. split: one of the items is. refused: none of them will ever be taken.
Fate = Literal["settled", "again", "suspect", "split", "refused"]


class Result(NamedTuple):
    """What became of one item."""

    taken: bool
    code: str = ""
    message: str = ""
    field: str | None = None


class Verdict(NamedTuple):
    """What to do next, and why. `asked`: seconds the service asked us to wait."""

    fate: Fate
    results: tuple[Result, ...] = ()
    code: str = ""
    message: str = ""
    asked: float | None = None
    status: int | None = None


def judge(answer: Answer, count: int, now: datetime) -> Verdict:
    """The verdict on the answer to `count` items.

    Only what the service itself says settles anything: a proxy's page, a redirect, half an answer mean "again".
    """
    content = _json(answer.body)
    results = _results(content, count) if answer.status == 207 else None
    if results is not None:
        return Verdict("settled", results)
    error = _error(content)
    unsaid = "unavailable" if answer.status in AGAIN else "not_the_contract"
    code, message = (error.code, error.message) if error else (unsaid, f"Status {answer.status}.")
    fate = _fate(answer.status, known=error is not None)
    return Verdict(fate, (), code, message, retry_after(answer.retry_after, now), answer.status)


def _fate(status: int, known: bool) -> Fate:
    if status == 500:
        return "suspect"
    if status in AGAIN or not known or not 400 <= status < 500:
        return "again"
    return "split" if status in (400, 413) else "refused"


def _results(content: Any, count: int) -> tuple[Result, ...] | None:
    """A result for each item in the order they were sent, None if this is not the contract's answer."""
    try:
        results = {result["index"]: _result(result) for result in content["results"]}
        return tuple(results[index] for index in range(count))
    except (KeyError, TypeError, ValueError):
        return None


def _result(result: Mapping[str, Any]) -> Result:
    status = result["status"]
    if status not in STATUSES:
        raise ValueError(status)
    if status not in ("conflict", "invalid"):
        return Result(taken=True)
    return _error(result) or Result(False, status)


def _error(content: Any) -> Result | None:
    """The contract's one error shape."""
    try:
        error = content["error"]
        return Result(False, str(error["code"]), str(error["message"]), error.get("field"))
    except (KeyError, TypeError, AttributeError):
        return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
