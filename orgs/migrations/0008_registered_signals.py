import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import orgs.models.tenants

# The five signals that had a column each: of policies, and of what is remembered of them.
SIGNALS = ("agent_error", "unexpected_handoff", "message_cap", "low_confidence", "help_requested")
TABLES = ("orgs_policy", "orgs_policyevent")
GATHER = f"""UPDATE {{table}} SET severities = jsonb_strip_nulls(jsonb_build_object(
    {", ".join(f"'{one}', NULLIF({one}, '')" for one in SIGNALS)}))"""  # noqa: S608
SPREAD = f"""UPDATE {{table}} SET
    {", ".join(f"{one} = coalesce(severities->>'{one}', '')" for one in SIGNALS)}"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0007_identifiers"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name="policy",
            name="insert_insert",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="policy",
            name="update_update",
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name="policy",
            name="delete_delete",
        ),
        migrations.AddField(
            model_name="policy",
            name="severities",
            field=models.JSONField(
                blank=True, default=dict, validators=[orgs.models.tenants.check_severities], verbose_name="severities"
            ),
        ),
        migrations.AddField(
            model_name="policyevent",
            name="severities",
            field=models.JSONField(
                blank=True, default=dict, validators=[orgs.models.tenants.check_severities], verbose_name="severities"
            ),
        ),
        *[migrations.RunSQL(GATHER.format(table=table), SPREAD.format(table=table)) for table in TABLES],
        *[migrations.RemoveField(model, signal) for model in ("policy", "policyevent") for signal in SIGNALS],
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "severities") VALUES (NEW."agent_id", NEW."confidence_threshold", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."severities"); RETURN NULL;',
                    hash="623b6a573939eec35c602acf62d4c4d94bc7b928",
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
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "severities") VALUES (NEW."agent_id", NEW."confidence_threshold", NEW."id", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."severities"); RETURN NULL;',
                    hash="21a05163389321410be70001204e8c2975138958",
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
                    func='INSERT INTO "orgs_policyevent" ("agent_id", "confidence_threshold", "id", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "severities") VALUES (OLD."agent_id", OLD."confidence_threshold", OLD."id", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."severities"); RETURN NULL;',
                    hash="f9e633cb8736b3d3081b96ecef0af1fb59f19187",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_dc123",
                    table="orgs_policy",
                    when="AFTER",
                ),
            ),
        ),
    ]
