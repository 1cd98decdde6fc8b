"""The operations on policies, their body made from what a policy may say."""

from typing import Any

from alerts.api.policy import REVERT_FIELDS
from console.openapi.parts import READS, WRITES, Operation, in_query, json_body, make_operation, object_of
from console.openapi.structs import TEXT, JsonSchema, enum
from orgs.policy_fields import POLICY_DEFAULTS, SEVERITY_NAMES

OF = (
    in_query("org_id", TEXT, "Whose policy it is; the key of an org may leave it out."),
    in_query("agent", TEXT, "What this agent has for itself; not given: the org's."),
)
IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "schema": {"type": "string"},
    "description": "The `ETag` of the policy that was read.",
}
READ = {"type": "integer", "minimum": 0, "description": "As it was read. It says nothing here: `If-Match` does."}
ODD = {  # what no default shows
    "confidence_threshold": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    "low_confidence": {"enum": ["push", "digest", None]},
    "quiet_hours_pass": {"type": "array", "items": enum(SEVERITY_NAMES)},
    "repeat_minutes": {"type": "array", "items": {"type": "integer"}, "description": "Rising."},
    "reply_window_hours": {"type": "object", "additionalProperties": {"type": "integer"}},
}


def _schema(value: Any) -> JsonSchema:
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "integer", "minimum": 0}
    if isinstance(value, str):
        return enum(SEVERITY_NAMES)
    parts = {name: _schema(one) for name, one in value.items()}
    return {"type": "object", "properties": parts, "additionalProperties": False}


def policy_schema() -> JsonSchema:
    """A policy as it is sent; what was read can be sent back."""
    properties = {name: ODD.get(name) or _schema(value) for name, value in POLICY_DEFAULTS.items()}
    return {"type": "object", "properties": {"version": READ, **properties}, "additionalProperties": False}


def _body() -> JsonSchema:
    return json_body(policy_schema(), dict(POLICY_DEFAULTS)) | {"required": True}


def policy_operations() -> list[Operation]:
    """Read, write, versions, revert."""
    path, told = "/api/policy", {200: ("It, with its `ETag`.", "Policy")}
    stale = {412: ("Somebody else saved it since: the fresh one.", "PolicyStale"), 428: ("No `If-Match`.", "Error")}
    revert = json_body(object_of(REVERT_FIELDS), {"org_id": "melati", "version": 3})
    return [
        make_operation("get", path, "get_policy", "Who is told, when and how often", "Set-up", told, READS, OF),
        make_operation(
            "put",
            path,
            "put_policy",
            "Say who is told, when and how often",
            "Set-up",
            told | stale,
            WRITES,
            (*OF, IF_MATCH),
            description="An org's policy names every field; an agent's only what it has for itself, at any depth. What "
            "runs already keeps its time: an acknowledge, the clock of a tier. For keys with scope `act`, specialists "
            "and leads of the org.",
            requestBody=_body(),
        ),
        make_operation(
            "get",
            f"{path}/versions",
            "policy_versions",
            "Who changed a policy, when and what",
            "Set-up",
            {200: ("The versions.", "PolicyVersions")},
            READS,
            OF,
        ),
        make_operation(
            "post",
            f"{path}/revert",
            "revert_policy",
            "Make a new version that equals an older one",
            "Set-up",
            told,
            WRITES,
            requestBody=revert,
            description="`version` 0: as it was before anything was saved.",
        ),
    ]
