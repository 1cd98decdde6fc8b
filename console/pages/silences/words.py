"""What a silence covers and when it lasts, as people read it."""

from datetime import datetime
from html import unescape

from django.utils.html import format_html, strip_tags
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.models import Silence
from console.pages.silences.query import ListedSilence
from console.text.wording import bdi, commas, moment, person
from orgs.signals import signal_name


def silence_what(one: Silence) -> SafeString:
    """`Billing Bot, Low confidence, whatsapp`; `The whole org`."""
    if one.whole_org:
        return format_html("{}", _("The whole org"))
    parts: list[str] = [bdi(one.agent.name)] if one.agent else []
    parts += [format_html("{}", signal_name(one.signal))] if one.signal else []
    parts += [format_html(_("room {id}"), id=bdi(one.room_id))] if one.room_id else []
    return commas([*parts, *([bdi(one.channel)] if one.channel else [])])


def silence_name(one: Silence) -> str:
    """The same as plain text."""
    return unescape(strip_tags(silence_what(one)))


def silence_when(listed: ListedSilence, zone: str, now: datetime) -> SafeString:
    """Until when it lasts, when it begins, or when and how it ended; in the org's zone."""
    one = listed.silence
    if listed.state == "ended":
        return _ended(one, zone, now)
    assert listed.window is not None
    starts, ends = moment(listed.window.starts, zone, now), moment(listed.window.ends, zone, now)
    if listed.state == "active":
        return format_html(_("until {time}"), time=ends)
    return format_html(_("{start} to {end}"), start=starts, end=ends)


def _ended(one: Silence, zone: str, now: datetime) -> SafeString:
    time = moment(one.ended_at or one.ends_at, zone, now)
    match one.ended_how:
        case Silence.Ended.PERSON if one.ended_by is not None:
            return format_html(_("ended by {person} at {time}"), person=person(one.ended_by), time=time)
        case Silence.Ended.IDLE:
            return format_html(_("ended at {time}: nothing matched for {n} min"), time=time, n=one.until_idle_minutes)
    return format_html(_("ended at {time}"), time=time)


def silence_again(one: Silence, zone: str, now: datetime) -> SafeString:
    """How it recurs, and what else ends it; empty for one that does neither."""
    parts = []
    if one.recurrence and one.until is not None:
        said = _("every day until {time}") if one.recurrence == "daily" else _("every week until {time}")
        parts.append(format_html(said, time=moment(one.until, zone, now)))
    if one.until_idle_minutes and one.ended_at is None:
        parts.append(format_html(_("ends after {n} min without a failure"), n=one.until_idle_minutes))
    return commas(parts)


def silence_held(n: int) -> str:
    """How many alerts people were told nothing of."""
    if n == 0:
        return _("held nothing back")
    return ngettext("held back {n} alert", "held back {n} alerts", n).format(n=n)


def silence_matches(n: int) -> str:
    """What a new one would hold now."""
    if n == 0:
        return _("This matches no open alert now.")
    return ngettext("This matches {n} open alert now.", "This matches {n} open alerts now.", n).format(n=n)
