"""The schemas of what is answered. Every name is always there; what is not known is null."""

from typing import Any, get_args

from alerts import figures
from alerts.models import Alert, Push, Signal, Transition, WebhookDelivery
from alerts.reach import ReachReason
from alerts.sources.health import STATUSES, SourceState
from orgs.models import Assignment, Severity, WebhookEndpoint

JsonSchema = dict[str, Any]

TIME: JsonSchema = {"type": "string", "format": "date-time"}
TIME_OR_NULL: JsonSchema = {"type": ["string", "null"], "format": "date-time"}
UUID: JsonSchema = {"type": "string", "format": "uuid"}
TEXT: JsonSchema = {"type": "string"}
TEXT_OR_NULL: JsonSchema = {"type": ["string", "null"]}
COUNT: JsonSchema = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: JsonSchema = {"type": ["integer", "null"], "minimum": 0}
NUMBER_OR_NULL: JsonSchema = {"type": ["number", "null"], "minimum": 0}
URL_OR_NULL: JsonSchema = {"type": ["string", "null"], "format": "uri"}


def ref(name: str) -> JsonSchema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: JsonSchema) -> JsonSchema:
    return {"oneOf": [schema, {"type": "null"}]}


def array(schema: JsonSchema) -> JsonSchema:
    return {"type": "array", "items": schema}


def enum(values: list[Any]) -> JsonSchema:
    return {"type": "string", "enum": list(values)}


