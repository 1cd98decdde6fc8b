"""A new database in one step: all that the migrations named below add up to. One that has some of them goes on with those."""

import uuid

import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import alerts.models.alerts
import orgs.signals


class Migration(migrations.Migration):
    replaces = [
        ("alerts", "0001_initial"),
        ("alerts", "0002_initial"),
        ("alerts", "0003_intake"),
        ("alerts", "0004_help_requested"),
        ("alerts", "0005_undo"),
        ("alerts", "0006_broken_timers"),
        ("alerts", "0007_receipt_bounds"),
        ("alerts", "0008_flags"),
        ("alerts", "0009_conversation"),
        ("alerts", "0010_resolved"),
        ("alerts", "0011_unused"),
        ("alerts", "0012_registered_signals"),
        ("alerts", "0013_comments"),
        ("alerts", "0014_named"),
        ("alerts", "0015_push_claim"),
        ("alerts", "0016_page_indexes"),
        ("alerts", "0017_blind_intervals"),
        ("alerts", "0018_legal_hold"),
        ("alerts", "0019_same_run"),
        ("alerts", "0021_digests"),
        ("alerts", "0022_outages"),
        ("alerts", "0023_silences"),
        ("alerts", "0024_signals"),
        ("alerts", "0025_phones"),
        ("alerts", "0026_on_duty"),
        ("alerts", "0027_duty_gaps"),
        ("alerts", "0028_preview"),
    ]

    initial = True

    dependencies = [
        ("orgs", "0021_new_database"),
        ("orgs", "__first__"),
        ("pghistory", "0007_auto_20250421_0444"),
    ]

    operations = [
        migrations.CreateModel(
            name="FiguresMark",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("transition", models.BigIntegerField(default=0)),
                ("event", models.BigIntegerField(default=0)),
                ("activity", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="figuresmark_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Gate",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("tokens", models.FloatField(default=0)),
                ("refilled_at", models.DateTimeField()),
                ("failures", models.PositiveIntegerField(default=0)),
                ("closed_until", models.DateTimeField(null=True)),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("probing", models.BooleanField(default=False)),
                ("revokes_off_until", models.DateTimeField(null=True)),
                ("allowance", models.FloatField(null=True)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="gate_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Room",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("room_id", models.CharField(max_length=200)),
                ("label", models.CharField(blank=True, max_length=200)),
                ("channel", models.CharField(blank=True, max_length=200)),
                ("url", models.CharField(blank=True, max_length=2000)),
                ("last_customer_text", models.CharField(blank=True, max_length=2000)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("bot", "Bot"),
                            ("handed_off", "Handed off"),
                            ("human", "Human"),
                            ("resolved", "Resolved"),
                        ],
                        default="bot",
                        max_length=16,
                    ),
                ),
                ("customer_waiting_since", models.DateTimeField(null=True)),
                ("answered_at", models.DateTimeField(null=True)),
                ("handed_off_at", models.DateTimeField(null=True)),
                ("human_since", models.DateTimeField(null=True)),
                ("human_last_at", models.DateTimeField(null=True)),
                ("settled_at", models.DateTimeField(null=True)),
                ("returned_at", models.DateTimeField(null=True)),
                ("left_at", models.DateTimeField(null=True)),
                ("heard_at", models.DateTimeField(null=True)),
                ("customer_last_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("stranded_at", models.DateTimeField(null=True)),
                ("recovered_at", models.DateTimeField(null=True)),
                ("ran_from", models.DateTimeField(null=True)),
                ("ran_at", models.DateTimeField(null=True)),
                ("bot_last_at", models.DateTimeField(null=True)),
                ("unanswered_since", models.DateTimeField(null=True)),
                ("unanswered", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("insists_at", models.DateTimeField(null=True)),
                ("stalled_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("talked_over_at", models.DateTimeField(null=True)),
                (
                    "human",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="room_due")
                ],
                "constraints": [models.UniqueConstraint(fields=("org", "room_id"), name="room_org_room")],
            },
        ),
        migrations.CreateModel(
            name="SenderHour",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField()),
                ("sent", models.BigIntegerField(default=0)),
                ("arrived", models.BigIntegerField(default=0)),
                (
                    "org",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["hour"], name="senderhour_hour")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "source", "hour"), name="senderhour_org_source_hour", nulls_distinct=False
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SenderProcess",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("process", models.CharField(max_length=96)),
                (
                    "counts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), default=list, size=None
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "org",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["at"], name="senderprocess_at")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "source", "process"),
                        name="senderprocess_org_source_process",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Silence",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=alerts.models.alerts.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("signal", models.CharField(blank=True, max_length=32, verbose_name="signal")),
                ("room_id", models.CharField(blank=True, max_length=200, verbose_name="room")),
                ("channel", models.CharField(blank=True, max_length=200, verbose_name="channel")),
                ("whole_org", models.BooleanField(default=False, verbose_name="whole org")),
                ("starts_at", models.DateTimeField(verbose_name="begin")),
                ("ends_at", models.DateTimeField(verbose_name="end")),
                (
                    "recurrence",
                    models.CharField(
                        blank=True,
                        choices=[("daily", "Every day"), ("weekly", "Every week")],
                        max_length=8,
                        verbose_name="recurrence",
                    ),
                ),
                ("until", models.DateTimeField(null=True, verbose_name="until")),
                (
                    "until_idle_minutes",
                    models.PositiveIntegerField(null=True, verbose_name="minutes without a failure"),
                ),
                ("note", models.CharField(blank=True, max_length=2000, verbose_name="note")),
                ("created_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "ended_how",
                    models.CharField(
                        blank=True,
                        choices=[("expired", "Expired"), ("idle", "Idle"), ("person", "Person")],
                        max_length=8,
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True)),
                ("begun_at", models.DateTimeField(null=True)),
                ("turned_at", models.DateTimeField(null=True)),
                ("due_at", models.DateTimeField(null=True)),
                ("unsettled", models.BooleanField(default=False)),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="ended by",
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="orgs.source",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "silence",
                "verbose_name_plural": "silences",
                "indexes": [
                    models.Index(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=["org", "starts_at"],
                        name="silence_standing",
                    ),
                    models.Index(condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="silence_due"),
                    models.Index(condition=models.Q(("unsettled", True)), fields=["id"], name="silence_unsettled"),
                    models.Index(fields=["org", "-created_at", "-id"], name="silence_newest"),
                    models.Index(
                        condition=models.Q(("ended_at__isnull", False)),
                        fields=["org", "ended_at"],
                        name="silence_ended",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="silence_ends_after_it_starts"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("recurrence", ""), ("until__isnull", True)),
                            models.Q(models.Q(("recurrence", ""), _negated=True), ("until__isnull", False)),
                            _connector="OR",
                        ),
                        name="silence_recurs_until",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SourceMinute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("minute", models.DateTimeField()),
                ("created", models.PositiveIntegerField(default=0)),
                ("duplicate", models.PositiveIntegerField(default=0)),
                ("conflict", models.PositiveIntegerField(default=0)),
                ("invalid", models.PositiveIntegerField(default=0)),
                ("not_understood", models.PositiveIntegerField(default=0)),
                ("lag_ms", models.BigIntegerField(default=0)),
                ("lag_most_ms", models.BigIntegerField(default=0)),
                ("events", models.PositiveIntegerField(default=0)),
                ("with_confidence", models.PositiveIntegerField(default=0)),
                ("with_secret", models.PositiveIntegerField(db_default=0, default=0)),
                ("slow", models.PositiveIntegerField(db_default=0, default=0)),
                (
                    "endpoint",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.webhookendpoint",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["minute"], name="sourceminute_minute")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "source", "endpoint", "minute"),
                        name="sourceminute_org_source_endpoint_minute",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WebHeartbeat",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="webheartbeat_one_row")],
            },
        ),
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=alerts.models.alerts.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("received_at", models.DateTimeField()),
                (
                    "outcome",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("understood", "Understood"),
                            ("repeated", "Received before"),
                            ("not_understood", "Not understood"),
                            ("refused", "Not accepted"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("field", models.CharField(blank=True, max_length=200)),
                ("understood", models.JSONField(default=list)),
                ("facts", models.JSONField(default=list)),
                ("sample", models.JSONField(default=dict)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="orgs.webhookendpoint",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"),
                ),
            ],
            options={
                "verbose_name_plural": "webhook deliveries",
                "indexes": [
                    models.Index(
                        condition=models.Q(("outcome", "")), fields=["endpoint", "id"], name="webhookdelivery_due"
                    ),
                    models.Index(fields=["endpoint", "-id"], name="webhookdelivery_newest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="BlindInterval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "cause",
                    models.CharField(choices=[("down", "Down"), ("source_silent", "Source Silent")], max_length=16),
                ),
                ("starts", models.DateTimeField()),
                ("ends", models.DateTimeField(null=True)),
                ("counted", models.BooleanField(db_default=False, default=False)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "source", "cause", "starts"),
                        name="blindinterval_org_source_cause_starts",
                        nulls_distinct=False,
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ends", None)),
                        fields=("org", "source", "cause"),
                        name="blindinterval_one_open",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cause", "down"), ("org", None), ("source", None)),
                            models.Q(("cause", "source_silent"), ("org__isnull", False), ("source__isnull", False)),
                            _connector="OR",
                        ),
                        name="blindinterval_cause_has_its_org",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends", None), ("ends__gte", models.F("starts")), _connector="OR"),
                        name="blindinterval_in_order",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="KeptFigures",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts", models.DateTimeField()),
                ("ends", models.DateTimeField()),
                ("zone", models.CharField(max_length=64)),
                ("counts", models.JSONField()),
                (
                    "seconds",
                    django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), default=list, size=None),
                ),
                (
                    "unreached",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.FloatField(), db_default=[], default=list, size=None
                    ),
                ),
                (
                    "waiting",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), db_default=[], default=list, size=None
                    ),
                ),
                ("watched_until", models.DateTimeField(null=True)),
                ("formula", models.PositiveSmallIntegerField(db_default=0, default=1)),
                ("sealed", models.BooleanField(db_default=False, default=False)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "kept figures",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "starts", "ends"), name="keptfigures_org_starts_ends")
                ],
            },
        ),
        migrations.CreateModel(
            name="PolicyPreview",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("policy", models.JSONField()),
                ("since", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("asked_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="waiting",
                        max_length=16,
                    ),
                ),
                ("progress", models.FloatField(default=0.0)),
                ("heard_at", models.DateTimeField(null=True)),
                ("answer", models.JSONField(null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.agent",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["org", "-asked_at"], name="preview_of_org"),
                    models.Index(fields=["expires_at"], name="preview_expires"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state__in", ["waiting", "running"])),
                        fields=("org",),
                        name="preview_one_of_org",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RejectedItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("status", models.CharField(max_length=16)),
                ("path", models.CharField(max_length=64)),
                ("item_id", models.CharField(blank=True, max_length=200)),
                ("code", models.CharField(max_length=32)),
                ("message", models.CharField(max_length=500)),
                ("field", models.CharField(blank=True, max_length=200)),
                ("sample", models.JSONField(default=dict)),
                (
                    "org",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["source", "-at"], name="rejecteditem_source"),
                    models.Index(fields=["at"], name="rejecteditem_at"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Alert",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=alerts.models.alerts.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "scope",
                    models.CharField(
                        choices=[("room", "Room"), ("agent", "Agent"), ("source", "Source"), ("org", "Org")],
                        default="room",
                        max_length=8,
                    ),
                ),
                ("agent_version", models.CharField(blank=True, max_length=200)),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
                        max_length=8,
                        verbose_name="severity",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("open", "Open"),
                            ("acknowledged", "Acknowledged"),
                            ("intervened", "Intervened"),
                            ("resolved", "Resolved"),
                        ],
                        default="open",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("signals", models.JSONField(default=list)),
                ("event_count", models.PositiveIntegerField(default=0)),
                ("version", models.PositiveIntegerField(default=1)),
                ("episode", models.PositiveIntegerField(default=1)),
                (
                    "episodes_at",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.DateTimeField(), db_default=[], default=list, size=None
                    ),
                ),
                ("opened_at", models.DateTimeField()),
                ("first_failure_at", models.DateTimeField()),
                ("last_event_at", models.DateTimeField(verbose_name="last failure")),
                ("ladder_from", models.DateTimeField()),
                ("repeats_done", models.PositiveSmallIntegerField(default=0)),
                ("revived_at", models.DateTimeField(null=True)),
                ("human_acted_at", models.DateTimeField(null=True)),
                ("last_told_at", models.DateTimeField(null=True)),
                ("last_reason", models.CharField(blank=True, max_length=32)),
                ("tier", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("tier_from", models.DateTimeField(null=True)),
                ("escalate_at", models.DateTimeField(null=True)),
                ("tiers_over_at", models.DateTimeField(null=True)),
                ("expiries", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("duty_waits", models.BooleanField(db_default=False, default=False)),
                ("hours_until", models.DateTimeField(null=True)),
                ("covers_from", models.DateTimeField(null=True)),
                ("ends_at", models.DateTimeField(null=True)),
                ("released_at", models.DateTimeField(null=True)),
                ("rooms_told", models.PositiveIntegerField(db_default=0, default=0)),
                ("worsened_at", models.DateTimeField(null=True)),
                ("held_until", models.DateTimeField(null=True)),
                ("ends_not_before", models.DateTimeField(null=True)),
                ("window_ends_at", models.DateTimeField(null=True)),
                ("window_closing_at", models.DateTimeField(null=True)),
                ("window_told", models.PositiveIntegerField(db_default=0, default=0)),
                ("window_over_at", models.DateTimeField(null=True)),
                ("silenced_from", models.DateTimeField(null=True)),
                ("silenced_until", models.DateTimeField(null=True)),
                ("customer_waiting_since", models.DateTimeField(null=True)),
                ("waited_since", models.DateTimeField(null=True)),
                ("acknowledged_at", models.DateTimeField(null=True)),
                ("acknowledge_expires_at", models.DateTimeField(null=True)),
                ("intervened_at", models.DateTimeField(null=True)),
                ("resolved_at", models.DateTimeField(null=True)),
                (
                    "resolved_kind",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("human", "Human"),
                            ("room", "Room"),
                            ("quiet", "Quiet"),
                            ("abandoned", "Abandoned"),
                            ("recovered", "Recovered"),
                        ],
                        max_length=16,
                    ),
                ),
                ("snoozed_until", models.DateTimeField(null=True)),
                ("undoable", models.JSONField(default=list)),
                (
                    "verdict",
                    models.CharField(
                        blank=True, choices=[("confirmed", "Confirmed"), ("false_alarm", "False alarm")], max_length=16
                    ),
                ),
                ("verdict_note", models.CharField(blank=True, max_length=2000)),
                ("occurrence", models.PositiveIntegerField(default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("timer_failures", models.PositiveSmallIntegerField(default=0)),
                ("updated_at", models.DateTimeField()),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "assigned_to",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "from_source",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.source",
                    ),
                ),
                (
                    "intervened_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "resolved_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.source",
                    ),
                ),
                (
                    "verdict_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "room",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="alerts.room",
                        verbose_name="room",
                    ),
                ),
                (
                    "silence",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="alerts.silence",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert",
                "verbose_name_plural": "alerts",
                "indexes": [
                    models.Index(condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name="alert_due"),
                    models.Index(
                        condition=models.Q(("state", "resolved"), _negated=True),
                        fields=["org", "-last_event_at"],
                        name="alert_open",
                    ),
                    models.Index(fields=["org", "-last_event_at", "-id"], name="alert_newest"),
                    models.Index(fields=["-last_event_at", "-id"], name="alert_newest_of_all"),
                    models.Index(
                        condition=models.Q(("state", "resolved")),
                        fields=["org", "-resolved_at", "-id"],
                        name="alert_resolved",
                    ),
                    models.Index(
                        condition=models.Q(("state", "resolved")),
                        fields=["-resolved_at", "-id"],
                        name="alert_resolved_of_all",
                    ),
                    models.Index(
                        condition=models.Q(("scope", "source")),
                        fields=["org", "source", "-opened_at"],
                        name="alert_of_source",
                    ),
                    models.Index(
                        condition=models.Q(("scope", "agent")),
                        fields=["org", "agent", "-opened_at"],
                        name="alert_of_agent",
                    ),
                    models.Index(
                        condition=models.Q(("duty_waits", True), ("state", "open")),
                        fields=["org"],
                        name="alert_duty_waits",
                    ),
                    models.Index(
                        condition=models.Q(("scope", "org")), fields=["org", "-opened_at"], name="alert_of_org"
                    ),
                    models.Index(
                        condition=models.Q(
                            ("covers_from__isnull", False), ("released_at__isnull", True), ("state", "resolved")
                        ),
                        fields=["resolved_at"],
                        name="alert_unreleased",
                    ),
                    models.Index(
                        condition=models.Q(("silence__isnull", False)), fields=["silence"], name="alert_silenced"
                    ),
                    models.Index(fields=["room", "-opened_at"], name="alert_of_room"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(models.Q(("state", "resolved"), _negated=True), ("scope", "room")),
                        fields=("org", "room"),
                        name="alert_one_open_per_room",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            models.Q(("state", "resolved"), _negated=True),
                            ("covers_from__isnull", True),
                            ("scope", "source"),
                        ),
                        fields=("org", "source"),
                        name="alert_one_open_per_source",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            models.Q(("state", "resolved"), _negated=True),
                            ("covers_from__isnull", False),
                            ("scope", "source"),
                        ),
                        fields=("org", "source"),
                        name="alert_one_open_source_outage",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            models.Q(("state", "resolved"), _negated=True),
                            ("covers_from__isnull", True),
                            ("scope", "agent"),
                        ),
                        fields=("org", "agent"),
                        name="alert_one_open_per_agent",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(
                            models.Q(("state", "resolved"), _negated=True),
                            ("covers_from__isnull", False),
                            ("scope", "agent"),
                        ),
                        fields=("org", "agent"),
                        name="alert_one_open_outage",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(models.Q(("state", "resolved"), _negated=True), ("scope", "org")),
                        fields=("org",),
                        name="alert_one_open_per_org",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("agent__isnull", False), ("scope", "agent")),
                            models.Q(("scope", "agent"), _negated=True),
                            _connector="OR",
                        ),
                        name="alert_agent_has_agent",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("scope", "source"), ("source__isnull", False)),
                            models.Q(("scope", "source"), _negated=True),
                            _connector="OR",
                        ),
                        name="alert_source_has_source",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("room__isnull", False), ("scope", "room")),
                            models.Q(("scope", "room"), _negated=True),
                            _connector="OR",
                        ),
                        name="alert_room_has_room",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("resolved_at__isnull", False), ("state", "resolved")),
                            models.Q(models.Q(("state", "resolved"), _negated=True), ("resolved_at__isnull", True)),
                            _connector="OR",
                        ),
                        name="alert_resolved_has_time",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoomActivity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("activity_id", models.CharField(max_length=128)),
                ("payload_hash", models.BinaryField(max_length=32)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("human_opened", "Human Opened"),
                            ("human_message", "Human Message"),
                            ("assigned", "Assigned"),
                            ("resolved", "Resolved"),
                            ("returned_to_agent", "Returned To Agent"),
                            ("customer_message", "Customer Message"),
                            ("bot_message", "Bot Message"),
                        ],
                        max_length=32,
                    ),
                ),
                ("actor_external_id", models.CharField(blank=True, max_length=200)),
                ("at", models.DateTimeField()),
                ("as_sent", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField()),
                ("clock_flagged", models.BooleanField(default=False)),
                ("undelivered", models.BooleanField(default=False)),
                ("asks", models.BooleanField(db_default=False, default=False)),
                (
                    "actor",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "room",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="activities",
                        to="alerts.room",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.source",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["room", "at"], name="roomactivity_room"),
                    models.Index(fields=["org", "received_at"], name="roomactivity_age"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "source", "activity_id"),
                        name="roomactivity_org_source_activity",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SilenceEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.UUIDField(default=alerts.models.alerts.new_id, editable=False, serialize=False)),
                ("signal", models.CharField(blank=True, max_length=32, verbose_name="signal")),
                ("room_id", models.CharField(blank=True, max_length=200, verbose_name="room")),
                ("channel", models.CharField(blank=True, max_length=200, verbose_name="channel")),
                ("whole_org", models.BooleanField(default=False, verbose_name="whole org")),
                ("starts_at", models.DateTimeField(verbose_name="begin")),
                ("ends_at", models.DateTimeField(verbose_name="end")),
                (
                    "recurrence",
                    models.CharField(
                        blank=True,
                        choices=[("daily", "Every day"), ("weekly", "Every week")],
                        max_length=8,
                        verbose_name="recurrence",
                    ),
                ),
                ("until", models.DateTimeField(null=True, verbose_name="until")),
                (
                    "until_idle_minutes",
                    models.PositiveIntegerField(null=True, verbose_name="minutes without a failure"),
                ),
                ("note", models.CharField(blank=True, max_length=2000, verbose_name="note")),
                ("created_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended")),
                (
                    "ended_how",
                    models.CharField(
                        blank=True,
                        choices=[("expired", "Expired"), ("idle", "Idle"), ("person", "Person")],
                        max_length=8,
                    ),
                ),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "agent",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="made by",
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="ended by",
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.source",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "pgh_context",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="pghistory.context",
                    ),
                ),
                (
                    "pgh_obj",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="events",
                        to="alerts.silence",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Push",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=alerts.models.alerts.new_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[("alert", "Alert"), ("digest", "Digest"), ("test", "Test"), ("revoke", "Revoke")],
                        default="alert",
                        max_length=8,
                        verbose_name="kind",
                    ),
                ),
                ("revokes", models.UUIDField(null=True)),
                ("occurrence", models.PositiveIntegerField(default=0)),
                ("tier", models.PositiveSmallIntegerField(default=1)),
                ("reason", models.CharField(max_length=32, verbose_name="reason")),
                (
                    "severity",
                    models.CharField(
                        choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")], max_length=8
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("sending", "Sending"),
                            ("sent", "Sent"),
                            ("dead", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("skipped", "Skipped"),
                        ],
                        default="pending",
                        max_length=16,
                        verbose_name="state",
                    ),
                ),
                ("ended_reason", models.CharField(blank=True, max_length=32, verbose_name="why it ended")),
                ("body", models.TextField(blank=True)),
                ("idempotency_key", models.UUIDField()),
                ("planned_at", models.DateTimeField(verbose_name="planned")),
                ("next_attempt_at", models.DateTimeField(null=True)),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                ("lease_token", models.UUIDField(null=True)),
                ("lease_until", models.DateTimeField(null=True)),
                ("last_answer", models.CharField(blank=True, max_length=300)),
                ("notification_id", models.CharField(blank=True, max_length=200)),
                ("push", models.CharField(blank=True, max_length=16)),
                ("ended_at", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("opened_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("failed_reason", models.CharField(blank=True, max_length=200)),
                ("trace", models.JSONField(db_default={}, default=dict)),
                (
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pushes",
                        to="alerts.alert",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "supervisor",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pushes",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="supervisor",
                    ),
                ),
                (
                    "room",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="alerts.room",
                    ),
                ),
            ],
            options={
                "verbose_name": "push",
                "verbose_name_plural": "pushes",
                "indexes": [
                    models.Index(
                        django.db.models.expressions.CombinedExpression(models.F("org"), "+", models.Value(0)),
                        models.F("planned_at"),
                        models.F("id"),
                        condition=models.Q(("severity", "critical"), ("state", "pending")),
                        name="push_pending_critical",
                    ),
                    models.Index(
                        django.db.models.expressions.CombinedExpression(models.F("org"), "+", models.Value(0)),
                        models.F("planned_at"),
                        models.F("id"),
                        condition=models.Q(("state", "pending"), models.Q(("severity", "critical"), _negated=True)),
                        name="push_pending_other",
                    ),
                    models.Index(condition=models.Q(("state", "sending")), fields=["lease_until"], name="push_leased"),
                    models.Index(fields=["room", "supervisor", "-planned_at"], name="push_told"),
                    models.Index(
                        condition=models.Q(("kind", "alert"), ("state__in", ["pending", "sending", "sent"])),
                        fields=["org", "supervisor", "-planned_at"],
                        name="push_spent",
                    ),
                    models.Index(
                        condition=models.Q(("ended_reason", "expired"), ("state", "cancelled")),
                        fields=["ended_at"],
                        name="push_expired",
                    ),
                    models.Index(condition=models.Q(("state", "dead")), fields=["ended_at"], name="push_died"),
                    models.Index(
                        condition=models.Q(("ended_reason__in", ["away", "off_duty"]), ("state", "cancelled")),
                        fields=["ended_at"],
                        name="push_went",
                    ),
                    models.Index(
                        condition=models.Q(("kind", "test")), fields=["org", "-planned_at"], name="push_tests"
                    ),
                    models.Index(
                        condition=models.Q(("state", "dead")), fields=["org", "-planned_at"], name="push_dead"
                    ),
                    models.Index(fields=["org", "-planned_at", "-id"], name="push_newest"),
                    models.Index(fields=["-planned_at", "-id"], name="push_newest_of_all"),
                    models.Index(fields=["org", "supervisor", "delivered_at"], name="push_delivered"),
                    models.Index(
                        condition=models.Q(("opened_at__isnull", False)),
                        fields=["org", "supervisor", "opened_at"],
                        name="push_opened",
                    ),
                    models.Index(
                        condition=models.Q(("failed_at__isnull", False)),
                        fields=["org", "supervisor", "failed_at"],
                        name="push_failed",
                    ),
                    models.Index(
                        condition=models.Q(("ended_reason", "refused"), ("state", "dead")),
                        fields=["org", "supervisor", "ended_at"],
                        name="push_refused",
                    ),
                    models.Index(
                        condition=models.Q(("push", "no_token")),
                        fields=["org", "supervisor", "sent_at"],
                        name="push_no_token",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("alert", "supervisor", "occurrence"), name="push_alert_supervisor_occurrence"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("kind", "digest")),
                        fields=("org", "supervisor", "occurrence"),
                        name="push_digest_number",
                    ),
                    models.UniqueConstraint(fields=("idempotency_key",), name="push_idempotency_key"),
                ],
            },
        ),
        migrations.CreateModel(
            name="FailureEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("event_id", models.CharField(max_length=128)),
                ("payload_hash", models.BinaryField(max_length=32)),
                ("signal", models.CharField(choices=orgs.signals.signal_choices, max_length=32)),
                (
                    "severity",
                    models.CharField(
                        blank=True,
                        choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("occurred_at", models.DateTimeField()),
                ("as_sent", models.DateTimeField(null=True)),
                ("received_at", models.DateTimeField()),
                ("clock_flagged", models.BooleanField(default=False)),
                (
                    "flags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=16), db_default=[], default=list, size=None
                    ),
                ),
                ("agent_version", models.CharField(blank=True, max_length=200)),
                ("run_id", models.CharField(blank=True, max_length=200)),
                ("channel", models.CharField(blank=True, max_length=200)),
                ("confidence", models.FloatField(null=True)),
                ("threshold", models.FloatField(null=True)),
                ("message_count", models.PositiveIntegerField(null=True)),
                ("message_cap", models.PositiveIntegerField(null=True)),
                ("error_type", models.CharField(blank=True, max_length=200)),
                ("error_message", models.CharField(blank=True, max_length=2000)),
                ("handoff_reason", models.CharField(blank=True, max_length=2000)),
                ("handoff_completed", models.BooleanField(null=True)),
                ("handoff_source", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("handoff_target", models.CharField(blank=True, db_default="", default="", max_length=200)),
                ("customer_waiting_since", models.DateTimeField(null=True)),
                ("metadata", models.JSONField(default=dict)),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.agent",
                    ),
                ),
                (
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="events",
                        to="alerts.alert",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.source"
                    ),
                ),
                (
                    "room",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="events", to="alerts.room"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["alert", "received_at"], name="failureevent_alert"),
                    models.Index(fields=["agent", "-received_at"], name="failureevent_agent"),
                    models.Index(
                        condition=models.Q(("run_id", ""), _negated=True),
                        fields=["org", "run_id", "signal"],
                        name="failureevent_run",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "source", "event_id"), name="failureevent_org_source_event")
                ],
            },
        ),
        migrations.CreateModel(
            name="SilencedAlert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("held", models.BooleanField(default=False)),
                (
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="silences",
                        to="alerts.alert",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "silence",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alerts",
                        to="alerts.silence",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["silence", "-last_at"], name="silencedalert_last"),
                    models.Index(fields=["alert"], name="silencedalert_alert"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("silence", "alert"), name="silencedalert_silence_alert")
                ],
            },
        ),
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("text", models.CharField(max_length=2000)),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="comments", to="alerts.alert"
                    ),
                ),
                (
                    "author",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["alert", "at"], name="comment_alert")],
            },
        ),
        migrations.CreateModel(
            name="LegalHold",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("run_id", models.UUIDField(blank=True, null=True, verbose_name="run")),
                ("reason", models.CharField(max_length=2000, verbose_name="reason")),
                ("at", models.DateTimeField(verbose_name="since")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="lifted")),
                (
                    "alert",
                    models.ForeignKey(
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="holds",
                        to="alerts.alert",
                        verbose_name="alert",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="set by",
                    ),
                ),
                (
                    "ended_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="lifted by",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "legal hold",
                "verbose_name_plural": "legal holds",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("alert__isnull", False), ("run_id__isnull", True)),
                            models.Q(("alert__isnull", True), ("run_id__isnull", False)),
                            _connector="OR",
                        ),
                        name="legalhold_alert_or_run",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("org", "alert"),
                        name="legalhold_org_alert",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("ended_at__isnull", True)),
                        fields=("org", "run_id"),
                        name="legalhold_org_run",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Transition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "change",
                    models.CharField(
                        choices=[
                            ("opened", "Opened"),
                            ("attached", "Attached"),
                            ("worsened", "Worsened"),
                            ("acknowledged", "Acknowledged"),
                            ("expired", "Expired"),
                            ("assigned", "Assigned"),
                            ("released", "Released"),
                            ("snoozed", "Snoozed"),
                            ("opened_room", "Opened Room"),
                            ("intervened", "Intervened"),
                            ("returned", "Returned"),
                            ("rearmed", "Rearmed"),
                            ("released_hold", "Released Hold"),
                            ("repeated", "Repeated"),
                            ("escalated", "Escalated"),
                            ("resolved", "Resolved"),
                            ("abandoned", "Abandoned"),
                            ("reopened", "Reopened"),
                            ("verdict", "Verdict"),
                            ("window_over", "Window Over"),
                        ],
                        max_length=16,
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=32)),
                ("episode", models.PositiveIntegerField(default=1)),
                ("occurrence", models.PositiveIntegerField(default=0)),
                ("swept_at", models.DateTimeField(null=True)),
                ("detail", models.JSONField(default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="transitions",
                        to="alerts.alert",
                    ),
                ),
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="alerts.failureevent",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["alert", "at", "id"], name="transition_alert"),
                    models.Index(
                        condition=models.Q(("change__in", ["opened_room", "intervened", "verdict"])),
                        fields=["org", "change", "at"],
                        name="transition_of_org",
                    ),
                    models.Index(
                        condition=models.Q(("change__in", ["opened_room", "intervened"])),
                        fields=["actor", "-at"],
                        name="transition_entering",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DigestAlert",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("named", models.BooleanField(null=True)),
                ("joined_at", models.DateTimeField(null=True)),
                (
                    "alert",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="digests",
                        to="alerts.alert",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
                (
                    "push",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="digested",
                        to="alerts.push",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["alert"], name="digestalert_alert")],
                "constraints": [models.UniqueConstraint(fields=("push", "alert"), name="digestalert_push_alert")],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="silence",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "alerts_silenceevent" ("agent_id", "channel", "closed_at", "created_at", "created_by_id", "ended_at", "ended_by_id", "ended_how", "ends_at", "id", "made_by_id", "note", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "recurrence", "room_id", "signal", "starts_at", "until", "until_idle_minutes", "whole_org") VALUES (NEW."agent_id", NEW."channel", NEW."closed_at", NEW."created_at", NEW."created_by_id", NEW."ended_at", NEW."ended_by_id", NEW."ended_how", NEW."ends_at", NEW."id", NEW."made_by_id", NEW."note", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."recurrence", NEW."room_id", NEW."signal", NEW."starts_at", NEW."until", NEW."until_idle_minutes", NEW."whole_org"); RETURN NULL;',
                    hash="d229b15a421880bd1c252a6048749594d081999b",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_ca3a5",
                    table="alerts_silence",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="silence",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."agent_id" IS DISTINCT FROM (NEW."agent_id") OR OLD."channel" IS DISTINCT FROM (NEW."channel") OR OLD."closed_at" IS DISTINCT FROM (NEW."closed_at") OR OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."created_by_id" IS DISTINCT FROM (NEW."created_by_id") OR OLD."ended_at" IS DISTINCT FROM (NEW."ended_at") OR OLD."ended_by_id" IS DISTINCT FROM (NEW."ended_by_id") OR OLD."ended_how" IS DISTINCT FROM (NEW."ended_how") OR OLD."ends_at" IS DISTINCT FROM (NEW."ends_at") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."made_by_id" IS DISTINCT FROM (NEW."made_by_id") OR OLD."note" IS DISTINCT FROM (NEW."note") OR OLD."org_id" IS DISTINCT FROM (NEW."org_id") OR OLD."recurrence" IS DISTINCT FROM (NEW."recurrence") OR OLD."room_id" IS DISTINCT FROM (NEW."room_id") OR OLD."signal" IS DISTINCT FROM (NEW."signal") OR OLD."starts_at" IS DISTINCT FROM (NEW."starts_at") OR OLD."until" IS DISTINCT FROM (NEW."until") OR OLD."until_idle_minutes" IS DISTINCT FROM (NEW."until_idle_minutes") OR OLD."whole_org" IS DISTINCT FROM (NEW."whole_org"))',
                    func='INSERT INTO "alerts_silenceevent" ("agent_id", "channel", "closed_at", "created_at", "created_by_id", "ended_at", "ended_by_id", "ended_how", "ends_at", "id", "made_by_id", "note", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "recurrence", "room_id", "signal", "starts_at", "until", "until_idle_minutes", "whole_org") VALUES (NEW."agent_id", NEW."channel", NEW."closed_at", NEW."created_at", NEW."created_by_id", NEW."ended_at", NEW."ended_by_id", NEW."ended_how", NEW."ends_at", NEW."id", NEW."made_by_id", NEW."note", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."recurrence", NEW."room_id", NEW."signal", NEW."starts_at", NEW."until", NEW."until_idle_minutes", NEW."whole_org"); RETURN NULL;',
                    hash="adefcdd109c888e774ce2fd7c2eba238afeaf855",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_6f2fa",
                    table="alerts_silence",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="silence",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "alerts_silenceevent" ("agent_id", "channel", "closed_at", "created_at", "created_by_id", "ended_at", "ended_by_id", "ended_how", "ends_at", "id", "made_by_id", "note", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "recurrence", "room_id", "signal", "starts_at", "until", "until_idle_minutes", "whole_org") VALUES (OLD."agent_id", OLD."channel", OLD."closed_at", OLD."created_at", OLD."created_by_id", OLD."ended_at", OLD."ended_by_id", OLD."ended_how", OLD."ends_at", OLD."id", OLD."made_by_id", OLD."note", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."recurrence", OLD."room_id", OLD."signal", OLD."starts_at", OLD."until", OLD."until_idle_minutes", OLD."whole_org"); RETURN NULL;',
                    hash="680d407fd2230caadbdc893c3ee881c8d8c129c5",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_92eae",
                    table="alerts_silence",
                    when="AFTER",
                ),
            ),
        ),
        migrations.RunSQL(
            sql="INSERT INTO alerts_gate (id, tokens, refilled_at, failures, reason, probing) VALUES (1, 0, live_now(), 0, '', false)",
            reverse_sql="",
        ),
    ]
