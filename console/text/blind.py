"""When we could not see, in sentences: what a page says about the time it leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from alerts.blind import BlindSpan, BlindStretch, blind_minutes, cut_spans, merged_spans
from console.text.wording import bdi, clock, moment, span

MINUTE = 60.0  # seconds


@dataclass(frozen=True)
class Blindness:
    """How long we could not see within a period, in words, and each stretch of it as a sentence, the newest first.

    `spans`: the same, merged, as far as the period goes. Nothing to say: all is empty.
    """

    length: str
    said: list[SafeString]
    spans: list[BlindSpan]


def blindness(
    stretches: Sequence[BlindStretch], starts: datetime, ends: datetime, now: datetime, zone: str, *, of_orgs: bool
) -> Blindness:
    """Of these stretches within [starts, ends). `of_orgs`: the page shows several, so that each is named."""
    whole = [BlindSpan(one.starts, one.ends or now) for one in stretches]
    spans = cut_spans(merged_spans(whole), starts, ends)
    length = span(MINUTE * blind_minutes(spans)) if stretches else ""
    return Blindness(length, [_sentence(one, now, zone, of_orgs) for one in reversed(stretches)], spans)


def _sentence(one: BlindStretch, now: datetime, zone: str, of_orgs: bool) -> SafeString:
    words = {"start": moment(one.starts, zone, now), "why": _why(one, of_orgs)}
    if one.ends is None:
        return format_html(_("We have not been able to see since {start}, because {why}."), **words)
    same_day = one.starts.astimezone(ZoneInfo(zone)).date() == one.ends.astimezone(ZoneInfo(zone)).date()
    end = clock(one.ends, zone) if same_day else moment(one.ends, zone, now)
    return format_html(_("We could not see from {start} to {end}, because {why}."), end=end, **words)


def _why(one: BlindStretch, of_orgs: bool) -> SafeString | str:
    if one.source_name is None:
        return _("we were down")
    if of_orgs and one.org_name is not None:
        said = _("nothing came from {source} about {org}")
        return format_html(said, source=bdi(one.source_name), org=bdi(one.org_name))
    return format_html(_("nothing came from {source}"), source=bdi(one.source_name))


def shades(spans: Sequence[BlindSpan], first: datetime, step: timedelta) -> list[tuple[float, float]]:
    """The spans in steps of a chart that begins at `first`."""
    return [((one.starts - first) / step, (one.ends - first) / step) for one in spans]
