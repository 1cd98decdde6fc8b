"""A new database in one step: all that the migrations named below add up to. One that has some of them goes on with those."""

import uuid

import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

import orgs.models.duty
import orgs.models.people
import orgs.models.sources
import orgs.models.tenants
import orgs.models.views
import orgs.origins


class Migration(migrations.Migration):
    replaces = [
        ("orgs", "0001_initial"),
        ("orgs", "0002_track_people"),
        ("orgs", "0003_webhook_endpoints"),
        ("orgs", "0004_help_requested"),
        ("orgs", "0005_pending"),
        ("orgs", "0006_older_addresses"),
        ("orgs", "0007_identifiers"),
        ("orgs", "0008_registered_signals"),
        ("orgs", "0009_walls"),
        ("orgs", "0010_saved_views"),
        ("orgs", "0011_shared_views_stay"),
        ("orgs", "0012_retention"),
        ("orgs", "0013_detect_from_runs"),
        ("orgs", "0014_allowed_origins"),
        ("orgs", "0016_limits"),
        ("orgs", "0017_duty"),
        ("orgs", "0019_policy_versions"),
        ("orgs", "0020_duty_feeds"),
    ]

    initial = True

    dependencies = [
        ("pghistory", "0007_auto_20250421_0444"),
    ]

    operations = [
        migrations.RunSQL(
            sql="CREATE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT clock_timestamp()'",
            reverse_sql="DROP FUNCTION live_now()",
        ),
        migrations.RunSQL(
            sql="CREATE TABLE cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);CREATE INDEX cache_expires ON cache (expires)",
            reverse_sql="DROP TABLE cache",
        ),
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                ("sso_id", models.CharField(max_length=200, unique=True, verbose_name="SSO id")),
                ("email", models.EmailField(blank=True, max_length=254, null=True, unique=True, verbose_name="e-mail")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "locale",
                    models.CharField(
                        blank=True,
                        choices=[("en", "English"), ("id", "Bahasa Indonesia")],
                        max_length=8,
                        verbose_name="language",
                    ),
                ),
                (
                    "zone",
                    models.CharField(
                        blank=True, max_length=64, validators=[orgs.models.tenants.check_zone], verbose_name="time zone"
                    ),
                ),
                (
                    "theme",
                    models.CharField(
                        choices=[("auto", "As the device"), ("light", "Light"), ("dark", "Dark")],
                        default="auto",
                        max_length=8,
                        verbose_name="theme",
                    ),
                ),
                (
                    "is_specialist",
                    models.BooleanField(
                        default=False, help_text="Sees every org and the admin.", verbose_name="specialist"
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("push_tokens", models.PositiveIntegerField(editable=False, null=True, verbose_name="phones")),
                ("push_tokens_at", models.DateTimeField(editable=False, null=True)),
            ],
            options={
                "verbose_name": "person",
                "verbose_name_plural": "people",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="DutyMark",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("swept_to", models.DateTimeField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="dutymark_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Org",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("external_id", models.CharField(max_length=200, unique=True, verbose_name="external id")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "zone",
                    models.CharField(
                        default="Asia/Jakarta",
                        max_length=64,
                        validators=[orgs.models.tenants.check_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "locale",
                    models.CharField(
                        choices=[("en", "English"), ("id", "Bahasa Indonesia")],
                        default="id",
                        max_length=8,
                        verbose_name="language of pushes",
                    ),
                ),
                (
                    "room_url_template",
                    models.CharField(
                        default="https://chat.qontak.com/inbox/{room_id}",
                        help_text="With {room_id}, {org_id}, {account_id}.",
                        max_length=500,
                        validators=[orgs.models.tenants.check_room_url_template],
                        verbose_name="room link",
                    ),
                ),
                (
                    "allowed_hosts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=253),
                        blank=True,
                        default=list,
                        help_text="An event's own room link is used only if its host is listed here, with the port unless it is 443. Separate with commas.",
                        size=None,
                        verbose_name="allowed hosts of room links",
                    ),
                ),
                (
                    "plan",
                    models.CharField(
                        blank=True,
                        choices=[("plus", "Plus"), ("ultimate", "Ultimate"), ("360", "360")],
                        max_length=16,
                        verbose_name="plan",
                    ),
                ),
                ("ga_date", models.DateField(blank=True, null=True, verbose_name="general availability")),
                ("targeted", models.BooleanField(default=False, verbose_name="targeted")),
                (
                    "show_customer_text",
                    models.BooleanField(
                        default=False,
                        help_text="On screen; masked before it is stored.",
                        verbose_name="show the customer's last words",
                    ),
                ),
                (
                    "personal_data",
                    models.CharField(
                        choices=[("mask", "Mask before storing"), ("drop", "Do not store")],
                        default="mask",
                        help_text="From failure events and webhooks. Phone numbers are never stored.",
                        max_length=8,
                        verbose_name="customer names and texts",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ],
            options={
                "verbose_name": "org",
                "verbose_name_plural": "orgs",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="Agent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("production", models.BooleanField(default=True, verbose_name="in production")),
                ("confirmed", models.BooleanField(default=True, verbose_name="confirmed")),
                ("version", models.CharField(blank=True, max_length=200, verbose_name="version")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="agents",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "agent",
                "verbose_name_plural": "agents",
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("org", "name"), name="agent_org_name")],
            },
        ),
        migrations.CreateModel(
            name="BusinessHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "hours",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.duty.check_hours], verbose_name="hours"
                    ),
                ),
                (
                    "org",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="business_hours",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "business hours",
                "verbose_name_plural": "business hours",
            },
        ),
        migrations.CreateModel(
            name="DutyFeed",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "public_id",
                    models.CharField(
                        default=orgs.models.sources.new_public_id, editable=False, max_length=16, unique=True
                    ),
                ),
                ("token_hash", models.BinaryField(max_length=32)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="revoked")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="duty_feeds",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="duty_feeds",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "calendar of duty",
                "verbose_name_plural": "calendars of duty",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="Handover",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="to")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org", verbose_name="org"
                    ),
                ),
            ],
            options={
                "verbose_name": "handover",
                "verbose_name_plural": "handovers",
                "indexes": [models.Index(fields=["org", "ends_at"], name="handover_ends")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="handover_ends_later"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Holiday",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("date", models.DateField(verbose_name="date")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="holidays",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "holiday",
                "verbose_name_plural": "holidays",
                "ordering": ["date"],
                "constraints": [models.UniqueConstraint(fields=("org", "date"), name="holiday_org_date")],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "role",
                    models.CharField(
                        choices=[("supervisor", "Supervisor"), ("lead", "Lead")],
                        default="supervisor",
                        max_length=16,
                        verbose_name="role",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "membership",
                "verbose_name_plural": "memberships",
                "constraints": [models.UniqueConstraint(fields=("org", "user"), name="membership_org_user")],
            },
        ),
        migrations.CreateModel(
            name="OrgEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("external_id", models.CharField(max_length=200, verbose_name="external id")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "zone",
                    models.CharField(
                        default="Asia/Jakarta",
                        max_length=64,
                        validators=[orgs.models.tenants.check_zone],
                        verbose_name="time zone",
                    ),
                ),
                (
                    "locale",
                    models.CharField(
                        choices=[("en", "English"), ("id", "Bahasa Indonesia")],
                        default="id",
                        max_length=8,
                        verbose_name="language of pushes",
                    ),
                ),
                (
                    "room_url_template",
                    models.CharField(
                        default="https://chat.qontak.com/inbox/{room_id}",
                        help_text="With {room_id}, {org_id}, {account_id}.",
                        max_length=500,
                        validators=[orgs.models.tenants.check_room_url_template],
                        verbose_name="room link",
                    ),
                ),
                (
                    "allowed_hosts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=253),
                        blank=True,
                        default=list,
                        help_text="An event's own room link is used only if its host is listed here, with the port unless it is 443. Separate with commas.",
                        size=None,
                        verbose_name="allowed hosts of room links",
                    ),
                ),
                (
                    "plan",
                    models.CharField(
                        blank=True,
                        choices=[("plus", "Plus"), ("ultimate", "Ultimate"), ("360", "360")],
                        max_length=16,
                        verbose_name="plan",
                    ),
                ),
                ("ga_date", models.DateField(blank=True, null=True, verbose_name="general availability")),
                ("targeted", models.BooleanField(default=False, verbose_name="targeted")),
                (
                    "show_customer_text",
                    models.BooleanField(
                        default=False,
                        help_text="On screen; masked before it is stored.",
                        verbose_name="show the customer's last words",
                    ),
                ),
                (
                    "personal_data",
                    models.CharField(
                        choices=[("mask", "Mask before storing"), ("drop", "Do not store")],
                        default="mask",
                        help_text="From failure events and webhooks. Phone numbers are never stored.",
                        max_length=8,
                        verbose_name="customer names and texts",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
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
                        to="orgs.org",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="QuietHours",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "hours",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.duty.check_hours], verbose_name="hours"
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org", verbose_name="org"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "quiet hours",
                "verbose_name_plural": "quiet hours",
                "constraints": [models.UniqueConstraint(fields=("org", "user"), name="quiethours_org_user")],
            },
        ),
        migrations.CreateModel(
            name="Retention",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "runs_days",
                    models.PositiveSmallIntegerField(
                        default=90,
                        validators=[
                            django.core.validators.MinValueValidator(30),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of runs and reviews",
                    ),
                ),
                (
                    "failure_events_days",
                    models.PositiveSmallIntegerField(
                        default=400,
                        validators=[
                            django.core.validators.MinValueValidator(40),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of alerts and failure events",
                    ),
                ),
                (
                    "room_activity_days",
                    models.PositiveSmallIntegerField(
                        default=90,
                        validators=[
                            django.core.validators.MinValueValidator(40),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of room activity",
                    ),
                ),
                (
                    "pushes_days",
                    models.PositiveSmallIntegerField(
                        default=400,
                        validators=[
                            django.core.validators.MinValueValidator(7),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of pushes and receipts",
                    ),
                ),
                (
                    "deliveries_days",
                    models.PositiveSmallIntegerField(
                        default=30,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="days of webhook deliveries",
                    ),
                ),
                (
                    "rejected_items_days",
                    models.PositiveSmallIntegerField(
                        default=7,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(7),
                        ],
                        verbose_name="days of rejected items",
                    ),
                ),
                (
                    "org",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "retention",
                "verbose_name_plural": "retention",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("runs_days__range", (30, 1830)),
                            ("failure_events_days__range", (40, 1830)),
                            ("room_activity_days__range", (40, 1830)),
                            ("pushes_days__range", (7, 1830)),
                            ("deliveries_days__range", (1, 400)),
                            ("rejected_items_days__range", (1, 7)),
                        ),
                        name="retention_within_bounds",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("query", models.CharField(blank=True, max_length=2000, verbose_name="filters")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created")),
                (
                    "org",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="saved_views",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        null=True,
                        on_delete=orgs.models.views.keep_shared,
                        related_name="saved_views",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "verbose_name": "saved view",
                "verbose_name_plural": "saved views",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("owner__isnull", False), ("org__isnull", False), _connector="OR"),
                        name="view_is_somebodys",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Source",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "allowed_origins",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255, validators=[orgs.origins.check_origin]),
                        blank=True,
                        db_default=[],
                        default=list,
                        help_text="Of web pages that may send with a client token, such as https://shop.example. Empty: none.",
                        size=None,
                        verbose_name="allowed origins",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: a platform source, which names the org in every item.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sources",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "source",
                "verbose_name_plural": "sources",
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "name"), name="source_org_name", nulls_distinct=False)
                ],
            },
        ),
        migrations.CreateModel(
            name="TemporarySchedule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="to")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="temporary_schedules",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "temporary schedule",
                "verbose_name_plural": "temporary schedules",
                "ordering": ["starts_at"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_at__gt", models.F("starts_at"))), name="temporaryschedule_ends_later"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="UserEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("sso_id", models.CharField(max_length=200, verbose_name="SSO id")),
                ("email", models.EmailField(blank=True, max_length=254, null=True, verbose_name="e-mail")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
                (
                    "is_specialist",
                    models.BooleanField(
                        default=False, help_text="Sees every org and the admin.", verbose_name="specialist"
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
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
                        related_name="sso_id_email_name_is_specialist_is_active_events",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Wall",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "name",
                    models.CharField(blank=True, help_text="Where it hangs.", max_length=200, verbose_name="name"),
                ),
                (
                    "public_id",
                    models.CharField(
                        default=orgs.models.sources.new_public_id, editable=False, max_length=16, unique=True
                    ),
                ),
                ("token_hash", models.BinaryField(max_length=32)),
                (
                    "locale",
                    models.CharField(
                        choices=[("en", "English"), ("id", "Bahasa Indonesia")],
                        default="en",
                        max_length=8,
                        verbose_name="language",
                    ),
                ),
                (
                    "theme",
                    models.CharField(
                        choices=[("auto", "As the device"), ("light", "Light"), ("dark", "Dark")],
                        default="dark",
                        max_length=8,
                        verbose_name="theme",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="revoked")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="walls",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "wall board",
                "verbose_name_plural": "wall boards",
                "ordering": ["-created_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="AgentEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                ("production", models.BooleanField(default=True, verbose_name="in production")),
                ("confirmed", models.BooleanField(default=True, verbose_name="confirmed")),
                ("version", models.CharField(blank=True, max_length=200, verbose_name="version")),
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
                        to="orgs.agent",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ApiKey",
            fields=[
                (
                    "id",
                    models.CharField(editable=False, max_length=150, primary_key=True, serialize=False, unique=True),
                ),
                ("prefix", models.CharField(editable=False, max_length=8, unique=True)),
                ("hashed_key", models.CharField(editable=False, max_length=150)),
                ("created", models.DateTimeField(auto_now_add=True, db_index=True)),
                (
                    "name",
                    models.CharField(
                        default=None,
                        help_text="A free-form name for the API key. Need not be unique. 50 characters max.",
                        max_length=50,
                    ),
                ),
                (
                    "revoked",
                    models.BooleanField(
                        blank=True,
                        default=False,
                        help_text="If the API key is revoked, clients cannot use it anymore. (This cannot be undone.)",
                    ),
                ),
                (
                    "expiry_date",
                    models.DateTimeField(
                        blank=True,
                        help_text="Once API key expires, clients cannot use it anymore.",
                        null=True,
                        verbose_name="Expires",
                    ),
                ),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[("ingest", "Ingest"), ("read", "Read"), ("act", "Act")], max_length=8
                        ),
                        default=list,
                        size=None,
                        verbose_name="scopes",
                    ),
                ),
                (
                    "rate_per_minute",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Empty: the default; 0: no limit.",
                        null=True,
                        verbose_name="requests per minute",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="api_keys",
                        to="orgs.source",
                        verbose_name="source",
                    ),
                ),
            ],
            options={
                "verbose_name": "API key",
                "verbose_name_plural": "API keys",
                "ordering": ("-created",),
                "abstract": False,
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("scopes__contained_by", ["ingest", "read", "act"]), models.Q(("scopes", []), _negated=True)
                        ),
                        name="apikey_scopes",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BusinessHoursEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "hours",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.duty.check_hours], verbose_name="hours"
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
                        to="orgs.businesshours",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="DutyFeedEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "public_id",
                    models.CharField(default=orgs.models.sources.new_public_id, editable=False, max_length=16),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="revoked")),
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
                        to="orgs.dutyfeed",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="HandoverEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="to")),
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
                        to="orgs.handover",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="HolidayEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("date", models.DateField(verbose_name="date")),
                ("name", models.CharField(blank=True, max_length=200, verbose_name="name")),
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
                        to="orgs.holiday",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="MembershipEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "role",
                    models.CharField(
                        choices=[("supervisor", "Supervisor"), ("lead", "Lead")],
                        default="supervisor",
                        max_length=16,
                        verbose_name="role",
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
                        to="orgs.membership",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
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
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Policy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "confidence_threshold",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                        verbose_name="confidence threshold",
                    ),
                ),
                (
                    "detect_from_runs",
                    models.BooleanField(
                        blank=True,
                        help_text="Empty: as the org; for the org, yes.",
                        null=True,
                        verbose_name="find failures in runs",
                    ),
                ),
                (
                    "severities",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        validators=[orgs.models.tenants.check_severities],
                        verbose_name="severities",
                    ),
                ),
                (
                    "limits",
                    models.JSONField(
                        blank=True,
                        db_default={},
                        default=dict,
                        editable=False,
                        validators=[orgs.models.tenants.check_limits],
                        verbose_name="limits",
                    ),
                ),
                ("revision", models.PositiveIntegerField(db_default=1, default=1, editable=False)),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: all agents.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        to="orgs.agent",
                        verbose_name="agent",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="policies",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "policy",
                "verbose_name_plural": "policies",
                "constraints": [
                    models.UniqueConstraint(fields=("org", "agent"), name="policy_org_agent", nulls_distinct=False),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("confidence_threshold__isnull", True),
                            ("confidence_threshold__range", (0.0, 1.0)),
                            _connector="OR",
                        ),
                        name="policy_threshold_0_1",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="QuietHoursEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "hours",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.duty.check_hours], verbose_name="hours"
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
                        to="orgs.quiethours",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RetentionEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "runs_days",
                    models.PositiveSmallIntegerField(
                        default=90,
                        validators=[
                            django.core.validators.MinValueValidator(30),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of runs and reviews",
                    ),
                ),
                (
                    "failure_events_days",
                    models.PositiveSmallIntegerField(
                        default=400,
                        validators=[
                            django.core.validators.MinValueValidator(40),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of alerts and failure events",
                    ),
                ),
                (
                    "room_activity_days",
                    models.PositiveSmallIntegerField(
                        default=90,
                        validators=[
                            django.core.validators.MinValueValidator(40),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of room activity",
                    ),
                ),
                (
                    "pushes_days",
                    models.PositiveSmallIntegerField(
                        default=400,
                        validators=[
                            django.core.validators.MinValueValidator(7),
                            django.core.validators.MaxValueValidator(1830),
                        ],
                        verbose_name="days of pushes and receipts",
                    ),
                ),
                (
                    "deliveries_days",
                    models.PositiveSmallIntegerField(
                        default=30,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(400),
                        ],
                        verbose_name="days of webhook deliveries",
                    ),
                ),
                (
                    "rejected_items_days",
                    models.PositiveSmallIntegerField(
                        default=7,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(7),
                        ],
                        verbose_name="days of rejected items",
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
                        to="orgs.retention",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SourceEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "allowed_origins",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255, validators=[orgs.origins.check_origin]),
                        blank=True,
                        db_default=[],
                        default=list,
                        help_text="Of web pages that may send with a client token, such as https://shop.example. Empty: none.",
                        size=None,
                        verbose_name="allowed origins",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty: a platform source, which names the org in every item.",
                        null=True,
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
                        to="orgs.source",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SourceHeard",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                (
                    "org",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="heard", to="orgs.source"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("org", "source"), name="sourceheard_org_source")],
            },
        ),
        migrations.CreateModel(
            name="SupervisorRole",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "tier",
                    models.PositiveSmallIntegerField(
                        default=1, validators=[django.core.validators.MinValueValidator(1)], verbose_name="tier"
                    ),
                ),
                (
                    "fallback",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Belongs to no tier; told when nobody of any tier is on duty, at whatever hour.",
                        verbose_name="fallback",
                    ),
                ),
                (
                    "agents",
                    models.ManyToManyField(
                        blank=True,
                        help_text="None selected: all agents.",
                        to="orgs.agent",
                        verbose_name="only these agents",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="supervisor_roles",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
            ],
            options={
                "verbose_name": "supervisor role",
                "verbose_name_plural": "supervisor roles",
                "ordering": ["tier", "name"],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "name"), name="supervisorrole_org_name"),
                    models.CheckConstraint(condition=models.Q(("tier__gte", 1)), name="supervisorrole_tier_from_1"),
                ],
            },
        ),
        migrations.CreateModel(
            name="TemporaryScheduleEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("starts_at", models.DateTimeField(verbose_name="from")),
                ("ends_at", models.DateTimeField(verbose_name="to")),
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
                        to="orgs.temporaryschedule",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="WallEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "name",
                    models.CharField(blank=True, help_text="Where it hangs.", max_length=200, verbose_name="name"),
                ),
                (
                    "public_id",
                    models.CharField(default=orgs.models.sources.new_public_id, editable=False, max_length=16),
                ),
                (
                    "locale",
                    models.CharField(
                        choices=[("en", "English"), ("id", "Bahasa Indonesia")],
                        default="en",
                        max_length=8,
                        verbose_name="language",
                    ),
                ),
                (
                    "theme",
                    models.CharField(
                        choices=[("auto", "As the device"), ("light", "Light"), ("dark", "Dark")],
                        default="dark",
                        max_length=8,
                        verbose_name="theme",
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("revoked_at", models.DateTimeField(editable=False, null=True, verbose_name="revoked")),
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
                        to="orgs.wall",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="WebhookEndpoint",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(choices=[("qontak", "Qontak")], max_length=16, verbose_name="kind")),
                (
                    "public_id",
                    models.CharField(
                        default=orgs.models.sources.new_public_id, editable=False, max_length=16, unique=True
                    ),
                ),
                ("token_hash", models.BinaryField(max_length=32)),
                ("previous_hash", models.BinaryField(max_length=32, null=True)),
                ("previous_until", models.DateTimeField(editable=False, null=True)),
                ("older", models.JSONField(editable=False, null=True)),
                (
                    "organization_id",
                    models.CharField(
                        blank=True,
                        help_text="Of the org in the chat product. Empty: the same as its external id.",
                        max_length=200,
                        verbose_name="organization id",
                    ),
                ),
                (
                    "allowed_addresses",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64, validators=[orgs.models.sources.check_network]),
                        blank=True,
                        default=list,
                        help_text="Addresses or networks such as 203.0.113.0/24, separated with commas. Empty: from anywhere.",
                        size=None,
                        verbose_name="allowed addresses",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_endpoints",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="webhook_endpoints",
                        to="orgs.source",
                        verbose_name="source",
                    ),
                ),
            ],
            options={
                "verbose_name": "webhook endpoint",
                "verbose_name_plural": "webhook endpoints",
                "ordering": ["kind", "public_id"],
            },
        ),
        migrations.CreateModel(
            name="ApiKeyEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.CharField(editable=False, max_length=150, serialize=False)),
                ("prefix", models.CharField(editable=False, max_length=8)),
                ("created", models.DateTimeField(auto_now_add=True)),
                (
                    "name",
                    models.CharField(
                        default=None,
                        help_text="A free-form name for the API key. Need not be unique. 50 characters max.",
                        max_length=50,
                    ),
                ),
                (
                    "revoked",
                    models.BooleanField(
                        blank=True,
                        default=False,
                        help_text="If the API key is revoked, clients cannot use it anymore. (This cannot be undone.)",
                    ),
                ),
                (
                    "expiry_date",
                    models.DateTimeField(
                        blank=True,
                        help_text="Once API key expires, clients cannot use it anymore.",
                        null=True,
                        verbose_name="Expires",
                    ),
                ),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[("ingest", "Ingest"), ("read", "Read"), ("act", "Act")], max_length=8
                        ),
                        default=list,
                        size=None,
                        verbose_name="scopes",
                    ),
                ),
                (
                    "rate_per_minute",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="Empty: the default; 0: no limit.",
                        null=True,
                        verbose_name="requests per minute",
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
                        to="orgs.apikey",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.source",
                        verbose_name="source",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="Assignment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "external_user_id",
                    models.CharField(
                        blank=True,
                        help_text="Who wrote a message in the room.",
                        max_length=200,
                        verbose_name="id in the chat product",
                    ),
                ),
                (
                    "provenance",
                    models.CharField(
                        choices=[("list", "List"), ("csv", "CSV"), ("sync", "Sync"), ("admin", "Admin")],
                        default="admin",
                        editable=False,
                        max_length=8,
                        verbose_name="provenance",
                    ),
                ),
                (
                    "pending",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        editable=False,
                        help_text="An org named somebody of others: it waits for their word or a specialist's.",
                        verbose_name="pending",
                    ),
                ),
                (
                    "duty",
                    models.JSONField(
                        blank=True,
                        db_default=[],
                        default=list,
                        help_text="Empty: always.",
                        validators=[orgs.models.people.check_duty],
                        verbose_name="duty",
                    ),
                ),
                ("away_until", models.DateTimeField(blank=True, null=True, verbose_name="away until")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assignments",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assignments",
                        to="orgs.org",
                        verbose_name="org",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assignments",
                        to="orgs.supervisorrole",
                        verbose_name="role",
                    ),
                ),
            ],
            options={
                "verbose_name": "assignment",
                "verbose_name_plural": "assignments",
                "default_manager_name": "every",
                "indexes": [models.Index(fields=["org", "external_user_id"], name="assignment_external")],
                "constraints": [
                    models.UniqueConstraint(fields=("org", "role", "user"), name="assignment_org_role_user")
                ],
            },
            managers=[
                ("every", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="PolicyEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "confidence_threshold",
                    models.FloatField(
                        blank=True,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(0.0),
                            django.core.validators.MaxValueValidator(1.0),
                        ],
                        verbose_name="confidence threshold",
                    ),
                ),
                (
                    "detect_from_runs",
                    models.BooleanField(
                        blank=True,
                        help_text="Empty: as the org; for the org, yes.",
                        null=True,
                        verbose_name="find failures in runs",
                    ),
                ),
                (
                    "severities",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        validators=[orgs.models.tenants.check_severities],
                        verbose_name="severities",
                    ),
                ),
                (
                    "limits",
                    models.JSONField(
                        blank=True,
                        db_default={},
                        default=dict,
                        editable=False,
                        validators=[orgs.models.tenants.check_limits],
                        verbose_name="limits",
                    ),
                ),
                ("revision", models.PositiveIntegerField(db_default=1, default=1, editable=False)),
                (
                    "agent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        help_text="Empty: all agents.",
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.agent",
                        verbose_name="agent",
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
                        to="orgs.policy",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RoleAgentEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "agent",
                    models.ForeignKey(
                        db_constraint=False,
                        db_tablespace="",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.agent",
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
                    "supervisorrole",
                    models.ForeignKey(
                        db_constraint=False,
                        db_tablespace="",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.supervisorrole",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="SupervisorRoleEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("name", models.CharField(max_length=200, verbose_name="name")),
                (
                    "tier",
                    models.PositiveSmallIntegerField(
                        default=1, validators=[django.core.validators.MinValueValidator(1)], verbose_name="tier"
                    ),
                ),
                (
                    "fallback",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="Belongs to no tier; told when nobody of any tier is on duty, at whatever hour.",
                        verbose_name="fallback",
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
                        to="orgs.supervisorrole",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TemporaryDuty",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "duty",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.people.check_duty], verbose_name="duty"
                    ),
                ),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org", verbose_name="org"
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.supervisorrole",
                        verbose_name="role",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="duties",
                        to="orgs.temporaryschedule",
                        verbose_name="temporary schedule",
                    ),
                ),
            ],
            options={
                "verbose_name": "temporary duty",
                "verbose_name_plural": "temporary duties",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("schedule", "role", "user"), name="temporaryduty_schedule_role_user"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="WebhookEndpointEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                ("kind", models.CharField(choices=[("qontak", "Qontak")], max_length=16, verbose_name="kind")),
                (
                    "public_id",
                    models.CharField(default=orgs.models.sources.new_public_id, editable=False, max_length=16),
                ),
                ("previous_until", models.DateTimeField(editable=False, null=True)),
                (
                    "organization_id",
                    models.CharField(
                        blank=True,
                        help_text="Of the org in the chat product. Empty: the same as its external id.",
                        max_length=200,
                        verbose_name="organization id",
                    ),
                ),
                (
                    "allowed_addresses",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64, validators=[orgs.models.sources.check_network]),
                        blank=True,
                        default=list,
                        help_text="Addresses or networks such as 203.0.113.0/24, separated with commas. Empty: from anywhere.",
                        size=None,
                        verbose_name="allowed addresses",
                    ),
                ),
                ("active", models.BooleanField(default=True, verbose_name="active")),
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
                        to="orgs.webhookendpoint",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.source",
                        verbose_name="source",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="RoleAgent",
            fields=[],
            options={
                "verbose_name": "only these agents",
                "proxy": True,
                "indexes": [],
                "constraints": [],
            },
            bases=("orgs.supervisorrole_agents",),
        ),
        migrations.CreateModel(
            name="AssignmentEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "external_user_id",
                    models.CharField(
                        blank=True,
                        help_text="Who wrote a message in the room.",
                        max_length=200,
                        verbose_name="id in the chat product",
                    ),
                ),
                (
                    "provenance",
                    models.CharField(
                        choices=[("list", "List"), ("csv", "CSV"), ("sync", "Sync"), ("admin", "Admin")],
                        default="admin",
                        editable=False,
                        max_length=8,
                        verbose_name="provenance",
                    ),
                ),
                (
                    "pending",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        editable=False,
                        help_text="An org named somebody of others: it waits for their word or a specialist's.",
                        verbose_name="pending",
                    ),
                ),
                (
                    "duty",
                    models.JSONField(
                        blank=True,
                        db_default=[],
                        default=list,
                        help_text="Empty: always.",
                        validators=[orgs.models.people.check_duty],
                        verbose_name="duty",
                    ),
                ),
                ("away_until", models.DateTimeField(blank=True, null=True, verbose_name="away until")),
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
                        to="orgs.assignment",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
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
                    "role",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.supervisorrole",
                        verbose_name="role",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="TemporaryDutyEvent",
            fields=[
                ("pgh_id", models.AutoField(primary_key=True, serialize=False)),
                ("pgh_created_at", models.DateTimeField(auto_now_add=True)),
                ("pgh_label", models.TextField(help_text="The event label.")),
                ("id", models.BigIntegerField()),
                (
                    "duty",
                    models.JSONField(
                        blank=True, default=list, validators=[orgs.models.people.check_duty], verbose_name="duty"
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
                        to="orgs.temporaryduty",
                    ),
                ),
                (
                    "role",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.supervisorrole",
                        verbose_name="role",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="person",
                    ),
                ),
                (
                    "schedule",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        related_query_name="+",
                        to="orgs.temporaryschedule",
                        verbose_name="temporary schedule",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_userevent" ("email", "is_active", "is_specialist", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sso_id") VALUES (NEW."email", NEW."is_active", NEW."is_specialist", NEW."name", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."sso_id"); RETURN NULL;',
                    hash="1b26d830f5175fc3f05d22bdeb537fba80e4a894",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_e7c63",
                    table="orgs_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."email" IS DISTINCT FROM (NEW."email") OR OLD."is_active" IS DISTINCT FROM (NEW."is_active") OR OLD."is_specialist" IS DISTINCT FROM (NEW."is_specialist") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."sso_id" IS DISTINCT FROM (NEW."sso_id"))',
                    func='INSERT INTO "orgs_userevent" ("email", "is_active", "is_specialist", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sso_id") VALUES (NEW."email", NEW."is_active", NEW."is_specialist", NEW."name", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."sso_id"); RETURN NULL;',
                    hash="f5b547551e9a1bf7dc19cd7b5e842a237997b870",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_314a5",
                    table="orgs_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="user",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_userevent" ("email", "is_active", "is_specialist", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "sso_id") VALUES (OLD."email", OLD."is_active", OLD."is_specialist", OLD."name", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."sso_id"); RETURN NULL;',
                    hash="208d5a256915f72802d02d4589d0efe7043b557a",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_5cce0",
                    table="orgs_user",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="org",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_orgevent" ("allowed_hosts", "created_at", "external_id", "ga_date", "id", "locale", "name", "personal_data", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "plan", "room_url_template", "show_customer_text", "targeted", "zone") VALUES (NEW."allowed_hosts", NEW."created_at", NEW."external_id", NEW."ga_date", NEW."id", NEW."locale", NEW."name", NEW."personal_data", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."plan", NEW."room_url_template", NEW."show_customer_text", NEW."targeted", NEW."zone"); RETURN NULL;',
                    hash="7fbe46a6de1c11de62c34257f12c528d645eb77f",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_48cb1",
                    table="orgs_org",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="org",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_orgevent" ("allowed_hosts", "created_at", "external_id", "ga_date", "id", "locale", "name", "personal_data", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "plan", "room_url_template", "show_customer_text", "targeted", "zone") VALUES (NEW."allowed_hosts", NEW."created_at", NEW."external_id", NEW."ga_date", NEW."id", NEW."locale", NEW."name", NEW."personal_data", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."plan", NEW."room_url_template", NEW."show_customer_text", NEW."targeted", NEW."zone"); RETURN NULL;',
                    hash="770a1182f96f6dc30b0b8fbd81303f4d7e8c745e",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_e75e9",
                    table="orgs_org",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="org",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_orgevent" ("allowed_hosts", "created_at", "external_id", "ga_date", "id", "locale", "name", "personal_data", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "plan", "room_url_template", "show_customer_text", "targeted", "zone") VALUES (OLD."allowed_hosts", OLD."created_at", OLD."external_id", OLD."ga_date", OLD."id", OLD."locale", OLD."name", OLD."personal_data", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."plan", OLD."room_url_template", OLD."show_customer_text", OLD."targeted", OLD."zone"); RETURN NULL;',
                    hash="6fa13e72036a421d90eca0e3f22ee3d36b9859d8",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_58f6f",
                    table="orgs_org",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_membershipevent" ("id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "user_id") VALUES (NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."role", NEW."user_id"); RETURN NULL;',
                    hash="029a897dca39e2b4d6d7dd8cf525c3cdd4f12288",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_49b17",
                    table="orgs_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_membershipevent" ("id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "user_id") VALUES (NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."role", NEW."user_id"); RETURN NULL;',
                    hash="799f0b1abf1859d0336f9973b96b6142a1e762ad",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_2c809",
                    table="orgs_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="membership",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_membershipevent" ("id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role", "user_id") VALUES (OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."role", OLD."user_id"); RETURN NULL;',
                    hash="b549008fc219a1eda44585465c44d51981271192",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_85108",
                    table="orgs_membership",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="holiday",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_holidayevent" ("date", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."date", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id"); RETURN NULL;',
                    hash="66dc08cf8e6f421fe437e0e3cf9bcd51d2358dc9",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_474e7",
                    table="orgs_holiday",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="holiday",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_holidayevent" ("date", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."date", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id"); RETURN NULL;',
                    hash="c3bb614c957c7b36f32b0bd365535d2a84969750",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_62550",
                    table="orgs_holiday",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="holiday",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_holidayevent" ("date", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."date", OLD."id", OLD."name", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id"); RETURN NULL;',
                    hash="8190f3fd522c570d6c5ce4b26ef25a57f8d7fa55",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_57b92",
                    table="orgs_holiday",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="handover",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_handoverevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at", "user_id") VALUES (NEW."ends_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."starts_at", NEW."user_id"); RETURN NULL;',
                    hash="e24f4d4591fff39d212d9b7449b1f7b3f5f545ab",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_822da",
                    table="orgs_handover",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="handover",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_handoverevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at", "user_id") VALUES (NEW."ends_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."starts_at", NEW."user_id"); RETURN NULL;',
                    hash="01fbee3a45a623e61d21fec16ce4ea4e67a6081b",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_f88af",
                    table="orgs_handover",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="handover",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_handoverevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at", "user_id") VALUES (OLD."ends_at", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."starts_at", OLD."user_id"); RETURN NULL;',
                    hash="4e9394d049b4e808386940d0a40a59dbe1d5cb2a",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_fd0bb",
                    table="orgs_handover",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dutyfeed",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_dutyfeedevent" ("created_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "user_id") VALUES (NEW."created_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."public_id", NEW."revoked_at", NEW."user_id"); RETURN NULL;',
                    hash="8268d6385bcc0bc875b911ea6ed2716e262c22b4",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_fa920",
                    table="orgs_dutyfeed",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dutyfeed",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."org_id" IS DISTINCT FROM (NEW."org_id") OR OLD."public_id" IS DISTINCT FROM (NEW."public_id") OR OLD."revoked_at" IS DISTINCT FROM (NEW."revoked_at") OR OLD."user_id" IS DISTINCT FROM (NEW."user_id"))',
                    func='INSERT INTO "orgs_dutyfeedevent" ("created_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "user_id") VALUES (NEW."created_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."public_id", NEW."revoked_at", NEW."user_id"); RETURN NULL;',
                    hash="e2ac781e0cbd523aa4a62bacd44f53d75f2aec56",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_c41a5",
                    table="orgs_dutyfeed",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="dutyfeed",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_dutyfeedevent" ("created_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "user_id") VALUES (OLD."created_at", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."public_id", OLD."revoked_at", OLD."user_id"); RETURN NULL;',
                    hash="ca3884be42c17d666d0bd1e8a27751ba5fcc5408",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_528e1",
                    table="orgs_dutyfeed",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="businesshours",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_businesshoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."hours", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id"); RETURN NULL;',
                    hash="dc20a0984b53759ddbc407c052dcb1f9e27f27b5",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_a7064",
                    table="orgs_businesshours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="businesshours",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_businesshoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."hours", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id"); RETURN NULL;',
                    hash="9e9854c98b60c50e9d66d8c41feb4e11eeb2a25d",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_59165",
                    table="orgs_businesshours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="businesshours",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_businesshoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."hours", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id"); RETURN NULL;',
                    hash="76776b3c492ba08230cf426c9af44451bd9fb50f",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_c5518",
                    table="orgs_businesshours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_agentevent" ("confirmed", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "production", "version") VALUES (NEW."confirmed", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."production", NEW."version"); RETURN NULL;',
                    hash="3319e65f4874df4a5dbfe0188d5fef05fd4446ed",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_a82a3",
                    table="orgs_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_agentevent" ("confirmed", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "production", "version") VALUES (NEW."confirmed", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."production", NEW."version"); RETURN NULL;',
                    hash="8542523d763d7f9553ad530a656a73fb54902ce2",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_c87c0",
                    table="orgs_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="agent",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_agentevent" ("confirmed", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "production", "version") VALUES (OLD."confirmed", OLD."id", OLD."name", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."production", OLD."version"); RETURN NULL;',
                    hash="cdc4416397a4463dc2cda14f00743ffb2deb18af",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_a7819",
                    table="orgs_agent",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="count_revision",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func="NEW.revision = OLD.revision + 1; RETURN NEW;",
                    hash="a8c436d89542691769a21bee67ab9e7defb03cbe",
                    operation="UPDATE",
                    pgid="pgtrigger_count_revision_1e272",
                    table="orgs_policy",
                    when="BEFORE",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "detect_from_runs", "id", "limits", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "revision", "severities") VALUES (NEW."agent_id", NEW."confidence_threshold", NEW."detect_from_runs", NEW."id", NEW."limits", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."revision", NEW."severities"); RETURN NULL;',
                    hash="354f4bec933cecdacf0c9e4c0e03b57a7c848265",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_50af4",
                    table="orgs_policy",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "detect_from_runs", "id", "limits", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "revision", "severities") VALUES (NEW."agent_id", NEW."confidence_threshold", NEW."detect_from_runs", NEW."id", NEW."limits", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."revision", NEW."severities"); RETURN NULL;',
                    hash="e49db4bcd49740cc5c6507a62f15aae3c23fe755",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_72703",
                    table="orgs_policy",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "detect_from_runs", "id", "limits", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "revision", "severities") VALUES (OLD."agent_id", OLD."confidence_threshold", OLD."detect_from_runs", OLD."id", OLD."limits", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."revision", OLD."severities"); RETURN NULL;',
                    hash="8669fe6df198c9c1ff1630c1de71d23976f1af40",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_dc123",
                    table="orgs_policy",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="quiethours",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_quiethoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "user_id") VALUES (NEW."hours", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."user_id"); RETURN NULL;',
                    hash="2b57ff799772af1f66e410a7b63995ca115f5ba3",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_248d8",
                    table="orgs_quiethours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="quiethours",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_quiethoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "user_id") VALUES (NEW."hours", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."user_id"); RETURN NULL;',
                    hash="e44ad7555c2acad85f8a54c7bde43f485cc61cf2",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_05c83",
                    table="orgs_quiethours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="quiethours",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_quiethoursevent" ("hours", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "user_id") VALUES (OLD."hours", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."user_id"); RETURN NULL;',
                    hash="640a49d23425519eb79f623ef5a14dfddfea2e16",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_5be0d",
                    table="orgs_quiethours",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="retention",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_retentionevent" ("deliveries_days", "failure_events_days", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "pushes_days", "rejected_items_days", "room_activity_days", "runs_days") VALUES (NEW."deliveries_days", NEW."failure_events_days", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."pushes_days", NEW."rejected_items_days", NEW."room_activity_days", NEW."runs_days"); RETURN NULL;',
                    hash="de2f7cc96084e6a5214d19f95ca4bac888da97e9",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_52b19",
                    table="orgs_retention",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="retention",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_retentionevent" ("deliveries_days", "failure_events_days", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "pushes_days", "rejected_items_days", "room_activity_days", "runs_days") VALUES (NEW."deliveries_days", NEW."failure_events_days", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."pushes_days", NEW."rejected_items_days", NEW."room_activity_days", NEW."runs_days"); RETURN NULL;',
                    hash="25feaa30b863db3c3f33c736672c82bfaaf0ec45",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_3ad19",
                    table="orgs_retention",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="retention",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_retentionevent" ("deliveries_days", "failure_events_days", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "pushes_days", "rejected_items_days", "room_activity_days", "runs_days") VALUES (OLD."deliveries_days", OLD."failure_events_days", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."pushes_days", OLD."rejected_items_days", OLD."room_activity_days", OLD."runs_days"); RETURN NULL;',
                    hash="05030908303f63187f36fd945ebafa6b84a56135",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_c0395",
                    table="orgs_retention",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="source",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_sourceevent" ("allowed_origins", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."allowed_origins", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id"); RETURN NULL;',
                    hash="03d5a8bc2bc7f5bbc5d95d0514ea3d691756ef25",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_5794a",
                    table="orgs_source",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="source",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_sourceevent" ("allowed_origins", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (NEW."allowed_origins", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id"); RETURN NULL;',
                    hash="eea28d5413019eb6db34e96b5d9f85e7b1316dfe",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_2984a",
                    table="orgs_source",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="source",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_sourceevent" ("allowed_origins", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id") VALUES (OLD."allowed_origins", OLD."id", OLD."name", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id"); RETURN NULL;',
                    hash="bdfa5fd893d2bbad6d0bb6edea96f30245a5953d",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_bc062",
                    table="orgs_source",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="apikey",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_apikeyevent" ("created", "expiry_date", "id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "prefix", "rate_per_minute", "revoked", "scopes", "source_id") VALUES (NEW."created", NEW."expiry_date", NEW."id", NEW."name", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."prefix", NEW."rate_per_minute", NEW."revoked", NEW."scopes", NEW."source_id"); RETURN NULL;',
                    hash="82ceea6b578178806b910c54838cf8ef817d1a2e",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_04c57",
                    table="orgs_apikey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="apikey",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."created" IS DISTINCT FROM (NEW."created") OR OLD."expiry_date" IS DISTINCT FROM (NEW."expiry_date") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."prefix" IS DISTINCT FROM (NEW."prefix") OR OLD."rate_per_minute" IS DISTINCT FROM (NEW."rate_per_minute") OR OLD."revoked" IS DISTINCT FROM (NEW."revoked") OR OLD."scopes" IS DISTINCT FROM (NEW."scopes") OR OLD."source_id" IS DISTINCT FROM (NEW."source_id"))',
                    func='INSERT INTO "orgs_apikeyevent" ("created", "expiry_date", "id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "prefix", "rate_per_minute", "revoked", "scopes", "source_id") VALUES (NEW."created", NEW."expiry_date", NEW."id", NEW."name", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."prefix", NEW."rate_per_minute", NEW."revoked", NEW."scopes", NEW."source_id"); RETURN NULL;',
                    hash="6abe237ca20a16f4c8a7747320e2562f0c968f46",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_9c3b7",
                    table="orgs_apikey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="apikey",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_apikeyevent" ("created", "expiry_date", "id", "name", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "prefix", "rate_per_minute", "revoked", "scopes", "source_id") VALUES (OLD."created", OLD."expiry_date", OLD."id", OLD."name", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."prefix", OLD."rate_per_minute", OLD."revoked", OLD."scopes", OLD."source_id"); RETURN NULL;',
                    hash="5bd39b4697654da3f0225ac3ae9e1a29adb6765f",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_27b2b",
                    table="orgs_apikey",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="supervisorrole",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_supervisorroleevent" ("fallback", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "tier") VALUES (NEW."fallback", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."tier"); RETURN NULL;',
                    hash="794afb57130d4ad65959f9447ff324b29b988fe9",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_f7de7",
                    table="orgs_supervisorrole",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="supervisorrole",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_supervisorroleevent" ("fallback", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "tier") VALUES (NEW."fallback", NEW."id", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."tier"); RETURN NULL;',
                    hash="4a1e2a9fd956bb344414f07e0a8d886079d88523",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_865e2",
                    table="orgs_supervisorrole",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="supervisorrole",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_supervisorroleevent" ("fallback", "id", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "tier") VALUES (OLD."fallback", OLD."id", OLD."name", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."tier"); RETURN NULL;',
                    hash="ac2393011201f9ff16e92b079e61133c27ad008b",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_6385e",
                    table="orgs_supervisorrole",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="assignment",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_assignmentevent" ("away_until", "duty", "external_user_id", "id", "org_id", "pending", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "provenance", "role_id", "user_id") VALUES (NEW."away_until", NEW."duty", NEW."external_user_id", NEW."id", NEW."org_id", NEW."pending", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."provenance", NEW."role_id", NEW."user_id"); RETURN NULL;',
                    hash="42c6ad5fd8d86c23c16bf6416cb89f5305222979",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_b512b",
                    table="orgs_assignment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="assignment",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_assignmentevent" ("away_until", "duty", "external_user_id", "id", "org_id", "pending", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "provenance", "role_id", "user_id") VALUES (NEW."away_until", NEW."duty", NEW."external_user_id", NEW."id", NEW."org_id", NEW."pending", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."provenance", NEW."role_id", NEW."user_id"); RETURN NULL;',
                    hash="52ad127b06cc8401325cdfa4f9f19c3e086ef177",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_f0357",
                    table="orgs_assignment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="assignment",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_assignmentevent" ("away_until", "duty", "external_user_id", "id", "org_id", "pending", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "provenance", "role_id", "user_id") VALUES (OLD."away_until", OLD."duty", OLD."external_user_id", OLD."id", OLD."org_id", OLD."pending", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."provenance", OLD."role_id", OLD."user_id"); RETURN NULL;',
                    hash="a13ec3cd478c1bbea690107ef5cd220ac0be2f6f",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_0a5e5",
                    table="orgs_assignment",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryschedule",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_temporaryscheduleevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at") VALUES (NEW."ends_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."starts_at"); RETURN NULL;',
                    hash="17e5637784358e8a3a23a5c170dd430bca37971b",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_9508e",
                    table="orgs_temporaryschedule",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryschedule",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_temporaryscheduleevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at") VALUES (NEW."ends_at", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."starts_at"); RETURN NULL;',
                    hash="62bdc8f672eb48d74b7687fa3ee3e41f8b28fd76",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_a17db",
                    table="orgs_temporaryschedule",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryschedule",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_temporaryscheduleevent" ("ends_at", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "starts_at") VALUES (OLD."ends_at", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."starts_at"); RETURN NULL;',
                    hash="4ec2c7da9dbcd0415fd5f6bcb893521081ab6e76",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_b8133",
                    table="orgs_temporaryschedule",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryduty",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_temporarydutyevent" ("duty", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role_id", "schedule_id", "user_id") VALUES (NEW."duty", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."role_id", NEW."schedule_id", NEW."user_id"); RETURN NULL;',
                    hash="a2a14f88ba8877bedbd43efe389e867dd0292281",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_acfec",
                    table="orgs_temporaryduty",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryduty",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition="WHEN (OLD.* IS DISTINCT FROM NEW.*)",
                    func='INSERT INTO "orgs_temporarydutyevent" ("duty", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role_id", "schedule_id", "user_id") VALUES (NEW."duty", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."role_id", NEW."schedule_id", NEW."user_id"); RETURN NULL;',
                    hash="1ac5fb4dd7315db96261eb8d3db4c67b7f6a2fa6",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_37a70",
                    table="orgs_temporaryduty",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="temporaryduty",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_temporarydutyevent" ("duty", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "role_id", "schedule_id", "user_id") VALUES (OLD."duty", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."role_id", OLD."schedule_id", OLD."user_id"); RETURN NULL;',
                    hash="ea38593a8c6f98b1fc60edd84e6a6c9d894877a7",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_97950",
                    table="orgs_temporaryduty",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="wall",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_wallevent" ("created_at", "id", "locale", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "theme") VALUES (NEW."created_at", NEW."id", NEW."locale", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."public_id", NEW."revoked_at", NEW."theme"); RETURN NULL;',
                    hash="4808baee38a89ed23daff57d39471de33c7a51f0",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_8242d",
                    table="orgs_wall",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="wall",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."created_at" IS DISTINCT FROM (NEW."created_at") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."locale" IS DISTINCT FROM (NEW."locale") OR OLD."name" IS DISTINCT FROM (NEW."name") OR OLD."org_id" IS DISTINCT FROM (NEW."org_id") OR OLD."public_id" IS DISTINCT FROM (NEW."public_id") OR OLD."revoked_at" IS DISTINCT FROM (NEW."revoked_at") OR OLD."theme" IS DISTINCT FROM (NEW."theme"))',
                    func='INSERT INTO "orgs_wallevent" ("created_at", "id", "locale", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "theme") VALUES (NEW."created_at", NEW."id", NEW."locale", NEW."name", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."public_id", NEW."revoked_at", NEW."theme"); RETURN NULL;',
                    hash="272f66ec37c7fa40ab1a2da8e4ceb5bd5c22e33a",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_d7349",
                    table="orgs_wall",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="wall",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_wallevent" ("created_at", "id", "locale", "name", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "public_id", "revoked_at", "theme") VALUES (OLD."created_at", OLD."id", OLD."locale", OLD."name", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."public_id", OLD."revoked_at", OLD."theme"); RETURN NULL;',
                    hash="655eafebdb9dc79eab67ad696c8bc73f71506c62",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_55dce",
                    table="orgs_wall",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookendpoint",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_webhookendpointevent" ("active", "allowed_addresses", "id", "kind", "org_id", "organization_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "previous_until", "public_id", "source_id") VALUES (NEW."active", NEW."allowed_addresses", NEW."id", NEW."kind", NEW."org_id", NEW."organization_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."previous_until", NEW."public_id", NEW."source_id"); RETURN NULL;',
                    hash="cd9b23d6abf69389e587d47999f33a0011821778",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_2c441",
                    table="orgs_webhookendpoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookendpoint",
            trigger=pgtrigger.compiler.Trigger(
                name="update_update",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    condition='WHEN (OLD."active" IS DISTINCT FROM (NEW."active") OR OLD."allowed_addresses" IS DISTINCT FROM (NEW."allowed_addresses") OR OLD."id" IS DISTINCT FROM (NEW."id") OR OLD."kind" IS DISTINCT FROM (NEW."kind") OR OLD."org_id" IS DISTINCT FROM (NEW."org_id") OR OLD."organization_id" IS DISTINCT FROM (NEW."organization_id") OR OLD."previous_until" IS DISTINCT FROM (NEW."previous_until") OR OLD."public_id" IS DISTINCT FROM (NEW."public_id") OR OLD."source_id" IS DISTINCT FROM (NEW."source_id"))',
                    func='INSERT INTO "orgs_webhookendpointevent" ("active", "allowed_addresses", "id", "kind", "org_id", "organization_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "previous_until", "public_id", "source_id") VALUES (NEW."active", NEW."allowed_addresses", NEW."id", NEW."kind", NEW."org_id", NEW."organization_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."previous_until", NEW."public_id", NEW."source_id"); RETURN NULL;',
                    hash="c2f37f0f9d4882b71b0e4f2c0c9bd0f5e68c1d73",
                    operation="UPDATE",
                    pgid="pgtrigger_update_update_19be7",
                    table="orgs_webhookendpoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="webhookendpoint",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_webhookendpointevent" ("active", "allowed_addresses", "id", "kind", "org_id", "organization_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "previous_until", "public_id", "source_id") VALUES (OLD."active", OLD."allowed_addresses", OLD."id", OLD."kind", OLD."org_id", OLD."organization_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."previous_until", OLD."public_id", OLD."source_id"); RETURN NULL;',
                    hash="acfc3a371ffd987a560e76a547f76b129cb7ea92",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_3e55f",
                    table="orgs_webhookendpoint",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="roleagent",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_roleagentevent" ("agent_id", "id", "pgh_context_id", "pgh_created_at", "pgh_label", "supervisorrole_id") VALUES (NEW."agent_id", NEW."id", _pgh_attach_context(), NOW(), \'insert\', NEW."supervisorrole_id"); RETURN NULL;',
                    hash="6e0745c816107063222ece32e8213257f7749821",
                    operation="INSERT",
                    pgid="pgtrigger_insert_insert_6caf9",
                    table="orgs_supervisorrole_agents",
                    when="AFTER",
                ),
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="roleagent",
            trigger=pgtrigger.compiler.Trigger(
                name="delete_delete",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_roleagentevent" ("agent_id", "id", "pgh_context_id", "pgh_created_at", "pgh_label", "supervisorrole_id") VALUES (OLD."agent_id", OLD."id", _pgh_attach_context(), NOW(), \'delete\', OLD."supervisorrole_id"); RETURN NULL;',
                    hash="d729056eea52e21e486ab01fa3fcfdf79e468554",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_d148e",
                    table="orgs_supervisorrole_agents",
                    when="AFTER",
                ),
            ),
        ),
        migrations.AddConstraint(
            model_name="supervisorrole",
            constraint=models.UniqueConstraint(fields=("org", "id"), name="supervisorrole_org_id"),
        ),
        migrations.RunSQL(
            sql="ALTER TABLE orgs_assignment ADD CONSTRAINT assignment_role_of_org FOREIGN KEY (org_id, role_id) REFERENCES orgs_supervisorrole (org_id, id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
            reverse_sql="ALTER TABLE orgs_assignment DROP CONSTRAINT assignment_role_of_org",
        ),
    ]
