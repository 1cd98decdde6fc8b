"""Blind time as spans: how they are merged, cut and counted. Pure: plain data in, plain data out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, order=True)
class BlindSpan:
    """From `starts` (inclusive) to `ends` (exclusive) we could not see."""

    starts: datetime
    ends: datetime


def merged_spans(spans: Iterable[BlindSpan]) -> list[BlindSpan]:
    """The same time without overlaps: sorted, none empty; spans that touch are one."""
    found: list[BlindSpan] = []
    for span in sorted(spans):
        if span.starts >= span.ends:
            continue
        if found and span.starts <= found[-1].ends:
            found[-1] = BlindSpan(found[-1].starts, max(found[-1].ends, span.ends))
        else:
            found.append(span)
    return found


def cut_spans(spans: Iterable[BlindSpan], starts: datetime, ends: datetime) -> list[BlindSpan]:
    """What of the spans lies between these moments, in their order."""
    cut = (BlindSpan(max(span.starts, starts), min(span.ends, ends)) for span in spans)
    return [span for span in cut if span.starts < span.ends]


def blind_minutes(spans: Sequence[BlindSpan]) -> float:
    """How many minutes the spans cover, each moment once."""
    return sum(((span.ends - span.starts) / MINUTE for span in merged_spans(spans)), 0.0)
