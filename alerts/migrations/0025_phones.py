import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0024_signals"),
        ("orgs", "0016_limits"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="alert",
            name="alert_one_open_per_source",
        ),
        migrations.AddField(
            model_name="alert",
            name="from_source",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="orgs.source",
            ),
        ),
        migrations.AddField(
            model_name="digestalert",
            name="joined_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="gate",
            name="revokes_off_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="push",
            name="revokes",
            field=models.UUIDField(null=True),
        ),
        migrations.AlterField(
            model_name="push",
            name="kind",
            field=models.CharField(
                choices=[("alert", "Alert"), ("digest", "Digest"), ("test", "Test"), ("revoke", "Revoke")],
                default="alert",
                max_length=8,
                verbose_name="kind",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    models.Q(("state", "resolved"), _negated=True), ("covers_from__isnull", True), ("scope", "source")
                ),
                fields=("org", "source"),
                name="alert_one_open_per_source",
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    models.Q(("state", "resolved"), _negated=True), ("covers_from__isnull", False), ("scope", "source")
                ),
                fields=("org", "source"),
                name="alert_one_open_source_outage",
            ),
        ),
    ]
