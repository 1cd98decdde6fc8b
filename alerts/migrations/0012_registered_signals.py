from django.db import migrations, models

import orgs.signals


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0011_unused"),
    ]

    operations = [
        migrations.AlterField(
            model_name="failureevent",
            name="signal",
            field=models.CharField(choices=orgs.signals.signal_choices, max_length=32),
        ),
    ]
