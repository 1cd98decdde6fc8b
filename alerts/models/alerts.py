"""What a supervisor sees: alerts, the failure events that attach to them, every change and its reason."""

import time
import uuid
from datetime import datetime
from operator import itemgetter
from random import getrandbits
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import JSONArray, JSONObject
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager
from msgspec import structs

from alerts.decide import AlertFacts
from alerts.models.rooms import Room
from orgs.models import NAME, Agent, Org, Severity, Source
from orgs.texts import TEXT_LENGTH

_FACTS = itemgetter(*AlertFacts.__struct_fields__)  # columns of the same names


def new_id() -> uuid.UUID:
    """A UUIDv7 (RFC 9562): ordered by creation time, so that index inserts stay local; tells no count, is no secret."""
    # The system's random bytes would give the interpreter to another thread each time: a tenth of a batch of events.
    value = (time.time_ns() // 1_000_000) << 80 | getrandbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)


class Alert(models.Model):
    """What a supervisor sees: one open alert per room. `version` grows by one with every change."""

    class Scope(models.TextChoices):
        ROOM = "room", _("Room")
        AGENT = "agent", _("Agent")
        SOURCE = "source", _("Source")
        ORG = "org", _("Org")

    class State(models.TextChoices):
        OPEN = "open", _("Open")
        ACKNOWLEDGED = "acknowledged", _("Acknowledged")
        INTERVENED = "intervened", _("Intervened")
        RESOLVED = "resolved", _("Resolved")

    class Verdict(models.TextChoices):
        CONFIRMED = "confirmed", _("Confirmed")
        FALSE_ALARM = "false_alarm", _("False alarm")

    class By(models.TextChoices):
        HUMAN = "human"
        ROOM = "room"
        QUIET = "quiet"
        ABANDONED = "abandoned"
        RECOVERED = "recovered"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Here and below `db_index=False`: an index that begins with the column is there, or nobody asks by it. People,
    # agents and sources are never deleted, so nothing looks for the rows that name one.
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", verbose_name=_("org"), db_index=False)
    scope = models.CharField(max_length=8, choices=Scope, default=Scope.ROOM)
    room = models.ForeignKey(
        Room, models.CASCADE, null=True, related_name="alerts", verbose_name=_("room"), db_index=False
    )
    agent = models.ForeignKey(
        Agent, models.CASCADE, null=True, related_name="+", verbose_name=_("agent"), db_index=False
    )
    source = models.ForeignKey(  # of an alert of scope source
        Source, models.CASCADE, null=True, related_name="+", db_index=False
    )
    # Of a room: the source that told of the failure which began the episode, or worsened it.
    from_source = models.ForeignKey(Source, models.CASCADE, null=True, related_name="+", db_index=False)
    agent_version = models.CharField(max_length=NAME, blank=True)
    severity = models.CharField(_("severity"), max_length=8, choices=Severity)
    state = models.CharField(_("state"), max_length=16, choices=State, default=State.OPEN)
    # In order of arrival: [{"signal", "count", "first_at", "last_at", "severity", "note"}], times as RFC 3339;
    # "agents": pks of others than the alert's own that failed so.
    signals = models.JSONField(default=list)
    event_count = models.PositiveIntegerField(default=0)
    version = models.PositiveIntegerField(default=1)

    # The current episode: from first failure to human act or end.
    episode = models.PositiveIntegerField(default=1)
    # When its last episodes began, the newest four: many within the hour is flapping.
    episodes_at = ArrayField(models.DateTimeField(), default=list, db_default=[])
    opened_at = models.DateTimeField()
    first_failure_at = models.DateTimeField()
    last_event_at = models.DateTimeField(_("last failure"))
    ladder_from = models.DateTimeField()  # the repeat ladder and the reading of "nobody acted" start here
    repeats_done = models.PositiveSmallIntegerField(default=0)
    # Reopened or released as an act, or told at last of those who came on duty: end timers count from here too.
    revived_at = models.DateTimeField(null=True)
    human_acted_at = models.DateTimeField(null=True)  # first human act in the room; time to intervene ends
    last_told_at = models.DateTimeField(null=True)  # the last time anybody was told
    last_reason = models.CharField(max_length=32, blank=True)  # the last decision, shown as a sentence

    # Tiers: the highest that was told in this episode, or passed; 0 = none. Its clock started at `tier_from`, which a
    # pause moves on; at `escalate_at` the next one is told.
    tier = models.PositiveSmallIntegerField(default=0, db_default=0)
    tier_from = models.DateTimeField(null=True)
    escalate_at = models.DateTimeField(null=True)
    tiers_over_at = models.DateTimeField(null=True)  # nobody of the last tier acted either, and specialists know
    expiries = models.PositiveSmallIntegerField(default=0, db_default=0)  # of acknowledges, in this episode
    # Of all who back up its agent none could be told: whoever comes on duty is. If all on duty are in quiet hours: the
    # first of them at `hours_until`.
    duty_waits = models.BooleanField(default=False, db_default=False)
    hours_until = models.DateTimeField(null=True)

    # Of the outage of an agent or a source: the rooms whose episode began at `covers_from` or later, and that nobody
    # has, are under it. It ends at `ends_at`, which each new room moves on; after it those that still wait are told, at
    # `released_at`.
    covers_from = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True)
    rooms_told = models.PositiveIntegerField(default=0, db_default=0)  # how many had failed when people were told
    worsened_at = models.DateTimeField(null=True)  # when people were told last that it opened, or doubled
    held_until = models.DateTimeField(null=True)  # of a room under one: its clocks are not looked at before
    ends_not_before = models.DateTimeField(null=True)  # a source was silent: whether it is quiet is not known before

    # While its customer waits: until when they may be answered freely, and when people are told that this ends soon.
    window_ends_at = models.DateTimeField(null=True)
    window_closing_at = models.DateTimeField(null=True)
    window_told = models.PositiveIntegerField(default=0, db_default=0)  # the episode in which they were
    window_over_at = models.DateTimeField(null=True)  # it ended, and nobody had answered

    # Of a silenced one: what silences it, since when, and until when as far as is known; alerts/actions/silenced.py.
    silence = models.ForeignKey(
        "alerts.Silence", models.SET_NULL, null=True, related_name="+", db_index=False, db_constraint=False
    )
    silenced_from = models.DateTimeField(null=True)
    silenced_until = models.DateTimeField(null=True)

    customer_waiting_since = models.DateTimeField(null=True)
    waited_since = models.DateTimeField(null=True)  # of the wait that a human ended by coming
    acknowledged_at = models.DateTimeField(null=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    acknowledge_expires_at = models.DateTimeField(null=True)
    intervened_at = models.DateTimeField(null=True)
    intervened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    resolved_at = models.DateTimeField(null=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    resolved_kind = models.CharField(max_length=16, choices=By, blank=True)
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    snoozed_until = models.DateTimeField(null=True)
    undoable = models.JSONField(default=list)  # what the last acts replaced, for their undo: alerts/actions/undo.py
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    verdict_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    verdict_note = models.CharField(max_length=TEXT_LENGTH, blank=True)

    occurrence = models.PositiveIntegerField(default=0)  # how often people were to be told; part of a push's key
    due_at = models.DateTimeField(null=True)  # the next timer of this alert: repeat, expiry, handoff clock, end
    timer_failures = models.PositiveSmallIntegerField(default=0)  # in a row; due_at is put off, specialists see it
    updated_at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["org", "room"],
                condition=~Q(state="resolved") & Q(scope="room"),
                name="alert_one_open_per_room",
            ),
            models.UniqueConstraint(
                fields=["org", "source"],
                condition=~Q(state="resolved") & Q(scope="source", covers_from__isnull=True),
                name="alert_one_open_per_source",
            ),
            models.UniqueConstraint(
                fields=["org", "source"],
                condition=~Q(state="resolved") & Q(scope="source", covers_from__isnull=False),
                name="alert_one_open_source_outage",
            ),
            models.UniqueConstraint(
                fields=["org", "agent"],
                condition=~Q(state="resolved") & Q(scope="agent", covers_from__isnull=True),
                name="alert_one_open_per_agent",
            ),
            models.UniqueConstraint(
                fields=["org", "agent"],
                condition=~Q(state="resolved") & Q(scope="agent", covers_from__isnull=False),
                name="alert_one_open_outage",
            ),
            models.UniqueConstraint(
                fields=["org"], condition=~Q(state="resolved") & Q(scope="org"), name="alert_one_open_per_org"
            ),
            models.CheckConstraint(
                condition=Q(scope="agent", agent__isnull=False) | ~Q(scope="agent"), name="alert_agent_has_agent"
            ),
            models.CheckConstraint(
                condition=Q(scope="source", source__isnull=False) | ~Q(scope="source"), name="alert_source_has_source"
            ),
            models.CheckConstraint(
                condition=Q(scope="room", room__isnull=False) | ~Q(scope="room"), name="alert_room_has_room"
            ),
            models.CheckConstraint(
                condition=Q(state="resolved", resolved_at__isnull=False)
                | (~Q(state="resolved") & Q(resolved_at__isnull=True)),
                name="alert_resolved_has_time",
            ),
        ]
        indexes = [
            # timers: WHERE due_at <= now
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="alert_due"),
            # the board and the checksum: what is open of an org
            models.Index(fields=["org", "-last_event_at"], condition=~Q(state="resolved"), name="alert_open"),
            # GET /api/alerts and the admin: newest activity first, of an org and of all
            models.Index(fields=["org", "-last_event_at", "-id"], name="alert_newest"),
            models.Index(fields=["-last_event_at", "-id"], name="alert_newest_of_all"),
            # the resolved tab, and what has just been resolved: newest first, of an org and of all
            models.Index(fields=["org", "-resolved_at", "-id"], condition=Q(state="resolved"), name="alert_resolved"),
            models.Index(fields=["-resolved_at", "-id"], condition=Q(state="resolved"), name="alert_resolved_of_all"),
            # the newest alert of each source, in each org: alerts/sources/watch.py
            models.Index(fields=["org", "source", "-opened_at"], condition=Q(scope="source"), name="alert_of_source"),
            # the newest alert of each agent as a whole: runs/watch.py
            models.Index(fields=["org", "agent", "-opened_at"], condition=Q(scope="agent"), name="alert_of_agent"),
            # whom nobody could be told of: alerts/actions/on_duty.py
            models.Index(fields=["org"], condition=Q(state="open", duty_waits=True), name="alert_duty_waits"),
            # the newest alert of each org as a whole: alerts/gaps.py
            models.Index(fields=["org", "-opened_at"], condition=Q(scope="org"), name="alert_of_org"),
            # outages that ended, and whose rooms are not told yet
            models.Index(
                fields=["resolved_at"],
                condition=Q(state="resolved", covers_from__isnull=False, released_at__isnull=True),
                name="alert_unreleased",
            ),
            # what a silence holds
            models.Index(fields=["silence"], condition=Q(silence__isnull=False), name="alert_silenced"),
            # the newest alert of a room, to arm again
            models.Index(fields=["room", "-opened_at"], name="alert_of_room"),
        ]

    def __str__(self) -> str:
        return f"{self.room or self.agent} {self.severity} {self.state}"

    @property
    def facts(self) -> AlertFacts:
        """What the pure rules need to know of it."""
        found = AlertFacts(*_FACTS(self.__dict__))
        return found if self.window_over_at is None else structs.replace(found, window_ends_at=None)

    @property
    def is_outage(self) -> bool:
        """Whether it is the outage of an agent or a source, with rooms under it."""
        return self.covers_from is not None

    def is_snoozed(self, now: datetime) -> bool:
        """Whether somebody holds its repeats at this time."""
        return self.snoozed_until is not None and self.snoozed_until > now

    def is_silenced(self, now: datetime) -> bool:
        """Whether a silence holds it at this time."""
        return self.silenced_until is not None and self.silenced_until > now

    @property
    def quiet_until(self) -> datetime | None:
        """Until when nobody is told of it again, because somebody snoozed or silenced it; in SQL: QUIET_UNTIL."""
        return max(filter(None, (self.snoozed_until, self.silenced_until)), default=None)

    @property
    def signals_now(self) -> list[dict[str, Any]]:
        """The entries of the current episode; in SQL: `signalling`."""
        return [entry for entry in self.signals if entry["episode"] == self.episode]

    @property
    def agents_now(self) -> list[int]:
        """The agents that failed in the current episode, by pk, its own first; 0: none that is known."""
        return [self.agent_id or 0, *sorted({pk for entry in self.signals_now for pk in entry.get("agents", ())})]


