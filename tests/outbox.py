"""What the tests of the outbox share."""

import random
from datetime import UTC, datetime
from typing import Any

from alerts.delivery import outbox
from alerts.models import Gate, Push
from tests.standins import Standins


class NoJitter(random.Random):
    """The whole delay, every time."""

    def uniform(self, a: float, b: float) -> float:
        return b


def sweep() -> int:
    return outbox.sweep_outbox(rng=NoJitter())


def fresh(push: Push) -> Push:
    return Push.objects.get(id=push.id)


def posts(standins: Standins) -> list[dict[str, Any]]:
    """The pushes that arrived at the stand-in, however it answered; what takes one back is none."""
    return [row for row in standins.log() if row["method"] == "POST" and row["path"] != "/v1/revocations"]


def set_gate(**fields: Any) -> None:
    """The gate as a test wants it: open, with a full bucket, unless told otherwise."""
    start = {
        "tokens": 200.0,
        "refilled_at": datetime.now(UTC),
        "failures": 0,
        "closed_until": None,
        "reason": "",
        "probing": False,
        "allowance": None,
    }
    Gate.objects.update_or_create(id=1, defaults=start | fields)
