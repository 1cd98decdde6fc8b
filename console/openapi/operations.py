"""Every operation of the document, path by path."""

from functools import partial
from typing import Any

from alerts.actions import SILENCEABLE
from alerts.api.acts import ACTS
from alerts.api.silences import SILENCE_FIELDS
from alerts.models import Alert, Push, Silence
from console.openapi.duty import duty_operations, hours_schema
from console.openapi.items import body_of
from console.openapi.parts import (
    ALERT_FILTERS,
    GZIP,
    LANE,
    NOTHING,
    ORG,
    READS,
    SENT,
    SIGNATURE,
    UNTIL,
    WHO,
    WRITES,
    Operation,
    choices_in_query,
    flag_in_query,
    in_query,
    json_body,
    json_content,
    list_operation,
    make_operation,
    object_of,
    post_operation,
    read_operation,
)
from console.openapi.policy import policy_operations
from console.openapi.previews import preview_operations
from console.openapi.structs import TEXT, TIME, JsonSchema, array, enum
from orgs.assignments_api import FIELDS as OF_ASSIGNMENT
from orgs.client_tokens import LONGEST_TTL, USUAL_TTL
from orgs.client_tokens_api import TOKEN_FIELDS
from orgs.incoming import Field
from orgs.models import LOCALES, NAME
from orgs.plan import LARGEST_TIER, MOST_ROWS
from runs.models import AgentRun
from runs.query import RUN_STATES
from runs.rollups import GROUP_NAMES
from runs.windows import BUCKET_NAMES

SUMMARIES: dict[str, tuple[str, Any]] = {  # and an example of the body
    "acknowledge": ("I have seen it: repeats stop until it expires", WHO),
    "take": ("Acknowledge, and assign it to me", WHO),
    "release": ("Nobody has it any more; open again. Within 10 min of what the same person did: its undo", WHO),
    "resolve": ("It is over", WHO),
    "reopen": ("It is not over. Within 10 min, by who resolved it: an undo, clocks go on; else they start anew", WHO),
    "snooze": ("Hold repeats until a time in the next 24 hours; worsening breaks it", UNTIL),
    "assign": ("Give it to another person", {"sso_id": "dewi"}),
    "verdict": ("Say whether it was a real failure", {"verdict": "false_alarm", "note": "The customer was joking."}),
}


def _act(verb: str) -> Operation:
    summary, example = SUMMARIES[verb]
    fields = ACTS[verb].fields
    human = {} if fields["sso_id"].required else {"description": "With a key: the human who acts. Required then."}
    body = json_body(object_of(fields, sso_id=human, verdict=enum(Alert.Verdict.values)), example)
    answers = {200: ("The alert as it is now.", "Alert"), 409: ("Somebody was faster.", "AlertConflict")}
    return post_operation(f"/api/alerts/{{alert_id}}/{verb}", verb, summary, "Acting", answers, body)


DAY_OR_TIME = {"type": "string", "anyOf": [{"format": "date"}, {"format": "date-time"}]}


def _period() -> tuple[JsonSchema, JsonSchema]:
    starts = "Inclusive; a day in each org's own zone, or an instant. Else 30 days ago."
    ends = "Exclusive; at most 366 days after `from`. Else now."
    return in_query("from", DAY_OR_TIME, starts), in_query("to", DAY_OR_TIME, ends)


def _success() -> Operation:
    summary, answers = "The success figures of all your orgs together, and of each", {200: ("The figures.", "Success")}
    return make_operation("get", "/api/success", "success", summary, "Reading", answers, READS, (ORG, *_period()))


def _blind() -> Operation:
    summary, answers = "When we could not see, and why, oldest first", {200: ("The intervals.", "BlindIntervals")}
    path = "/api/blind-intervals"
    return make_operation("get", path, "blind_intervals", summary, "Reading", answers, READS, (ORG, *_period()))


