import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0022_duty_reminder"),
        ("runs", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PurgedRuns",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("day", models.DateField()),
                ("run_ids", django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), size=None)),
                (
                    "org",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="orgs.org"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "purged runs",
                "indexes": [models.Index(fields=["org", "day"], name="purgedruns_org_day")],
            },
        ),
    ]
