"""What senders say that they sent, against what arrived: so that a loss on the way is seen, which nothing else shows.

A client sends with each request how many items its process has sent so far (`X-Items-Sent`), these included, and a
random name of that process (`X-Client-Id`). What the count grew by was sent; what did not come with it was lost, or is
still on its way. A request that comes again, or late, brings no growth: its items count as arrived, but those we had.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Sum

from alerts.models import SenderHour, SenderProcess
from orgs.auth import OrgIds

DAY = timedelta(hours=24)
ADD = """
INSERT INTO alerts_senderhour AS kept (org_id, source_id, hour, sent, arrived) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (org_id, source_id, hour) DO UPDATE
SET sent = kept.sent + excluded.sent, arrived = kept.arrived + excluded.arrived
"""
TOGETHER = 16  # processes without a name that send from one place, told apart by their counts
MOST = 10**12  # a count beyond it is none


class SaidSent(NamedTuple):
    """What one request said: `n` items so far, with this one's `items`, of which we knew `duplicates` before.

    `named`: `process` is the process's own name, which no other has; else where it sends from, which others may share.
    """

    org_id: int | None
    source_id: int
    process: str
    named: bool
    n: int
    items: int
    duplicates: int


@dataclass(slots=True)
class SentCount:
    """Items that were said to be sent, and those of them that arrived."""

    sent: int = 0
    arrived: int = 0

    @property
    def lost(self) -> int:
        """How many are missing; those that are on their way come later, and may belong to an earlier hour."""
        return max(0, self.sent - self.arrived)

    def add(self, sent: int, arrived: int) -> None:
        self.sent += sent
        self.arrived += arrived


def counted_sent(said: str) -> int | None:
    """The count of an `X-Items-Sent` header; None for anything that is none.

    >>> [counted_sent(said) for said in ("17", " 0 ", "-1", "1e3", "", "9" * 40, "٣")]
    [17, 0, None, None, None, None, None]
    """
    digits = said.strip()
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > len(str(MOST)):
        return None
    n = int(digits)
    return n if n <= MOST else None


def grown(counts: Sequence[int], one: SaidSent) -> tuple[list[int], int, int]:
    """What a request adds to what its process, or each of those that share a place, had sent up to `counts`. Pure.

    The counts now, the newest first; items sent; items arrived. A smaller count of a process with a name of its own is
    a request that was overtaken, or comes again. Without a name it is told by its count whose it is: who continues,
    comes again or begins; else the nearest below has lost something.

    >>> grown([10], SaidSent(1, 1, "p", True, 15, 3, 0)), grown([15], SaidSent(1, 1, "p", True, 10, 4, 4))
    (([15], 5, 3), ([15], 0, 0))
    """
    if one.named:
        last = counts[0] if counts else 0
        return ([one.n], one.n - last, one.items) if one.n > last else ([last], 0, one.items - one.duplicates)
    before, again = one.n - one.items, one.n in counts
    goes_on = before == 0 or before in counts
    if again and (one.duplicates == one.items or not goes_on):
        return list(counts), 0, one.items - one.duplicates
    last = before if goes_on else max((count for count in counts if count < one.n), default=0)
    rest = list(counts)
    if last in rest:
        rest.remove(last)
    return [one.n, *rest][:TOGETHER], one.n - last, one.items


def add_sent(said: Sequence[SaidSent], now: datetime) -> None:
    """Add what these requests said, in their order. One transaction; raises the errors of the database."""
    if not said:
        return
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    keys = sorted({(one.org_id or 0, one.source_id, one.process) for one in said})
    with transaction.atomic():
        fresh = [SenderProcess(org_id=o or None, source_id=s, process=p, at=now) for o, s, p in keys]
        SenderProcess.objects.bulk_create(fresh, ignore_conflicts=True)  # in order, so that no two wait in a circle
        held = SenderProcess.objects.filter(source__in={s for _, s, _ in keys}, process__in={p for *_, p in keys})
        processes = {
            (one.org_id or 0, one.source_id, one.process): one
            for one in held.select_for_update().order_by("org_id", "source_id", "process")
        }
        counts: dict[tuple[int, int], SentCount] = defaultdict(SentCount)
        for one in said:
            process = processes[one.org_id or 0, one.source_id, one.process]
            process.counts, sent, arrived = grown(process.counts, one)
            process.at = now
            counts[one.org_id or 0, one.source_id].add(sent, arrived)
        SenderProcess.objects.bulk_update(processes.values(), ["counts", "at"])
        rows = [
            (org or None, source, hour, one.sent, one.arrived)
            for (org, source), one in sorted(counts.items(), key=lambda pair: pair[0])
        ]
        with connection.cursor() as cursor:
            cursor.executemany(ADD, rows)


def sent_of(sources: Iterable[int], orgs: OrgIds, now: datetime) -> dict[int, dict[datetime, SentCount]]:
    """Of each source with counts in the last 24 h: start of each hour -> what was sent and arrived. One query.

    Of the platform's sources only for who sees all orgs: their counts are of all. Run it inside a scope.
    """
    start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - DAY + timedelta(hours=1)
    rows = SenderHour.objects.filter(source__in=list(sources), hour__gte=start)
    rows = rows if orgs.every else rows.filter(org__in=orgs.pks)
    found: dict[int, dict[datetime, SentCount]] = defaultdict(dict)
    sums = rows.order_by().values_list("source_id", "hour").annotate(sent=Sum("sent"), arrived=Sum("arrived"))
    for source, hour, sent, arrived in sums:
        found[source][hour] = SentCount(sent, arrived)
    return dict(found)
