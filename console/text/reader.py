"""What was worded for everybody, made one reader's own: as if it had been worded for them, at this moment.

The browser does the same with rows that come over the socket (`personalise` in static/js/words.js).
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from html import unescape

from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from console.text.wording import CLOCK, ago, duration, moment
from orgs.models import User

PERSON = re.compile(
    r'<bdi data-person="(?P<who>[^"]*)" data-you="(?P<you>[^"]*)">[^<]*</bdi>'
    r'|<span data-person="(?P<whose>[^"]*)"><span data-theirs>.*?</span>'
    r"<span data-yours hidden>(?P<yours>.*?)</span></span>",
    re.DOTALL,
)
TIME = re.compile(
    r'<time datetime="(?P<at>[^"]+)" data-(?P<kind>tick|ago|clock)(?:="[md]")?(?: data-long)?>[^<]*</time>'
    r'|class="lm-row (?P<tone>[^"]*)"(?P<rest>[^>]*? data-late-at="(?P<late_at>[^"]+)")'
)
LATE = "lm-row--late"
ORG = re.compile(r'(<bdi class="lm-meta-org" data-org="([^"]*)">)([^<]*)</bdi>')
NO_TWINS: Mapping[str, str] = {}


def as_read(html: str, user: User, now: datetime, twins: Mapping[str, str] = NO_TWINS) -> SafeString:
    """Rows of the failure feed for this person, inside `read_by` them. Their name is "you", times are theirs.

    `twins`: what the orgs are called whose name is not enough for this person (`twin_orgs`).
    """
    me, zone, language = escape(user.sso_id), timezone.get_current_timezone_name(), get_language()
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)

    def name(found: re.Match[str]) -> str:
        if found["who"] is not None:
            return found["you"] if found["who"] == me else found[0]
        return found["yours"] if found["whose"] == me else found[0]

    def time(found: re.Match[str]) -> str:
        if found["late_at"]:
            late = datetime.fromisoformat(found["late_at"]) <= now and LATE not in found["tone"]
            return f'class="lm-row {found["tone"]}{f" {LATE}" if late else ""}"{found["rest"]}'
        at = datetime.fromisoformat(found["at"])
        match found["kind"]:
            case "tick":
                text = duration((now - at).total_seconds())
                long = " data-long" if len(text) > CLOCK else ""
                return f'<time datetime="{found["at"]}" data-tick{long}>{text}</time>'
            case "ago":
                return ago(at, now)
        return _moment(at, zone, today, language)

    def org(found: re.Match[str]) -> str:
        return f"{found[1]}{escape(twins.get(unescape(found[2]), unescape(found[3])))}</bdi>"

    own = PERSON.sub(name, html) if f'data-person="{me}"' in html else html
    own = ORG.sub(org, own) if twins else own
    return mark_safe(TIME.sub(time, own))  # noqa: S308 - our own template made it


@lru_cache(maxsize=20_000)  # the rows of a board hold the same times again the next time
def _moment(at: datetime, zone: str, today: datetime, language: str | None) -> SafeString:
    return moment(at, zone, today)
