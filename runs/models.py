"""What the agents did: runs, their reviews, and the roll-ups. Written by runs/store.py (and what it exports) only."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django_scopes import ScopedManager

from orgs.models import NAME, Agent, Org, Source
from orgs.texts import ID_LENGTH, TEXT_LENGTH


class AgentRun(models.Model):
    """One execution of an agent. Posted whole, or at its start and completed later by the same `run_id`.

    Empty texts and nulls were not said. Times are as sent, for how long it took lies between two of them; one that was
    over 5 min ahead is its receipt, and `*_as_sent` keeps what was sent. `altered`: for a field (or `metadata.KEY`)
    that is not stored as it was sent, a mark of what was sent, so that a repeat is told from a conflict.
    """

    class Resolution(models.TextChoices):
        RESOLVED = "resolved", _("Resolved")
        ESCALATED = "escalated", _("Escalated")
        FAILED = "failed", _("Failed")

    class Surface(models.TextChoices):
        CHATBOT = "chatbot", _("Chatbot")
        CHATWOOT = "chatwoot", "Chatwoot"
        SHOPIFY_ADMIN = "shopify_admin", "Shopify Admin"
        RUNBOOK = "runbook", _("Runbook")

    id = models.BigAutoField(primary_key=True)
    # To check a reference costs as much as a third of the row. A run is stored with its hour, whose agent is checked,
    # and with it the org; a trigger keeps an agent that has runs.
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    source = models.ForeignKey(  # who posted it first
        Source, models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    run_id = models.UUIDField()
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    agent_version = models.CharField(max_length=NAME, blank=True)
    input_kind = models.CharField(max_length=NAME)
    channel = models.CharField(max_length=NAME, blank=True)
    surface = models.CharField(max_length=16, choices=Surface, blank=True)
    room = models.CharField(max_length=NAME, blank=True)  # the room's id in the chat product; we may never hear of it
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    started_as_sent = models.DateTimeField(null=True)
    ended_as_sent = models.DateTimeField(null=True)
    resolution = models.CharField(max_length=16, choices=Resolution, blank=True)
    self_corrected = models.BooleanField(null=True)  # null counts as no
    tokens_input = models.BigIntegerField(null=True)
    tokens_output = models.BigIntegerField(null=True)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=5, null=True)
    sla_target_seconds = models.PositiveIntegerField(null=True)
    confidence = models.FloatField(null=True)
    message_count = models.PositiveIntegerField(null=True)
    message_cap = models.PositiveIntegerField(null=True)
    handoff_expected = models.BooleanField(null=True)
    human_touched = models.BooleanField(null=True)  # the run's own word
    touched = models.BooleanField(null=True)  # that word, else what the room's activity says; null: unknown
    metadata = models.JSONField(default=dict)
    flags = ArrayField(models.CharField(max_length=16), default=list)  # clock, truncated, masked
    altered = models.JSONField(default=dict)
    detected = ArrayField(models.CharField(max_length=32), default=list)  # signals
    due_at = models.DateTimeField(null=True)  # of a run that has not ended: when it is overdue
    overdue_at = models.DateTimeField(null=True)  # it was not ended then
    review_count = models.PositiveIntegerField(default=0)
    review_sum = models.PositiveIntegerField(default=0)
    received_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        constraints = [models.UniqueConstraint(fields=["org", "run_id"], name="agentrun_org_run")]
        indexes = [
            # lists of an org, the raw rows of a window, purge
            models.Index(fields=["org", "-started_at", "-id"], name="agentrun_org_started"),
            # lists of an agent, its last n runs
            models.Index(fields=["org", "agent", "-started_at", "-id"], name="agentrun_agent_started"),
            # the runs of a room
            models.Index(fields=["org", "room", "started_at"], condition=~Q(room=""), name="agentrun_room"),
            # the watchdog: what should have ended by now
            models.Index(
                fields=["due_at"], condition=Q(due_at__isnull=False, overdue_at__isnull=True), name="agentrun_due"
            ),
        ]

    def __str__(self) -> str:
        return str(self.run_id)


class AgentQc(models.Model):
    """A human's review of a run, which may come before its run. A reviewer's later score replaces the earlier one.

    `reviewer_key`: the reviewer, or where that is masked a mark of who it is: two people never become one.
    """

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    source = models.ForeignKey(Source, models.CASCADE, related_name="+", db_index=False)
    run_id = models.UUIDField()
    review_id = models.CharField(max_length=ID_LENGTH)
    reviewer = models.CharField(max_length=NAME, blank=True)
    reviewer_key = models.CharField(max_length=NAME, blank=True)
    quality_score = models.PositiveSmallIntegerField()
    rubric = models.JSONField(default=dict)  # {name: 1..5}
    notes = models.CharField(max_length=TEXT_LENGTH, blank=True)
    flags = ArrayField(models.CharField(max_length=16), default=list)  # truncated, masked
    payload_hash = models.BinaryField(max_length=32)
    at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True)  # by a later score of the same reviewer

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name = _("QC review")
        verbose_name_plural = _("QC reviews")
        constraints = [
            models.UniqueConstraint(
                fields=["org", "run_id", "review_id"], condition=Q(replaced_at__isnull=True), name="agentqc_org_review"
            ),
            models.UniqueConstraint(
                fields=["org", "run_id", "reviewer_key"],
                condition=Q(replaced_at__isnull=True) & ~Q(reviewer_key=""),
                name="agentqc_org_reviewer",
            ),
            models.CheckConstraint(condition=Q(quality_score__range=(1, 5)), name="agentqc_score_1_5"),
        ]
        indexes = [models.Index(fields=["org", "run_id", "-at"], name="agentqc_run")]  # a run's reviews, all of them

    def __str__(self) -> str:
        return f"{self.run_id}: {self.quality_score}"


class KeptSums(models.Model):
    """What some runs of an agent add up to: the amounts of `runs.sums.NAMES`, and how long they took.

    `durations`: {bucket: runs}.
    """

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+", db_index=False)
    runs = models.BigIntegerField(default=0)
    ended = models.BigIntegerField(default=0)
    resolved = models.BigIntegerField(default=0)
    escalated = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0)
    escalated_expected = models.BigIntegerField(default=0)
    escalated_cap = models.BigIntegerField(default=0)
    self_corrected = models.BigIntegerField(default=0)
    duration_us = models.DecimalField(max_digits=30, decimal_places=0, default=0)  # no sum of runs is beyond it
    sla_counted = models.BigIntegerField(default=0)
    sla_hit = models.BigIntegerField(default=0)
    cost_known = models.BigIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=20, decimal_places=5, default=0)
    touched_known = models.BigIntegerField(default=0)
    untouched_resolved = models.BigIntegerField(default=0)
    tokens_input = models.DecimalField(max_digits=30, decimal_places=0, default=0)
    tokens_output = models.DecimalField(max_digits=30, decimal_places=0, default=0)
    reviewed = models.BigIntegerField(default=0)
    quality = models.DecimalField(max_digits=20, decimal_places=6, default=0)
    durations = models.JSONField(default=dict)

    class Meta:
        abstract = True


class RunSums(KeptSums):
    """Those of one version, channel and kind of input, written with the runs themselves.

    `durations`: of what had changed `folded` times; `changes`: how often ended runs have changed since.
    """

    agent_version = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    input_kind = models.CharField(max_length=NAME)
    changes = models.BigIntegerField(default=0)
    folded = models.BigIntegerField(default=0)
    # changes != folded. What is indexed seldom changes, so that a row is added to in its page, without its indexes.
    stale = models.BooleanField(default=False)

    class Meta:
        abstract = True


class HourKpi(RunSums):
    """The runs that started within one hour of UTC."""

    hour = models.DateTimeField()

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "hour", "agent", "agent_version", "channel", "input_kind"], name="hourkpi_key"
            )
        ]
        indexes = [
            models.Index(fields=["id"], condition=Q(stale=True), name="hourkpi_stale")  # what is to be folded
        ]

    def __str__(self) -> str:
        return f"{self.org_id} {self.hour:%Y-%m-%d %H}"


class DayKpi(RunSums):
    """The runs that started within one day of the org's own zone, which the row keeps."""

    # Something changed since its agent's day was summed, durations or not. Old code says nothing of it.
    unsummed = models.BooleanField(default=True, db_default=True)
    day = models.DateField()
    zone = models.CharField(max_length=64)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["org", "day", "agent", "agent_version", "channel", "input_kind", "zone"], name="daykpi_key"
            )
        ]
        indexes = [
            # what is to be folded
            models.Index(fields=["id"], condition=Q(stale=True) | Q(unsummed=True), name="daykpi_unsummed"),
            models.Index(fields=["org", "zone"], name="daykpi_zone"),  # days of a zone that the org had before
        ]

    def __str__(self) -> str:
        return f"{self.org_id} {self.day}"


