"""What was done to an event's texts; how many came with a secret. One spelling for the ids of rooms."""

import sys

import django.contrib.postgres.fields
from django.db import migrations, models

from orgs.identifiers import without_hidden

# In any other spelling than its one; what passes here is looked at closer.
OTHERWISE = "room_id !~ '^[!-~]([ -~]*[!-~])?$' OR (length(room_id) = 36 AND room_id <> lower(room_id))"


def spell_rooms(apps, schema_editor):
    """A room whose one spelling is taken by another of its org stays as it is: nothing is merged."""
    room = apps.get_model("alerts", "Room")
    rows = room._base_manager.extra(where=[OTHERWISE])  # noqa: S610 - a constant
    rows = rows.values_list("pk", "org_id", "room_id")
    for pk, org_id, room_id in list(rows):
        wanted = without_hidden(room_id)
        if wanted == room_id:
            continue
        if not wanted or room._base_manager.filter(org_id=org_id, room_id=wanted).exists():
            sys.stderr.write(f"alerts.Room {pk} stays {room_id!r}: there is {wanted!r} beside it.\n")
            continue
        room._base_manager.filter(pk=pk).update(room_id=wanted)


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0007_receipt_bounds"),
        ("orgs", "0007_identifiers"),
    ]

    operations = [
        migrations.AddField(
            model_name="failureevent",
            name="flags",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=16), default=list, db_default=[], size=None
            ),
        ),
        migrations.AddField(
            model_name="sourceminute",
            name="with_secret",
            field=models.PositiveIntegerField(default=0, db_default=0),
        ),
        migrations.RunPython(spell_rooms, migrations.RunPython.noop),
    ]
