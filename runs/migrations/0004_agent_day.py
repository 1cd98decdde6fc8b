"""A row for an agent's day, which the worker sums up from the days of its versions, channels and kinds of input.

Until then those are read: each is marked by what the column says of rows that are there, so that none is written.
"""

import django.db.models.deletion
from django.db import migrations, models

UNSUMMED = models.Index(
    condition=models.Q(("stale", True), ("unsummed", True), _connector="OR"), fields=["id"], name="daykpi_unsummed"
)


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0022_duty_reminder"),
        ("runs", "0003_agents_stay"),
    ]

    operations = [
        migrations.AddField("daykpi", "unsummed", models.BooleanField(default=True, db_default=True)),
        migrations.RemoveIndex("daykpi", "daykpi_stale"),
        migrations.AddIndex("daykpi", UNSUMMED),
        migrations.CreateModel(
            name="AgentDay",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("runs", models.BigIntegerField(default=0)),
                ("ended", models.BigIntegerField(default=0)),
                ("resolved", models.BigIntegerField(default=0)),
                ("escalated", models.BigIntegerField(default=0)),
                ("failed", models.BigIntegerField(default=0)),
                ("escalated_expected", models.BigIntegerField(default=0)),
                ("escalated_cap", models.BigIntegerField(default=0)),
                ("self_corrected", models.BigIntegerField(default=0)),
                ("duration_us", models.DecimalField(decimal_places=0, default=0, max_digits=30)),
                ("sla_counted", models.BigIntegerField(default=0)),
                ("sla_hit", models.BigIntegerField(default=0)),
                ("cost_known", models.BigIntegerField(default=0)),
                ("cost_usd", models.DecimalField(decimal_places=5, default=0, max_digits=20)),
                ("touched_known", models.BigIntegerField(default=0)),
                ("untouched_resolved", models.BigIntegerField(default=0)),
                ("tokens_input", models.DecimalField(decimal_places=0, default=0, max_digits=30)),
                ("tokens_output", models.DecimalField(decimal_places=0, default=0, max_digits=30)),
                ("reviewed", models.BigIntegerField(default=0)),
                ("quality", models.DecimalField(decimal_places=6, default=0, max_digits=20)),
                ("durations", models.JSONField(default=dict)),
                ("day", models.DateField()),
                ("zone", models.CharField(max_length=64)),
                (
                    "agent",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.agent"
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
                "constraints": [models.UniqueConstraint(fields=("org", "day", "agent", "zone"), name="agentday_key")],
            },
        ),
    ]