class AgentDay(KeptSums):
    """All runs of an agent that started within one day: what its DayKpi add up to, unless one is stale or unsummed.

    Written by runs/fold.py, so that it costs the way in nothing.
    """

    day = models.DateField()
    zone = models.CharField(max_length=64)

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "day", "agent", "zone"], name="agentday_key")]

    def __str__(self) -> str:
        return f"{self.org_id} {self.day}"


class PurgedRuns(models.Model):
    """Runs that were deleted, by the day of UTC on which they began as sent (runs/retention.py).

    Kept as long as the roll-ups, in which they still count.
    """

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    run_ids = ArrayField(models.UUIDField())

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name_plural = "purged runs"
        indexes = [models.Index(fields=["org", "day"], name="purgedruns_org_day")]  # what is sent again

    def __str__(self) -> str:
        return f"{self.org_id} {self.day}"


class AgentFlow(models.Model):
    """When an agent last reported a run of this kind from this place: written by runs/presence.py, off the way in."""

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    agent = models.ForeignKey(Agent, models.CASCADE, related_name="+", db_index=False)
    input_kind = models.CharField(max_length=NAME)
    surface = models.CharField(max_length=16, choices=AgentRun.Surface, blank=True)  # empty: not said
    reported_at = models.DateTimeField()  # receipt of its newest run
    last_run = models.BigIntegerField()  # that run's id: up to the greatest of all everything was read

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "agent", "input_kind", "surface"], name="agentflow_key")]
        indexes = [models.Index(fields=["org", "-reported_at"], name="agentflow_reported")]  # the page

    def __str__(self) -> str:
        return f"{self.agent_id} {self.input_kind} {self.surface}"


