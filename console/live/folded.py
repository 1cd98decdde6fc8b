"""The rooms that stand folded under the row of an outage."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min
from django.db.models.functions import Coalesce
from django.utils.formats import number_format
from django.utils.translation import ngettext

from alerts.actions import rooms_under
from alerts.decide import RANK
from alerts.models import Alert
from console.text import sentences
from console.text.wording import moment


@dataclass(frozen=True)
class FoldedRooms:
    """The rooms that stand folded under the row of an outage: how many, the worst severity, the longest wait."""

    n: int
    worst: str
    since: datetime | None


def folded_rooms(alerts: Sequence[Alert]) -> dict[UUID, FoldedRooms]:
    """What is folded under those of these alerts that are outages. One query for each outage that is open."""
    found = {}
    for outage in alerts:
        if outage.is_outage and outage.state != Alert.State.RESOLVED:
            rows = rooms_under(outage).order_by()
            counted = dict(rows.values_list("severity").annotate(n=Count("pk")))
            longest = rows.aggregate(since=Min(Coalesce("customer_waiting_since", "first_failure_at")))["since"]
            worst = max(counted, key=lambda severity: RANK[severity], default="")
            found[outage.pk] = FoldedRooms(sum(counted.values()), worst, longest)
    return found


def say_folded(folded: FoldedRooms | None, zone: str, now: datetime) -> dict[str, Any] | None:
    """What the row of an outage says of its rooms; None for other rows."""
    if folded is None:
        return None
    return {
        "n": folded.n,
        "rooms": ngettext("{n} room under it needs a human", "{n} rooms under it need a human", folded.n).format(
            n=number_format(folded.n)
        ),
        "worst": sentences.severity_name(folded.worst),
        "since": moment(folded.since, zone, now) if folded.since else "",
    }