ONE_ORG = in_query("org_id", TEXT, "Required where you see several orgs; else your own.")
OF_RUNS = tuple(in_query(name, TEXT) for name in ("agent", "version", "channel", "input_kind"))
RUN_FILTERS = (
    *(ORG, *OF_RUNS),
    choices_in_query("surface", AgentRun.Surface.values),
    choices_in_query("resolution", AgentRun.Resolution.values),
    in_query("room_id", TEXT),
    *(in_query(name, TIME, "Exclusive.") for name in ("started_after", "started_before")),
    choices_in_query("state", list(RUN_STATES)),
)
KPI_PERIOD = (
    in_query("from", DAY_OR_TIME, "Inclusive; a day in each org's own zone, or an instant. Else 7 days before `to`."),
    in_query("to", DAY_OR_TIME, "Exclusive; at most 400 days after `from`. Else now."),
)


def _runs() -> list[Operation]:
    group = in_query("group_by", {**enum(GROUP_NAMES), "default": "agent"})
    bucket = in_query(
        "bucket", {**enum(BUCKET_NAMES), "default": "total"}, "Hours are of UTC, others of the org's zone."
    )
    asked = (ORG, *OF_RUNS, group, bucket, *KPI_PERIOD)
    read = partial(make_operation, "get", tag="Reading", refusals=READS)
    one, figures, versions = ({200: ("It.", name)} for name in ("Run", "Kpis", "AgentVersions"))
    path, compared = "/api/agents/{agent_name}", "Its versions compared, crude and adjusted"
    return [
        list_operation("Run", "/api/runs", "Runs, newest start first", "Reading", *RUN_FILTERS),
        read("/api/runs/{run_id}", "get_run", "One run whole", answers=one, parameters=(ONE_ORG,)),
        read(
            "/api/kpis", "kpis", "Figures of runs, by group and in buckets of time", answers=figures, parameters=asked
        ),
        read(f"{path}/versions", "agent_versions", compared, answers=versions, parameters=(ONE_ORG, *KPI_PERIOD)),
    ]


def _sync() -> Operation:
    text = {"minLength": 1, "maxLength": NAME}
    optional = {"maxLength": NAME, "description": "Not given: what is there stays."}
    item = object_of(
        OF_ASSIGNMENT,
        role=text,
        sso_id=text,
        tier={"minimum": 1, "maximum": LARGEST_TIER},
        **dict.fromkeys(("external_user_id", "name"), optional),
    )
    item["properties"] |= {
        "locale": {"enum": [*dict(LOCALES), "", None]},
        "duty": {
            **hours_schema(holidays=True, null=True),
            "description": "By the org's wall clock. Empty: always on duty.",
        },
        "away_until": {**TIME, "type": ["string", "null"], "description": "Null: not away."},
        "fallback": {"type": ["boolean", "null"], "description": "Of the role: told when no tier has anybody on duty."},
        "agents": {**array(TEXT), "type": ["array", "null"], "description": "Of the role: these alone; empty: all."},
    }
    many = {**array(item), "maxItems": MOST_ROWS}
    wrapped = {**object_of({"assignments": Field(required=True)}), "properties": {"assignments": many}}
    example = {"role": "Shift lead", "tier": 1, "sso_id": "rina", "external_user_id": "8812", "name": "Rina Wulandari"}
    refused = "Refused: `missing_field`, `invalid_field`, `empty_list`, ..."
    return make_operation(
        "put",
        "/api/assignments",
        "sync_assignments",
        "Say the whole list of an org's assignments",
        "Set-up",
        {200: ("What it did.", "AssignmentSync"), 422: (refused, "AssignmentSyncRefused")},
        WRITES,
        (
            in_query("org_id", TEXT, "Whose list it is; the key of an org may leave it out."),
            flag_in_query("dry_run", "1: say what would happen, write nothing."),
            flag_in_query("allow_empty", "1: an empty list is meant."),
        ),
        description="All items or none; what the list does not name is removed, but no role and no person. "
        "At most 5,000 items, 2 MiB. What an item leaves out stays as it is. For keys with scope `act`, "
        "specialists and leads of the org. Whoever speaks for one org cannot rename people of others; somebody who "
        "is known and has no role in it is `pending` until a specialist or the person says yes.",
        requestBody=json_body({"oneOf": [wrapped, many]}, {"assignments": [example]}),
    )


