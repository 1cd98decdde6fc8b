"""The schema can be spread over machines by org: what grows with traffic carries its org, and so can each of its keys.

What does not grow with traffic is small and would be on every machine.
"""

import pytest
from django.apps import apps
from django.db.models import ForeignKey, Model, UniqueConstraint

GROWS = {
    *(
        "Alert",
        "Comment",
        "DigestAlert",
        "FailureEvent",
        "Push",
        "RejectedItem",
        "Room",
        "RoomActivity",
        "SenderHour",
        "SenderProcess",
        "SilencedAlert",
        "SourceHeard",
        "SourceMinute",
    ),
    *("KeptFigures", "LegalHold", "Transition", "WebhookDelivery"),
    *("AgentDay", "AgentFlow", "AgentQc", "AgentRun", "DayKpi", "DaySessions", "HourKpi", "PurgedRuns", "RoomSession"),
}
STAYS_SMALL = {
    *(
        "Agent",
        "ApiKey",
        "Assignment",
        "BlindInterval",
        "FiguresMark",
        "FoldMark",
        "Gate",
        "Membership",
        "Org",
        "Policy",
        "PolicyPreview",
        "RoleAgent",
        "SavedView",
        "SessionsMark",
        "Source",
    ),
    *(
        "BusinessHours",
        "DutyFeed",
        "DutyMark",
        "DutyReminder",
        "Handover",
        "Holiday",
        "QuietHours",
        "TemporaryDuty",
        "TemporarySchedule",
    ),
    *("Retention", "Silence", "SupervisorRole", "User", "Wall", "WebHeartbeat", "WebhookEndpoint"),
}
OF_NOBODY = {
    "RejectedItem",
    "SenderHour",
    "SenderProcess",
    "SourceMinute",
}  # what a platform source sent and named no org for: kept on one machine
FROM_THE_ID = {"idempotency_key"}  # a UUID made from the row's own: unique by itself
MODELS = {
    model.__name__: model for app in ("orgs", "alerts", "runs") for model in apps.get_app_config(app).get_models()
}


def test_every_table_is_one_that_grows_or_one_that_stays_small() -> None:
    """A new one is put into one of the two sets, on purpose. History follows its table."""
    histories = {f"{name}Event" for name in STAYS_SMALL}
    assert MODELS.keys() - histories == GROWS | STAYS_SMALL


@pytest.mark.parametrize("name", sorted(GROWS))
def test_what_grows_carries_its_org_in_each_key(name: str) -> None:
    model = MODELS[name]
    assert model._meta.get_field("org").null is (name in OF_NOBODY)
    carries = {"org", *(field.name for field in references(model) if field.related_model.__name__ in GROWS)}
    for constraint in model._meta.constraints:
        if isinstance(constraint, UniqueConstraint):
            assert FROM_THE_ID.union(carries).intersection(constraint.fields), constraint.name
    assert [field.name for field in model._meta.fields if field.unique and not field.primary_key] == []


@pytest.mark.parametrize("name", sorted(GROWS))
def test_what_grows_refers_to_its_own_org_or_to_what_is_everywhere(name: str) -> None:
    assert {field.related_model.__name__ for field in references(MODELS[name])} <= GROWS | STAYS_SMALL


def references(model: type[Model]) -> list[ForeignKey]:
    return [field for field in model._meta.fields if isinstance(field, ForeignKey)]