class RoomSession(models.Model):
    """One stretch of a conversation (runs/sessions.py), written by runs/containment.py; rooms.py has it look again.

    `settled`: contained, over, not abandoned, and no alert of the room is open. `durable`: the customer did not come
    back within 7 days; None: too early to say, or not settled.
    """

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    room = models.CharField(max_length=NAME)  # the room's id in the chat product, as in AgentRun
    began_at = models.DateTimeField()
    last_customer_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="+", db_index=False)
    agent_version = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    input_kind = models.CharField(max_length=NAME, blank=True)
    touched = models.BooleanField()
    contained = models.BooleanField()
    abandoned = models.BooleanField()
    settled = models.BooleanField()
    durable = models.BooleanField(null=True)
    due_at = models.DateTimeField(null=True)  # when time alone may change it

    objects = ScopedManager(org="org")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["org", "room", "began_at"], name="roomsession_org_room_began")]
        indexes = [
            # the sessions of a stretch of time
            models.Index(fields=["org", "began_at"], name="roomsession_org_began"),
            # the sweep: whose time has come
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="roomsession_due"),
        ]

    def __str__(self) -> str:
        return f"{self.room} {self.began_at:%Y-%m-%d %H:%M}"


class DaySessions(models.Model):
    """How the sessions went that began on one day of the org's own zone, of one agent, version, channel, input kind."""

    id = models.BigAutoField(primary_key=True)
    org = models.ForeignKey(Org, models.CASCADE, related_name="+", db_index=False)
    day = models.DateField()
    zone = models.CharField(max_length=64)
    agent = models.ForeignKey(Agent, models.CASCADE, null=True, related_name="+", db_index=False)
    agent_version = models.CharField(max_length=NAME, blank=True)
    channel = models.CharField(max_length=NAME, blank=True)
    input_kind = models.CharField(max_length=NAME, blank=True)
    sessions = models.PositiveIntegerField()
    contained = models.PositiveIntegerField()
    settled = models.PositiveIntegerField()
    abandoned = models.PositiveIntegerField()
    old_enough = models.PositiveIntegerField()
    durable = models.PositiveIntegerField()

    objects = ScopedManager(org="org")

    class Meta:
        verbose_name_plural = "day sessions"
        constraints = [
            models.UniqueConstraint(
                fields=["org", "day", "agent", "agent_version", "channel", "input_kind"],
                name="daysessions_key",
                nulls_distinct=False,
            )
        ]

    def __str__(self) -> str:
        return f"{self.org_id} {self.day}"


class SessionsMark(models.Model):
    """How far the rows were read from which sessions are made: the ids up to which nothing new can come."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    activity = models.BigIntegerField(default=0)
    event = models.BigIntegerField(default=0)
    transition = models.BigIntegerField(default=0)
    run = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="sessionsmark_one_row")]

    def __str__(self) -> str:
        return f"{self.activity}/{self.event}/{self.transition}"


class FoldMark(models.Model):
    """How far the rows were read for what changes runs later: the ids up to which nothing new can come."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    run = models.BigIntegerField(default=0)
    activity = models.BigIntegerField(default=0)
    review = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="foldmark_one_row")]

    def __str__(self) -> str:
        return f"{self.run}/{self.activity}/{self.review}"
