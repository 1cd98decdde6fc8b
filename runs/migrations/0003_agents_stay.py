"""A run's agent is no foreign key any more: its check, row by row, was a fifth of the server's work.

A run is stored together with its hour, whose agent is checked; and no agent is deleted while it has runs: the two halves
of what the foreign key did.
"""

import django.db.models.deletion
from django.db import migrations, models

KEEP_AGENTS = """
CREATE FUNCTION runs_keep_agent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM runs_agentrun WHERE org_id = OLD.org_id AND agent_id = OLD.id) THEN
        RAISE foreign_key_violation USING MESSAGE = format('agent %s still has runs', OLD.id);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER runs_keep_agent AFTER DELETE ON orgs_agent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION runs_keep_agent();
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0002_purged_runs")]

    operations = [
        migrations.AlterField(
            model_name="agentrun",
            name="agent",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="orgs.agent",
            ),
        ),
        migrations.RunSQL(KEEP_AGENTS, "DROP TRIGGER runs_keep_agent ON orgs_agent; DROP FUNCTION runs_keep_agent"),
    ]
