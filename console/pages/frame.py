"""What the frame of every page shows. Lazy: the admin and the log-in pages use little of it."""

import json
import zoneinfo
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts import figures, onboarding
from alerts.models import BROKEN_TIMERS, Alert, Gate, Push, Silence
from alerts.onboarding import Progress
from alerts.reach import Coverage
from console.pages.board.saved import ViewMenu, menu_views, normal_query
from console.pages.duty.query import ToldOfNothing, told_of_nothing
from console.pages.menu import menu_counts
from console.pages.silences.query import ending_soon
from console.templatetags.lm import ACTS
from console.text.org_names import twin_orgs
from console.text.sentences import severity_name
from console.text.wording import script_words, span
from orgs import clock
from orgs.auth import NO_ORG, OrgIds, leads, orgs_of, visible_orgs, within
from orgs.models import Org, Severity, User


class Shell:
    """The frame of a page for its person."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    @cached_property
    def me(self) -> User | None:
        """The signed-in person."""
        user = self.request.user
        return user if user.is_authenticated else None

    @cached_property
    def org_ids(self) -> OrgIds:
        if hasattr(self.request, "org_ids"):
            return self.request.org_ids
        return visible_orgs(self.request.user)

    @cached_property
    def orgs(self) -> list[Org]:
        """The orgs this person sees; the page may have asked for them."""
        if hasattr(self.request, "orgs"):
            return self.request.orgs
        return orgs_of(self.org_ids) if self.me else []

    @cached_property
    def twins(self) -> dict[str, str]:
        """What the orgs are called whose name another one of this person's has too: `twin_orgs`."""
        return twin_orgs(self.orgs)

    @property
    def twins_json(self) -> str:
        """The same for the script, which gets rows that were made for everybody."""
        return json.dumps(self.twins, ensure_ascii=False)

    @cached_property
    def now(self) -> datetime:
        return clock.now()

    @cached_property
    def zone(self) -> str:
        return timezone.get_current_timezone_name()

    @property
    def offset(self) -> int:
        """How many minutes the zone is ahead of UTC now, for a browser that does not know the zone."""
        ahead = timezone.localtime(self.now).utcoffset()
        return int(ahead.total_seconds() // 60) if ahead is not None else 0

    @cached_property
    def theme(self) -> str:
        """`light` or `dark`; empty: as the device."""
        theme = self.me.theme if self.me else "auto"
        return "" if theme == "auto" else theme

    @cached_property
    def counts(self) -> dict[str, int]:
        """What there is to tell of: `menu_counts`."""
        if self.me is None:
            return defaultdict(int)
        seen = [org.pk for org in self.orgs]
        with within(self.org_ids):
            return menu_counts(self.me, seen, [pk for pk in seen if pk in self.led])

    @property
    def waiting(self) -> int:
        """Alerts that need a human, in all my orgs."""
        return self.counts["waiting"]

    @cached_property
    def views(self) -> ViewMenu:
        """The saved views that the menu shows."""
        if self.me is None or not (self.counts["views"] or self.counts["own_views"]):
            return ViewMenu([], more=False)
        on_board = self.request.path == reverse("board")
        asked = normal_query(self.request.GET.urlencode()) if on_board else None
        with within(self.org_ids):
            return menu_views(self.me, self.org_ids, asked, self.now)

    @cached_property
    def led(self) -> OrgIds:
        """The orgs in which this person looks after pushes."""
        return leads(self.me) if self.me else NO_ORG

    @property
    def looks_after(self) -> bool:
        """Whether there is any org in which this person looks after sources and pushes."""
        return bool(self.led)

    @property
    def source_alarms(self) -> int:
        """Sources that are silent or refused, in the orgs this person looks after."""
        return self.counts["source_alarms"]

    @property
    def dead_pushes(self) -> int:
        """Pushes that ended dead in the orgs where this person looks after pushes."""
        return self.counts["dead_pushes"]

    @cached_property
    def broken_timers(self) -> list[UUID]:
        """For specialists: the alerts whose timers fail, the longest first."""
        if self.me is None or not self.me.is_specialist or not self.counts["broken_timers"]:
            return []
        with within(self.org_ids):
            return list(Alert.objects.filter(BROKEN_TIMERS).order_by("-timer_failures").values_list("pk", flat=True))

    @property
    def clocks_apart(self) -> str:
        """For specialists: by how much this machine's clock is not PostgreSQL's; empty where it is the same."""
        if self.me is None or not self.me.is_specialist:
            return ""
        apart = abs(self.now - datetime.now(UTC))
        return span(round(apart.total_seconds())) if apart >= clock.FAR_APART else ""

    @cached_property
    def ending_silences(self) -> Sequence[tuple[Silence, datetime, int]]:
        """This person's silences that end in the next 10 min while something is open: until when, and how much."""
        if self.me is None or not self.counts["silences"]:
            return []
        with within(self.org_ids):
            return ending_soon(self.me, self.now)

    @cached_property
    def told_of_nothing(self) -> list[ToldOfNothing]:
        """Where this person is away or has handed their rooms over, and until when."""
        if self.me is None or not (self.counts["away"] or self.counts["handed_over"]):
            return []
        with within(self.org_ids):
            return told_of_nothing(self.me, self.now)

    @cached_property
    def reach(self) -> Coverage:
        """How many production agents can reach a supervisor, as of a minute ago at most; the page may know it."""
        if hasattr(self.request, "reach"):
            return self.request.reach
        if self.me is None:
            return Coverage()
        with within(self.org_ids):
            return Coverage.together(figures.coverage_lately(self.orgs, self.now).values())

    @cached_property
    def setups(self) -> list[Progress]:
        """The orgs this person looks after whose setup is not finished, the newest first."""
        if not self.led:
            return []
        with within(self.led):
            return onboarding.unfinished(org for org in self.orgs if org.pk in self.led)

    @property
    def setup(self) -> Progress | None:
        """The newest org whose setup is not finished."""
        return next(iter(self.setups), None)

    @cached_property
    def trouble(self) -> Gate | None:
        """For specialists: the gate that holds every push back; None while pushes go out."""
        if self.me is None or not self.me.is_specialist or not self.counts["closed_gates"]:
            return None
        held = Q(reason="configuration") | Q(reason__in=["breaker", "retry_after"], closed_until__gt=self.now)
        return Gate.objects.filter(held).first()

    @cached_property
    def held_pushes(self) -> int:
        """How many pushes wait to go out."""
        with within(self.org_ids):
            return Push.objects.filter(state=Push.State.PENDING).count()

    @property
    def standin(self) -> bool:
        """Whether a stand-in takes the pushes, so that no phone rings."""
        return bool(settings.NOTIFICATION_SERVICE_IS_STANDIN)

    @property
    def words(self) -> dict[str, Any]:
        """The texts of the scripts in the page's language."""
        return _words(translation.get_language())

    @cached_property
    def languages(self) -> list[tuple[str, str, bool]]:
        """Code and own name of each language, and whether the page is in it."""
        return [(code, str(name), code == translation.get_language()) for code, name in settings.LANGUAGES]


@cache
def _words(language: str | None) -> dict[str, Any]:
    """In the language that is active; a counted one in both its forms."""
    return {
        **script_words(),
        "new": _("{n} new"),
        "new_critical": _("{n} new, {k} critical"),
        "alerts": (ngettext("{n} alert", "{n} alerts", 1), ngettext("{n} alert", "{n} alerts", 2)),
        "more_folded": (
            ngettext("{n} more room under an outage", "{n} more rooms under an outage", 1),
            ngettext("{n} more room under an outage", "{n} more rooms under an outage", 2),
        ),
        "folded": (_("1 of them is a room under an outage"), _("{n} of them are rooms under an outage")),
        "need": (_("1 alert needs a human"), _("{n} alerts need a human")),
        "nobody": _("No alert needs a human"),
        "customers": (_("1 customer waiting, longest"), _("{n} customers waiting, longest")),
        "no_customer": _("No customer is waiting"),
        "held": (_("1 alert has somebody on it"), _("{n} alerts have somebody on them")),
        "show_more": _("Show {n} more"),
        "title": (_("1 needs a human · Live"), _("{n} need a human · Live")),
        "title_none": _("Live"),
        "reconnecting": _("Stale since {time}. Reconnecting in {n} s; the feed then catches up by itself."),
        "signed_in_as": _("{name} is signed in now, from another tab."),
        "signed_in_as_act": _("This was not done: {name} is signed in now, from another tab."),
        "signed_out_before": _("You were signed out before this was done: {act}, “{room}”."),
        "do_now": _("Do it now"),
        "trying": _("Still trying: {act}, “{room}” …"),
        "not_done": _("Not done: {act}, “{room}”."),
        "try_again": _("Try again"),
        "dismiss": _("Dismiss"),
        "acts": {verb: str(name) for verb, name in ACTS.items()}
        | {
            "assign": _("Assign"),
            "snooze": _("Snooze"),
            "verdict": _("Verdict"),
            "comment": _("Comment"),
            "undo": _("Undo"),
        },
        "signed_out": _("You are signed out. Sign in to go on watching."),
        "paused_none": _("Live is paused. Nothing has changed since."),
        "paused_some": (_("Live is paused. 1 change waits."), _("Live is paused. {n} changes wait.")),
        "paused_critical": (
            _("Live is paused. 1 change waits, and it is critical."),
            _("Live is paused. {n} changes wait, {k} of them critical."),
        ),
        "news": _("New, critical: {said}"),
        "news_many": _("{n} new critical alerts"),
        "severities": {value: severity_name(value) for value in reversed(Severity.values)},
        "also_here": (_("{names} has this alert open too"), _("{names} have this alert open too")),
        "pause": _("Pause live"),
        "resume": _("Resume live"),
        "copied": _("Copied."),
        "no_more": _("No other alert is open in this list."),
        "failed": _("This did not work: the service gave no answer. Try again."),
        "refused": _("This is not allowed or no longer there. The page shows what is true now."),
    }


def zones() -> list[str]:
    """Every time zone a person may choose, Indonesia's first."""
    first = ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", "UTC"]
    return first + sorted(zone for zone in zoneinfo.available_timezones() if "/" in zone and zone not in first)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context of templates/base.html."""
    return {"shell": Shell(request)}
