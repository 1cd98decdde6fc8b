"""A time is at most its receipt; what was sent stays beside it."""

from django.db import migrations, models

BOUND = """
UPDATE alerts_failureevent SET as_sent = occurred_at, occurred_at = received_at WHERE occurred_at > received_at;
UPDATE alerts_roomactivity SET as_sent = at, at = received_at WHERE at > received_at;
UPDATE alerts_alert SET first_failure_at = opened_at WHERE scope = 'room' AND first_failure_at > opened_at;
"""
UNBOUND = """
UPDATE alerts_failureevent SET occurred_at = as_sent WHERE as_sent IS NOT NULL;
UPDATE alerts_roomactivity SET at = as_sent WHERE as_sent IS NOT NULL;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0006_broken_timers"),
    ]

    operations = [
        migrations.AddField(
            model_name="failureevent",
            name="as_sent",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="roomactivity",
            name="as_sent",
            field=models.DateTimeField(null=True),
        ),
        migrations.RunSQL(BOUND, UNBOUND),
    ]
