"""Names, times and durations as people read them; each piece carries data for the browser to make it personal.

A row that is sent to everybody who may see it says "Rina" and the org's time; `static/js/words.js` swaps one's own
name for "you" and writes every time in one's own zone. A page is written for its reader at once: see `read_by`.
"""

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime

from django.utils import timezone
from django.utils.dates import MONTHS_3
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from orgs.clock import time_mark
from orgs.models import FORMER, User

NAMED = 3  # people named in a sentence; the rest are counted
TWO_WORDS = {"muhammad", "mohammad", "mohamad", "moh", "moch", "ni", "i", "dewa", "putu", "made"}


@dataclass(frozen=True)
class Word:
    """A few words with their icon and colour."""

    tone: str
    icon: str
    text: str


_reader: ContextVar[str] = ContextVar("reader", default="")


@contextmanager
def read_by(user: User | None) -> Iterator[None]:
    """Word texts for this person alone: "you" for their name, the current time zone for every time. None: for all."""
    token = _reader.set(user.sso_id if user else "")
    try:
        yield
    finally:
        _reader.reset(token)


def _local(at: datetime, zone: str) -> datetime:
    """In the zone of the one reader, if there is one, else in `zone`."""
    return at.astimezone(zoneinfo.ZoneInfo(timezone.get_current_timezone_name() if _reader.get() else zone))


CLOCK = len("59:59")  # a wait that takes more room is written smaller (`data-long`)


def duration(seconds: float) -> str:
    """A wait as on a clock: 04:38; from an hour on 1 h 05."""
    whole = max(0, int(seconds))
    if whole < 3600:
        return f"{whole // 60:02d}:{whole % 60:02d}"
    return _("{hours} h {minutes}").format(hours=whole // 3600, minutes=f"{whole % 3600 // 60:02d}")


def span(seconds: float) -> str:
    """A length of time in one unit, or two: 20 s, 5 min, 2 h, 3 days."""
    whole = max(0, int(seconds))
    if whole < 60:
        return _("{n} s").format(n=whole)
    if whole < 3600:
        return _("{n} min").format(n=whole // 60)
    if whole < 2 * 86400:
        return _("{n} h").format(n=whole // 3600)
    return _("{n} days").format(n=whole // 86400)


def ago(at: datetime, now: datetime) -> SafeString:
    """`4 min ago`, kept up to date by the browser, exact on hover."""
    text = _("{span} ago").format(span=span((now - at).total_seconds()))
    return format_html('<time datetime="{}" data-ago>{}</time>', at.isoformat(), text)


def before(at: datetime, then: datetime) -> SafeString:
    """`2 min before`: how long before `then`, which stands beside the sentence; the browser leaves it as it is."""
    return format_html("{}", _("{span} before").format(span=span((then - at).total_seconds())))


def clock(at: datetime, zone: str, *, seconds: bool = False) -> SafeString:
    """`02:13` in the zone, rewritten by the browser in the reader's zone."""
    mark = time_mark()
    text = _local(at, zone).strftime(f"%H{mark}%M{mark}%S" if seconds else f"%H{mark}%M")
    return format_html('<time datetime="{}" data-clock="{}">{}</time>', at.isoformat(), "s" if seconds else "m", text)


def day_clock(at: datetime, zone: str) -> SafeString:
    """`14 Nov 19:02`: day and time, for what may be older than today."""
    local = _local(at, zone)
    text = f"{day_of(local)} {local:%H}{time_mark()}{local:%M}"
    return format_html('<time datetime="{}" data-clock="d">{}</time>', at.isoformat(), text)


def moment(at: datetime, zone: str, now: datetime, *, seconds: bool = False) -> SafeString:
    """The time of day of what is today, day and time of everything else: 07:00 may mean tomorrow."""
    today = _local(at, zone).date() == _local(now, zone).date()
    return clock(at, zone, seconds=seconds) if today else day_clock(at, zone)


def day_of(day: date, *, year: bool = False) -> str:
    """`14 Nov`, `14 Nov 2026`: a day of the calendar, which is the same in every zone."""
    return f"{day.day} {str(MONTHS_3[day.month]).capitalize()}" + (f" {day.year}" if year else "")


def short_name(name: str) -> str:
    """How colleagues call somebody: the first word, two where the first alone says little."""
    words = name.split()
    if name == FORMER:
        return name
    if len(words) > 1 and (words[0].lower().rstrip(".") in TWO_WORDS or len(words[0]) < 3):
        return " ".join(words[:2])
    return words[0] if words else name


def initials(who: object) -> str:
    """Two letters for the avatar of whoever is called so."""
    words = [word for word in str(who).replace("@", " ").split() if word[0].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper()


def bdi(text: object) -> SafeString:
    """What others wrote, isolated: a name in a right-to-left script turns none of the words around it."""
    return format_html("<bdi>{}</bdi>", text)


def person(user: User | None, *, start: bool = False) -> SafeString:
    """A name that the browser turns into "you" for its bearer; `start`: at the start of a sentence."""
    if user is None:
        return format_html("{}", _("A human agent") if start else _("a human agent"))
    you = _("You") if start else _("you")
    if user.sso_id == _reader.get():
        return format_html("{}", you)
    return format_html('<bdi data-person="{}" data-you="{}">{}</bdi>', user.sso_id, you, short_name(str(user)))


def people(users: Sequence[User]) -> SafeString:
    """`Rina`, `Rina and Bayu`, `Rina, Bayu and Sinta`, `Rina, Bayu, Sinta and 4 more`."""
    names: list[str] = [person(user) for user in users[:NAMED]]
    if more := users[NAMED:]:
        names.append(_("{n} more").format(n=len(more)))
    if len(names) < 2:
        return format_html("{}", names[0] if names else "")
    return format_html(_("{first} and {last}"), first=commas(names[:-1]), last=names[-1])


def commas(texts: Iterable[str]) -> SafeString:
    """`Rina, Bayu, Sinta`"""
    return format_html_join(", ", "{}", ((text,) for text in texts))


def whose(user: User | None, theirs: str, yours: str, **parts: object) -> SafeString:
    """A sentence about one person in two forms, because a verb may change: "Bayu is ..." and "You are ...".

    `theirs` has `{name}`; `yours` has not. The browser shows the second to its bearer.
    """
    if user is None:
        return format_html(theirs, name=_("A human agent"), **parts)
    own = format_html(yours, **parts) if parts else format_html("{}", yours)
    if user.sso_id == _reader.get():
        return own
    return format_html(
        '<span data-person="{}"><span data-theirs>{}</span><span data-yours hidden>{}</span></span>',
        user.sso_id,
        format_html(theirs, name=bdi(short_name(str(user))), **parts),
        own,
    )


def script_words() -> dict[str, str]:
    """What static/js/words.js says of times, and of the connection."""
    return {
        "hours": _("{hours} h {minutes}"),
        "s": _("{n} s"),
        "min": _("{n} min"),
        "h": _("{n} h"),
        "days": _("{n} days"),
        "ago": _("{span} ago"),
        "live": pgettext("connection", "Live"),
        "connecting": _("Connecting"),
        "stale": _("Stale"),
    }
