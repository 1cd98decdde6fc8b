from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0003_intake"),
    ]

    operations = [
        migrations.AlterField(
            model_name="failureevent",
            name="signal",
            field=models.CharField(
                choices=[
                    ("agent_error", "Agent error"),
                    ("unexpected_handoff", "Unexpected handoff"),
                    ("message_cap", "Message cap"),
                    ("low_confidence", "Low confidence"),
                    ("help_requested", "Help requested"),
                    ("silent_source", "Silent source"),
                    ("rejected_items", "Rejected items"),
                ],
                max_length=32,
            ),
        ),
    ]
