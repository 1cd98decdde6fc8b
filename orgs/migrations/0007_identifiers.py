"""One spelling for what orgs, agents, roles, people and sources are known by."""

import sys

from django.db import migrations

from orgs.identifiers import without_hidden

# Model, its identifier, what that is unique within; None: it is not unique.
STORED = [
    ("Org", "external_id", ()),
    ("User", "sso_id", ()),
    ("Agent", "name", ("org_id",)),
    ("SupervisorRole", "name", ("org_id",)),
    ("Source", "name", ("org_id",)),
    ("Assignment", "external_user_id", None),
    ("WebhookEndpoint", "organization_id", None),
]


def spell_stored(apps, schema_editor):
    """Where the one spelling is taken, the row stays as it is and is named: a merge could not be undone."""
    for name, field, within in STORED:
        model = apps.get_model("orgs", name)
        rows = model._base_manager
        for row in list(rows.values("pk", field, *(within or ()))):
            wanted = without_hidden(row[field])
            if wanted == row[field]:
                continue
            same = {column: row[column] for column in within or ()}
            if within is not None and (not wanted or rows.filter(**same, **{field: wanted}).exists()):
                sys.stderr.write(f"orgs.{name} {row['pk']} stays {row[field]!r}: there is {wanted!r} beside it.\n")
                continue
            rows.filter(pk=row["pk"]).update(**{field: wanted})


class Migration(migrations.Migration):
    dependencies = [("orgs", "0006_older_addresses")]

    operations = [migrations.RunPython(spell_stored, migrations.RunPython.noop)]
