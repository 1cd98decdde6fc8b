"""What was worded for everybody, made one reader's own: as if it had been worded for them, at this moment.

The browser does the same with rows that come over the socket (`personalise` in static/js/words.js).
"""

import re
from datetime import datetime

from django.utils import timezone
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from console.text.wording import ago, duration, moment
from orgs.models import User

PERSON = re.compile(
    r'<bdi data-person="(?P<who>[^"]*)" data-you="(?P<you>[^"]*)">[^<]*</bdi>'
    r'|<span data-person="(?P<whose>[^"]*)"><span data-theirs>.*?</span>'
    r"<span data-yours hidden>(?P<yours>.*?)</span></span>",
    re.DOTALL,
)
TIME = re.compile(
    r'<time datetime="(?P<at>[^"]+)" data-(?P<kind>tick|ago|clock)(?:="[md]")?>[^<]*</time>'
    r'|class="lm-row (?P<tone>[^"]*)"(?P<rest>[^>]*? data-late-at="(?P<late_at>[^"]+)")'
)
LATE = "lm-row--late"


def as_read(html: str, user: User, now: datetime) -> SafeString:
    """Rows of the failure feed for this person, inside `read_by` them. Their name is "you", times are theirs."""
    me, zone = escape(user.sso_id), timezone.get_current_timezone_name()

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
                return f'<time datetime="{found["at"]}" data-tick>{duration((now - at).total_seconds())}</time>'
            case "ago":
                return ago(at, now)
        return moment(at, zone, now)

    own = PERSON.sub(name, html) if f'data-person="{me}"' in html else html
    return mark_safe(TIME.sub(time, own))  # noqa: S308 - our own template made it
