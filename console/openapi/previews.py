"""The operations on previews of a policy."""

from alerts.api.previews import PREVIEW_FIELDS
from console.openapi.parts import READS, WRITES, Operation, json_body, make_operation, object_of
from console.openapi.policy import policy_schema

DONE = {
    200: ("The figures of both.", "PolicyPreview"),
    202: ("It takes longer: ask `url`, which tells how far it is.", "PreviewWaits"),
    409: ("Another preview of this org was asked for since, or it could not be played.", "PreviewGone"),
}


def preview_operations() -> list[Operation]:
    """Ask, and ask for what takes longer."""
    path = "/api/policy/preview"
    asked = object_of(PREVIEW_FIELDS)
    asked["properties"]["policy"] = policy_schema()
    asked["required"] = [*asked["required"], "policy"]
    example = {"org_id": "melati", "policy": {}, "from": "2026-11-20T00:00:00Z", "to": "2026-11-27T00:00:00Z"}
    return [
        make_operation(
            "post",
            path,
            "preview_policy",
            "What a policy would have done with what happened",
            "Set-up",
            DONE,
            WRITES,
            requestBody=json_body(asked, example) | {"required": True},
            description="At most 31 days are played again, once under the policies that held and once under this one; "
            "nothing changes, and scope `read` is enough. For an org `policy` names every field, for an `agent` only "
            "what it has for itself. Pushes about one's own duty are left out, and what phones read once somebody has "
            "an alert. One at a time for an org: who asks anew ends what was asked before.",
        ),
        make_operation(
            "get",
            f"{path}/{{preview_id}}",
            "get_policy_preview",
            "A preview that takes longer",
            "Set-up",
            DONE,
            READS,
            description="Kept for a day.",
        ),
    ]
