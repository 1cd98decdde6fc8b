"""How long to wait before the same is sent again. Pure, but for the dice."""

from __future__ import annotations

import random
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

FIRST_SECONDS, LONGEST_SECONDS = 0.5, 30.0
LONGEST_ASKED_SECONDS = 300.0


def pause(attempt: int, asked: float | None) -> float:
    """Seconds before attempt number `attempt` (1 is the first repeat): full jitter under a doubling cap.

    What the service asked for comes first; the jitter on top keeps a thousand senders from returning at once.
    """
    cap = min(FIRST_SECONDS * 2.0 ** min(attempt - 1, 10), LONGEST_SECONDS)
    return (asked or 0.0) + random.uniform(0.0, cap)  # noqa: S311 - jitter, not a secret


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header, a number or a date, within reason; None where it says nothing."""
    try:
        seconds = float(value or "")
    except ValueError:
        seconds = _until(value or "", now)
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), LONGEST_ASKED_SECONDS)


def _until(date: str, now: datetime) -> float:
    try:
        at = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError):  # TypeError: what Python 3.9 says about no date at all
        return float("nan")
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp() - now.timestamp()