def _write(
    name: str,
    path: str,
    summary: str,
    examples: dict[str, Any],
    *parameters: JsonSchema,
    limit: str = "2 MiB after decompression",
    **more: Any,
) -> Operation:
    answers = {
        200: ("One object: a duplicate, or it updated what is there.", "ItemResult"),
        201: ("One object: created.", "ItemResult"),
        207: ("An array: a status per item.", "BatchResult"),
        409: ("One object: the same id with another payload; the original is kept.", "ItemResult"),
        422: ("One object: `invalid`.", "ItemResult"),
    }
    description = (
        f'One object, an array, or `{{"items": [...]}}`: at most 1,000 items, {limit}. A 2xx '
        "is sent after the items are stored, never before."
    )
    named = "write_" + path.rpartition("/")[2].replace("-", "_")
    more["requestBody"] = {"required": True, "content": json_content(schema=body_of(name), examples=examples[name])}
    more["description"] = description
    return make_operation("post", path, named, summary, "Writing", answers, LANE, (GZIP, *SENT, *parameters), **more)


def _client_tokens() -> Operation:
    ttl = {"minimum": 1, "maximum": LONGEST_TTL, "default": USUAL_TTL}
    org_id = {"description": "Required with the key of a platform source."}
    return post_operation(
        "/api/client-tokens",
        "make_client_token",
        "Make a short-lived token for a page in a browser",
        "Writing",
        {201: ("The token; it is shown once.", "ClientToken")},
        json_body(object_of(TOKEN_FIELDS, ttl_seconds=ttl, org_id=org_id), {"ttl_seconds": USUAL_TTL}),
        description="With a key that has the scope `ingest`. The token writes for one org, on /api/failure-events, "
        "/api/room-activity, /api/agent-runs and /api/agent-qc, from the origins that the source lists; anything "
        "else is 403. It ends with its key.",
        security=[{"key": []}],
    )


def _webhook() -> Operation:
    """What a chat product posts is its own; only the answer is ours."""
    any_object = {"type": "object", "additionalProperties": True}
    return make_operation(
        "post",
        "/api/webhooks/qontak/{endpoint}",
        "receive_qontak",
        "What Qontak's message interaction webhook posts",
        "Writing",
        {200: ("Stored, whatever it says; then worked.", "Delivery")},
        (408, 413, 429),
        (GZIP,),
        description="The address is made by `webhook create` or on the page of sources, its last part the secret. "
        "At most 256 KiB. 401: no such address, or a newer one took its place. 403: not an allowed address.",
        requestBody={"required": True, "content": json_content(schema=any_object)},
        security=[{}],
    )


def _silences() -> list[Operation]:
    body = object_of(
        SILENCE_FIELDS,
        org_id={"description": "The key of an org may leave it out."},
        signal={"enum": [*SILENCEABLE, None]},
        recurrence={"enum": [*Silence.Recurrence.values, None]},
        until_idle_minutes={"minimum": 1},
        sso_id={"description": "With a key: the human who asks for it."},
    )
    example = {"org_id": "acme", "agent_name": "Billing Bot", "ends_at": "2026-05-04T10:30:00+07:00"}
    return [
        list_operation("Silence", "/api/silences", "Silences, the newest first", "Silences", ORG),
        post_operation(
            "/api/silences",
            "make_silence",
            "Tell nobody of what it names for a while",
            "Silences",
            {201: ("It.", "Silence")},
            json_body(body, example),
            description="At least one of `agent_name`, `signal`, `room_id` and `channel`, or `whole_org`. At most 31"
            " days long; one that recurs does so by the org's wall clock, for at most a year. At its end what is still"
            " open is told once. For keys with scope `act`, leads and specialists; a supervisor may silence one room"
            " for up to 2 hours.",
        ),
        make_operation(
            "get",
            "/api/silences/{silence_id}",
            "get_silence",
            "One silence",
            "Silences",
            {200: ("It.", "Silence")},
            READS,
        ),
        _without_body(
            make_operation(
                "delete",
                "/api/silences/{silence_id}",
                "end_silence",
                "End it now; it stays in the list. Again changes nothing",
                "Silences",
                {},
                WRITES,
            )
        ),
    ]


