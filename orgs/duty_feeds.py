"""Calendars of duty: made, found, revoked, written. The secret is part of the address and exists once: in what
`make_feed` answers.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django_scopes import scopes_disabled

from orgs.auth import OrgIds, within
from orgs.duty.roster import duty_of
from orgs.ics import CalendarEntry, calendar_text
from orgs.models import Assignment, DutyFeed, Org, User
from orgs.rosters import rosters_of

BEFORE, AHEAD, DAY = timedelta(days=7), timedelta(days=62), timedelta(days=1)
ENDING = ".ics"
MOST_FEEDS = 10  # live ones of a person in an org; an older one ends when one more is made
NO_DIGEST = bytes(32)


class UnknownFeed(Exception):
    """No such calendar, a secret that is not its own, revoked, or its person left: the caller is not told which."""


def make_feed(org: Org, user: User, now: datetime) -> tuple[DutyFeed, str]:
    """Make a calendar of this person's duty; gives it and its whole address, which is not kept anywhere."""
    token = secrets.token_urlsafe(32)
    made = DutyFeed.objects.create(org=org, user=user, token_hash=_digest(token))
    live = DutyFeed.objects.filter(org=org, user=user, revoked_at=None).order_by("-pk")
    DutyFeed.objects.filter(pk__in=list(live.values_list("pk", flat=True)[MOST_FEEDS:])).update(revoked_at=now)
    return made, settings.BASE_URL + reverse("duty_feed", args=[f"{made.public_id}.{token}{ENDING}"])


def revoke_feeds(org: Org, user: User, now: datetime) -> int:
    """End all calendars of this person in the org for good; how many were live."""
    return DutyFeed.objects.filter(org=org, user=user, revoked_at=None).update(revoked_at=now)


def find_feed(segment: str) -> DutyFeed:
    """The live calendar named by the last part of an address, `public_id.token.ics`. Raises UnknownFeed.

    Found by its public id, the secret's hash compared in constant time, whether there is one or not. It ends with its
    person's last assignment in the org.
    """
    public_id, _dot, token = segment.removesuffix(ENDING).partition(".")
    name = public_id if segment.endswith(ENDING) and public_id.isascii() and public_id.isalnum() else ""
    with scopes_disabled():
        rows = DutyFeed.objects.select_related("org", "user")
        found = rows.filter(public_id=name, revoked_at=None, user__is_active=True).first()
        same = hmac.compare_digest(_digest(token), bytes(found.token_hash) if found else NO_DIGEST)
        if found is None or not same or not Assignment.objects.filter(org=found.org, user=found.user).exists():
            raise UnknownFeed
    return found


def feed_text(feed: DutyFeed, now: datetime) -> str:
    """The calendar itself, from a week ago to 62 days ahead; the duty that routing goes by. It begins with a day of the
    org, and duty that had already lasted a day by then has a name of its own: so an entry is the same one whenever it
    is read.
    """
    org, user = feed.org, feed.user
    zone = ZoneInfo(org.zone)
    first_day = datetime.combine((now - BEFORE).astimezone(zone).date(), time(), zone)
    begin, end = first_day - DAY, now + AHEAD
    with within(OrgIds.of([org.pk])):
        roster = rosters_of([org.pk], begin)[org.pk]
    roles = {one.role_id: one.role for one in roster.shifts if one.user_id == user.pk}
    entries = [
        CalendarEntry(
            f"duty:{feed.public_id}:{role_id}:{'lasting' if span.begin <= begin else span.begin.isoformat()}",
            max(span.begin, first_day),
            span.end,
            title,
            org.name,
        )
        for role_id, role in roles.items()
        for title in [_("On duty: %(role)s") % {"role": role}]
        for span in duty_of(roster, user.pk, role_id, begin, end)
        if span.end > first_day
    ]
    return calendar_text(_("Duty, %(org)s") % {"org": org.name}, sorted(entries, key=lambda one: one.starts), now)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
