"""What an answer means. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

from agent_live_monitoring.retry import retry_after
from agent_live_monitoring.transport import Answer

AGAIN = {408, 425, 429, 500, 502, 503, 504}
STATUSES = {"created", "updated", "duplicate", "conflict", "invalid"}

# settled: each item has its result. again: nothing was stored, send the same. suspect: the same, but the items
# may be to blame, or their number. split: one of the items is. refused: none of them will ever be taken. moved: a
# redirect, which may be a proxy's for a moment; one that stays will take none of them.
Fate = Literal["settled", "again", "suspect", "split", "refused", "moved"]


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

    Only what the service itself says settles anything: a proxy's page, half an answer mean "again".
    """
    content = _json(answer.body)
    results = _results(content, count) if answer.status == 207 else None
    if results is not None:
        return Verdict("settled", results)
    if 300 <= answer.status < 400:
        return Verdict("moved", code="redirected", message=_elsewhere(answer), status=answer.status)
    error = _error(content)
    unsaid = "unavailable" if answer.status in AGAIN else "not_the_contract"
    code, message = (error.code, error.message) if error else (unsaid, f"Status {answer.status}.")
    fate = _fate(answer.status, known=error is not None)
    return Verdict(fate, (), code, message, retry_after(answer.retry_after, now), answer.status)


def _elsewhere(answer: Answer) -> str:
    """Where a redirect leads, without what may be secret in it."""
    target = re.split("[?#]", answer.location or "")[0][:200]
    return f"Status {answer.status}: redirected to {target or 'nowhere'}. Redirects are not followed: use that address."


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
        return Result(False, str(error["code"]), str(error["message"]), _of_the_item(error.get("field")))
    except (KeyError, TypeError, AttributeError):
        return None


def _of_the_item(field: object) -> str | None:
    """The field as the caller knows it: which place the item had in our request says nothing to them."""
    return re.sub(r"^items\[\d+\]\.?", "", str(field)) or None if field else None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