def _without_body(operation: Operation) -> Operation:
    """One that answers 204."""
    path, method, made = operation
    return path, method, made | {"responses": {"204": {"description": "Done."}, **made["responses"]}}


def _writing(examples: dict[str, Any]) -> list[Operation]:
    return [
        _write("FailureEvent", "/api/failure-events", "Tell of failures of an agent", examples),
        _write("RoomActivity", "/api/room-activity", "Tell what happens in a room", examples),
        _write("AgentRun", "/api/agent-runs", "Tell of runs of an agent", examples),
        _write("AgentReview", "/api/agent-qc", "Tell what a reviewer thinks of a run", examples),
        _write(
            "PushReceipt",
            "/api/push-receipts",
            "Tell what became of a push (notification-service)",
            examples,
            *SIGNATURE,
            limit="64 KiB, not packed",
            security=[{}],
        ),
        _webhook(),
        _client_tokens(),
    ]


def _pushes() -> list[Operation]:
    replayed = {200: ("The push as it is now.", "PushDetail"), 409: ("It is not dead.", "PushConflict")}
    far = "How far it came in 5 s (if many ask: at once); GET /api/pushes/{id} tells the rest."
    tested = {200: (far, "PushDetail")}
    org = json_body(object_of({"org_id": Field()}, org_id={"description": "Where the person has several orgs."}), {})
    return [
        list_operation(
            "Push", "/api/pushes", "Pushes, newest first", "Pushes", choices_in_query("state", Push.State.values), ORG
        ),
        read_operation("Push", "/api/pushes/{push_id}", "One push with its hops", "Pushes"),
        post_operation(
            "/api/pushes/{push_id}/replay", "replay", "Send a dead push once more", "Pushes", replayed, NOTHING
        ),
        post_operation(
            "/api/supervisors/{sso_id}/test-push",
            "test_push",
            "Send a test push and see each hop",
            "Pushes",
            tested,
            org,
        ),
        *duty_operations(),
        *_silences(),
    ]


def operations(examples: dict[str, Any]) -> list[Operation]:
    """(path, method, operation), in the order people read them."""
    return [
        *_writing(examples),
        list_operation("Alert", "/api/alerts", "Alerts, newest activity first", "Reading", *ALERT_FILTERS),
        read_operation("Alert", "/api/alerts/{alert_id}", "One alert and everything that happened to it", "Reading"),
        list_operation("Org", "/api/orgs", "Orgs", "Reading"),
        list_operation("Agent", "/api/agents", "Agents", "Reading", ORG),
        list_operation("Supervisor", "/api/supervisors", "Supervisors and their roles", "Reading", ORG),
        list_operation("Source", "/api/sources", "Sources: last heard, rate, lag, what was refused", "Reading", ORG),
        list_operation(
            "AgentReach", "/api/reach", "Production agents, and who of their supervisors is reached", "Reading", ORG
        ),
        _success(),
        *_runs(),
        _blind(),
        *[_act(verb) for verb in SUMMARIES],
        *_pushes(),
        _sync(),
        *policy_operations(),
        *preview_operations(),
        post_operation(
            "/api/people/{sso_id}/confirm",
            "confirm_person",
            "Say that somebody whom an org named may take its roles",
            "Set-up",
            {200: ("They are told and shown what the roles say.", "PersonConfirmed")},
            NOTHING,
            in_query("org_id", TEXT, "The org that named them; required."),
            description="For specialists who are signed in. 404: this org did not name this person.",
        ),
    ]