def record(description: str, **fields: JsonSchema) -> JsonSchema:
    """An object with exactly these fields, all of them always there."""
    return {
        "type": "object",
        "description": description,
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def sometimes(whole: JsonSchema, *names: str) -> JsonSchema:
    """The same record, where these fields may be absent."""
    return whole | {"required": [name for name in whole["required"] if name not in names]}


def page_of(name: str) -> JsonSchema:
    """One page of a list."""
    return record("One page.", next=URL_OR_NULL, previous=URL_OR_NULL, results=array(ref(name)))


def both(first: JsonSchema, description: str, **more: JsonSchema) -> JsonSchema:
    """A record with more fields than another."""
    return record(description, **first["properties"], **more)


ERROR = {
    "type": "object",
    "description": "The one error shape. `field` names what was wrong, such as `items[3].occurred_at`.",
    "properties": {"code": TEXT, "message": TEXT, "field": TEXT},
    "required": ["code", "message"],
    "additionalProperties": False,
}

ALERT = record(
    "What a supervisor sees. Timestamps and signals are those of the current episode.",
    id=UUID,
    org_id=TEXT,
    scope=enum(Alert.Scope.values),
    agent_name=TEXT_OR_NULL,
    agent_version=TEXT_OR_NULL,
    source_name={**TEXT_OR_NULL, "description": "Of an alert of scope source."},
    room_id=TEXT_OR_NULL,
    severity=enum(Severity.values),
    state=enum(Alert.State.values),
    signals=array(ref("AlertSignal")),
    event_count=COUNT,
    opened_at=TIME,
    last_event_at=TIME,
    customer_waiting_since=TIME_OR_NULL,
    acknowledged_by=or_null(ref("Actor")),
    acknowledged_at=TIME_OR_NULL,
    intervened_by=or_null(ref("Actor")),
    intervened_at=TIME_OR_NULL,
    resolved_by=or_null(ref("Actor")),
    resolved_at=TIME_OR_NULL,
    assigned_to=or_null(ref("Actor")),
    snoozed_until=TIME_OR_NULL,
    episode=COUNT,
    channel=TEXT_OR_NULL,
    room_label=TEXT_OR_NULL,
    time_to_intervene_seconds={
        "type": ["number", "null"],
        "minimum": 0,
        "description": "First failure of the episode to the first human act in the room.",
    },
    verdict={"type": ["string", "null"], "enum": [*Alert.Verdict.values, None]},
    version={**COUNT, "description": "Grows by one with every change."},
    url={"type": "string", "format": "uri"},
)

PUSH_OF_ALERT = record(
    "One notification to one supervisor.",
    id=UUID,
    sso_id=TEXT,
    tier=COUNT,
    occurrence=COUNT,
    reason={**TEXT, "description": "Why it was skipped, cancelled or is dead; else why it was planned."},
    kind=enum(Push.Kind.values),
    state=enum(Push.State.values),
    attempts=COUNT,
    next_attempt_at=TIME_OR_NULL,
    idempotency_key=UUID,
    push={"type": ["string", "null"], "enum": ["queued", "no_token", None]},
    sent_at=TIME_OR_NULL,
    delivered_at=TIME_OR_NULL,
    opened_at=TIME_OR_NULL,
)

PUSH = both(
    PUSH_OF_ALERT,
    "A push, and what it is about.",
    org_id=TEXT,
    alert_id={**UUID, "type": ["string", "null"]},
    planned_at=TIME,
    last_answer={**TEXT_OR_NULL, "description": "What the last attempt got."},
)

PROVENANCE: JsonSchema = {**enum(Assignment.Provenance.values), "description": "Who said so last."}
ASSIGNMENT: dict[str, JsonSchema] = {"sso_id": TEXT, "role": TEXT, "external_user_id": TEXT_OR_NULL}
PENDING: JsonSchema = {
    "const": True,
    "description": "Somebody who is known and has no role in this org: told nothing and shown nothing before a "
    "specialist confirms, or they do so themselves at `/join/{org_id}`. Absent: nobody's word is waited for.",
}

PAGED = ("Alert", "Push", "Org", "Agent", "Supervisor", "Source", "AgentReach")

SCHEMAS: dict[str, JsonSchema] = {
    "Delivery": record(
        "One delivery of a chat product: `stored` to be worked, or what it was at once.",
        delivery_id=UUID,
        status=enum(["stored", *WebhookDelivery.Outcome.values]),
    ),
    "Error": record("What went wrong.", error=ERROR),
    "Actor": record(
        "Who did it: a person (`sso_id` null for a human agent we cannot match), or what ended it.",
        sso_id=TEXT_OR_NULL,
        name=TEXT_OR_NULL,
        kind=enum(Alert.By.values),
    ),
    "AlertSignal": record(
        "A signal of the current episode.", signal=enum(Signal.values), count=COUNT, first_at=TIME, last_at=TIME
    ),
    "Alert": ALERT,
    "AlertEvent": record(
        "A failure event of an alert.",
        event_id=TEXT,
        signal=enum(Signal.values),
        occurred_at=TIME,
        received_at=TIME,
        reason={**TEXT_OR_NULL, "description": "Why it did, or did not, tell people."},
        flags={
            **array(enum(["clock", "truncated", "masked", "secret"])),
            "description": "clock: it was sent with a time more than 5 min ahead. truncated: a text was cut or cleaned."
            " masked: personal data was masked. secret: a secret was replaced.",
        },
    ),
    "AlertTransition": record(
        "A change of an alert, and why.",
        at=TIME,
        change=enum(Transition.Change.values),
        reason=TEXT_OR_NULL,
        actor=or_null(ref("Actor")),
    ),
    "AlertPush": PUSH_OF_ALERT,
    "AlertDetail": both(
        ALERT,
        "An alert and everything that happened to it, oldest first; of each list the newest 1,000.",
        events=array(ref("AlertEvent")),
        transitions=array(ref("AlertTransition")),
        pushes=array(ref("AlertPush")),
    ),
    "Push": PUSH,
    "PushDetail": both(
        PUSH,
        "A push with its way to the person.",
        hops=array(
            record(
                "`at` and `answer` are null where it has not come yet.",
                hop=enum(["planned", "notification_service", "delivered", "opened"]),
                at=TIME_OR_NULL,
                answer=TEXT_OR_NULL,
            )
        ),
    ),
    "Org": record("A customer company.", org_id=TEXT, name=TEXT, zone=TEXT, locale=TEXT),
    "Agent": record(
        "An AI agent of an org.",
        org_id=TEXT,
        agent_name=TEXT,
        agent_version=TEXT_OR_NULL,
        production={"type": "boolean"},
        confirmed={"type": "boolean", "description": "False: first heard of in an event."},
    ),
    "Supervisor": record(
        "A person with an assignment in an org you may see.",
        sso_id=TEXT,
        name=TEXT,
        locale=TEXT_OR_NULL,
        tokens={**COUNT_OR_NULL, "description": "Phones that notification-service knows; null: not asked yet."},
        tokens_at=TIME_OR_NULL,
        assignments=array(
            record(
                "A role this person has.",
                org_id=TEXT,
                role=TEXT,
                tier=COUNT,
                agents={"type": ["array", "null"], "items": TEXT, "description": "Null: all agents of the org."},
                external_user_id=TEXT_OR_NULL,
                provenance=PROVENANCE,
            )
        ),
    ),
    "Source": record(
        "A sending system; its figures are of the orgs you may see.",
        org_id={**TEXT_OR_NULL, "description": "Null: a platform source."},
        source=TEXT,
        kind=enum(["api", *WebhookEndpoint.Kind.values]),
        last_heard_at=TIME_OR_NULL,
        state={
            **enum(list(get_args(SourceState))),
            "description": "`silent`: an alarm is open; `quiet`: nothing for 15 min, no alarm; `no_data`: never heard.",
        },
        rejecting={"type": "boolean", "description": "An alarm is open: too much of it is refused."},
        rate_per_minute={"type": "number", "minimum": 0, "description": "Items, mean of the last 5 min."},
        lag_ms={**COUNT_OR_NULL, "description": "Occurred to stored, mean of the last hour."},
        counts=record("Items of the last 24 h.", **dict.fromkeys(STATUSES, COUNT)),
        with_confidence_pct={
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": 100,
            "description": "Of the failure events of the last 24 h, those with a confidence.",
        },
    ),
    "AssignmentSync": record(
        "What the list added, changed and removed; on a dry run, what it would.",
        added=array(
            sometimes(
                record(
                    "An assignment that was not there.",
                    **ASSIGNMENT,
                    tier=COUNT,
                    pending=PENDING,
                    near_twin={
                        **TEXT_OR_NULL,
                        "description": "Of a new person: the sso_id of another one that differs only in case, blanks or"
                        " the form of its letters. Perhaps the same person is meant.",
                    },
                ),
                "pending",
            )
        ),
        changed=array(
            sometimes(
                record(
                    "An assignment, or its role or person, that the list says something else of.",
                    sso_id=TEXT,
                    role=TEXT,
                    changes={
                        "type": "object",
                        "description": "By field: `tier`, `name`, `locale`, `external_user_id`, `pending`.",
                        "additionalProperties": record(
                            "`from` is null where nothing was there.", **{"from": {}, "to": {}}
                        ),
                    },
                    pending=PENDING,
                ),
                "pending",
            )
        ),
        removed=array(record("One that the list does not name.", **ASSIGNMENT, tier=COUNT, provenance=PROVENANCE)),
        unchanged=COUNT,
        conflicts=array(
            record(
                "The list changed or removed what another had said, or an external_user_id is claimed by two people.",
                conflict=enum(["changed", "removed", "shared_id"]),
                **ASSIGNMENT,
                provenance=PROVENANCE,
            )
        ),
        waiting=array(record("All of the list that wait for a word.", **ASSIGNMENT, pending=PENDING)),
        dry_run={"type": "boolean"},
    ),
    "PersonConfirmed": record(
        "The word is given.",
        sso_id=TEXT,
        org_id=TEXT,
        confirmed={**COUNT, "description": "Assignments that waited for it."},
    ),
    "AssignmentSyncRefused": {
        "type": "object",
        "description": "The first error, and where items were refused those of the first 100. Nothing was written.",
        "properties": {"error": ERROR, "refused": COUNT, "errors": array(ERROR)},
        "required": ["error"],
        "additionalProperties": False,
    },
    "AgentReach": record(
        "A production agent and everybody who backs it up, tier 1 first.",
        org_id=TEXT,
        agent_name=TEXT,
        reachable={"type": "boolean", "description": "Somebody is."},
        supervisors=array(
            record(
                "Somebody who backs it up; deliveries are those of this org, rooms those of this agent.",
                sso_id=TEXT,
                name=TEXT,
                tier=COUNT,
                tokens={**COUNT_OR_NULL, "description": "Phones that notification-service knows; null: not asked yet."},
                tokens_at=TIME_OR_NULL,
                last_delivered_at=TIME_OR_NULL,
                last_opened_at=TIME_OR_NULL,
                last_entered_at=TIME_OR_NULL,
                reachable={
                    "type": "boolean",
                    "description": "Proven: a push came to the phone, none failed since.",
                },
                reason={
                    "type": ["string", "null"],
                    "enum": [*(reason for reason in get_args(ReachReason) if reason), None],
                    "description": "Why not; `never_delivered`: there is a phone, and no proof yet.",
                },
            )
        ),
    ),
    "Success": record(
        "The success figures; docs/success.md defines them.",
        as_of=TIME,
        results=array(ref("SuccessFigure")),
    ),
    "SuccessFigure": record(
        "One figure. Null: no data, or too little for an interval.",
        org_id={**TEXT_OR_NULL, "description": "Null: all orgs you may see, together."},
        metric=enum(list(figures.BY_NAME)),
        value={**NUMBER_OR_NULL, "description": "Seconds, or a percentage from 0 to 100."},
        n={**COUNT, "description": "What the figure is of: episodes, failure events, conversations, agents, alerts."},
        low={**NUMBER_OR_NULL, "description": "Of the 95 % interval."},
        high=NUMBER_OR_NULL,
        target=NUMBER_OR_NULL,
        baseline={**NUMBER_OR_NULL, "description": "The same figure of the org's first 30 days, so far."},
    ),
    "AlertConflict": record("Somebody was faster; the alert as it is now.", error=ERROR, alert=ref("Alert")),
    "PushConflict": record("It is not dead (any more); the push as it is now.", error=ERROR, push=ref("PushDetail")),
    **{f"{name}Page": page_of(name) for name in PAGED},
}
