import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orgs", "0003_webhook_endpoints"),
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
            name="help_requested",
            field=models.CharField(
                blank=True,
                choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
                max_length=8,
                verbose_name="help requested",
            ),
        ),
        migrations.AddField(
            model_name="policyevent",
            name="help_requested",
            field=models.CharField(
                blank=True,
                choices=[("info", "Info"), ("warning", "Warning"), ("critical", "Critical")],
                max_length=8,
                verbose_name="help requested",
            ),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name="policy",
            trigger=pgtrigger.compiler.Trigger(
                name="insert_insert",
                sql=pgtrigger.compiler.UpsertTriggerSql(
                    func='INSERT INTO "orgs_policyevent" ("agent_error", "agent_id", "confidence_threshold", "help_requested", "id", "low_confidence", "message_cap", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "unexpected_handoff") VALUES (NEW."agent_error", NEW."agent_id", NEW."confidence_threshold", NEW."help_requested", NEW."id", NEW."low_confidence", NEW."message_cap", NEW."org_id", _pgh_attach_context(), NOW(), \'insert\', NEW."id", NEW."unexpected_handoff"); RETURN NULL;',
                    hash="42a63d4a2f259abeee36c4162d4239d546c050d9",
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
                    func='INSERT INTO "orgs_policyevent" ("agent_error", "agent_id", "confidence_threshold", "help_requested", "id", "low_confidence", "message_cap", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "unexpected_handoff") VALUES (NEW."agent_error", NEW."agent_id", NEW."confidence_threshold", NEW."help_requested", NEW."id", NEW."low_confidence", NEW."message_cap", NEW."org_id", _pgh_attach_context(), NOW(), \'update\', NEW."id", NEW."unexpected_handoff"); RETURN NULL;',
                    hash="7c8378255c1e9aa88c8a6aef5e7296e32848ccb5",
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
                    func='INSERT INTO "orgs_policyevent" ("agent_error", "agent_id", "confidence_threshold", "help_requested", "id", "low_confidence", "message_cap", "org_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "unexpected_handoff") VALUES (OLD."agent_error", OLD."agent_id", OLD."confidence_threshold", OLD."help_requested", OLD."id", OLD."low_confidence", OLD."message_cap", OLD."org_id", _pgh_attach_context(), NOW(), \'delete\', OLD."id", OLD."unexpected_handoff"); RETURN NULL;',
                    hash="dd17a9c3c58e7c734fccab7edbe4c57b7551ae5f",
                    operation="DELETE",
                    pgid="pgtrigger_delete_delete_dc123",
                    table="orgs_policy",
                    when="AFTER",
                ),
            ),
        ),
    ]
