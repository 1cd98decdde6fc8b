"""What the database itself refuses, whoever writes."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django_scopes import scopes_disabled

from orgs.models import ApiKey, Assignment, Org, Policy, check_room_url_template, check_zone
from tests.factories import (
    AgentFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    SourceFactory,
    SupervisorRoleFactory,
    UserFactory,
)


@pytest.mark.parametrize("made", [AgentFactory, SupervisorRoleFactory, SourceFactory])
def test_a_name_is_unique_within_its_org_only(org: Org, made: type) -> None:
    made(org=org, name="Same")
    made(org=OrgFactory(), name="Same")
    with pytest.raises(IntegrityError), transaction.atomic():
        made(org=org, name="Same")


def test_a_platform_sources_name_is_unique_too(db: None) -> None:
    SourceFactory(org=None, name="chatbot")
    with pytest.raises(IntegrityError), transaction.atomic():
        SourceFactory(org=None, name="chatbot")


def test_an_external_id_is_unique(org: Org) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        OrgFactory(external_id=org.external_id)


def test_a_person_has_a_role_once(db: None) -> None:
    one = AssignmentFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        AssignmentFactory(org=one.org, role=one.role, user=one.user)


def test_a_person_is_a_member_once(org: Org) -> None:
    person = UserFactory()
    MembershipFactory(org=org, user=person)
    with pytest.raises(IntegrityError), transaction.atomic():
        MembershipFactory(org=org, user=person)


def test_an_assignment_cannot_take_the_role_of_another_org(org: Org) -> None:
    foreign = SupervisorRoleFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        with scopes_disabled():
            Assignment.objects.create(org=org, role=foreign, user=UserFactory())
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


def test_an_assignment_says_that_its_role_is_foreign(org: Org) -> None:
    with pytest.raises(ValidationError, match="another org"):
        Assignment(org=org, role=SupervisorRoleFactory(), user=UserFactory()).clean()


def test_a_tier_starts_at_1(org: Org) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SupervisorRoleFactory(org=org, tier=0)


def test_an_org_has_one_policy_for_all_its_agents(org: Org) -> None:
    with scopes_disabled():
        Policy.objects.create(org=org)
        with pytest.raises(IntegrityError), transaction.atomic():
            Policy.objects.create(org=org)


@pytest.mark.parametrize("threshold", [-0.01, 1.01])
def test_a_threshold_lies_between_0_and_1(org: Org, threshold: float) -> None:
    with scopes_disabled(), pytest.raises(IntegrityError), transaction.atomic():
        Policy.objects.create(org=org, confidence_threshold=threshold)


@pytest.mark.parametrize(
    "severities", [["agent_error"], {"rain": "info"}, {"silent_source": "info"}, {"agent_error": "loud"}, "agent_error"]
)
def test_a_policy_names_signals_of_rooms_and_known_severities(severities: object) -> None:
    Policy(severities={"agent_error": "info"}).clean_fields(exclude=["org"])
    with pytest.raises(ValidationError):
        Policy(severities=severities).clean_fields(exclude=["org"])


@pytest.mark.parametrize("scopes", [[], ["root"]])
def test_a_key_has_known_scopes(db: None, scopes: list[str]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        ApiKey.objects.create_key(source=SourceFactory(), name="x", scopes=scopes)


def test_people_without_e_mail_are_many(db: None) -> None:
    UserFactory(email=None)
    UserFactory(email=None)


@pytest.mark.parametrize("zone", ["", "Mars/Phobos", "asia/jakarta", "../etc", "Factory", "localtime", "EST"])
def test_a_zone_is_of_the_iana_database(zone: str) -> None:
    with pytest.raises(ValidationError):
        check_zone(zone)


@pytest.mark.parametrize(
    "template",
    [
        "javascript:{room_id}",
        "//evil.example/{room_id}",
        "https://chat.example/{secret}",
        "https://chat.example/{room_id.__class__}",
        "https://chat.example/{0}",
        "https://chat.example/{",
    ],
)
def test_a_room_link_has_fixed_variables_only(template: str) -> None:
    with pytest.raises(ValidationError):
        check_room_url_template(template)