def signalling(signal: str) -> Q:
    """Alerts that have this signal in their current episode."""
    return Q(signals__contains=JSONArray(JSONObject(signal=Value(signal), episode=F("episode"))))


def under_outage(of: str = "") -> Q:
    """Alerts of rooms that are under an open outage of their agent or source; `of` leads to the alert: "alert__"."""
    is_open = {f"{of}state": Alert.State.OPEN, f"{of}scope": Alert.Scope.ROOM}
    return Q(**is_open) & (Q(Exists(outages_over(of))) | Q(Exists(outages_over(of, Alert.Scope.SOURCE))))


def outages_over(of: str = "", scope: str = Alert.Scope.AGENT) -> QuerySet[Alert]:
    """The open outage of an agent, or of a source, that covers the alert of the outer query, if it is open."""
    name, whose = ("agent", "agent") if scope == Alert.Scope.AGENT else ("source", "from_source")
    covering = {
        "org": OuterRef(f"{of}org"),
        name: OuterRef(f"{of}{whose}"),
        "covers_from__lte": OuterRef(f"{of}opened_at"),
    }
    return Alert._base_manager.filter(scope=scope, **covering).exclude(state=Alert.State.RESOLVED)


# What the alarm about ourselves counts: the open alerts that time can do nothing to, because their timers fail.
BROKEN_TIMERS = Q(timer_failures__gt=0) & ~Q(state=Alert.State.RESOLVED)
