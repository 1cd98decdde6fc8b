"""The half of a preview that no draft changes: the span as it was. Whoever compares several drafts plays it once."""

import hashlib
from datetime import timedelta
from typing import Any

import msgspec
from django.db.models import Max

from alerts.models import PolicyPreview
from alerts.replay.history import History
from alerts.replay.past import NOT_ASKED
from orgs import clock
from orgs.history import tracked

HELD = timedelta(hours=1)  # for so long the same rules are taken to hold


def basis_of(history: History) -> str:
    """What the span as it was hangs on, as one word: all that happened, and the newest entry of then of every history
    of the set-up.
    """
    setup = [
        events._base_manager.filter(pgh_created_at__lte=history.until).aggregate(newest=Max("pgh_id"))["newest"]
        for model, events in tracked().items()
        if model not in NOT_ASKED
    ]
    happened = (
        history.org.pk, history.begin, history.since, history.until, history.events, history.activities, history.runs,
        history.changes, history.pushes, list(history.alerts.values()), history.rooms, list(history.detected.items()),
        history.numbers, {pk: one.sso_id for pk, one in history.people.items()},
    )  # fmt: skip
    return hashlib.blake2b(msgspec.json.encode((setup, happened)), digest_size=16).hexdigest()


def as_it_was_before(asked: PolicyPreview, basis: str) -> tuple[dict[str, Any], int] | None:
    """The figures of the span as it was, and how many pushes were not reproduced, from a preview on the same basis."""
    done = PolicyPreview.objects.filter(
        org=asked.org_id, since=asked.since, until=asked.until, state=PolicyPreview.State.DONE
    )
    kept = done.filter(asked_at__gt=clock.now() - HELD, answer__basis=basis).first()
    return None if kept is None or kept.answer is None else (kept.answer["now"], kept.answer["not_reproduced"])
