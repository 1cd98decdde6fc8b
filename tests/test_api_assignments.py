"""PUT /api/assignments: what the whole list of an org does, who may, and every wrong list."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_scopes import scopes_disabled

from orgs import history, imports
from orgs.models import Assignment, Org, SupervisorRole, User
from tests.api_client import put, signed_in, supervisor_of, with_key
from tests.factories import (
    AgentFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    SupervisorRoleFactory,
    UserFactory,
)

PATH = "/api/assignments"


def item(sso_id: str = "rina", role: str = "Leads", tier: int = 1, **more: Any) -> dict[str, Any]:
    return {"sso_id": sso_id, "role": role, "tier": tier, **more}


@pytest.fixture
def machine(org: Org) -> Client:
    """The permission system, with a key of the org."""
    return with_key(org, "act")


def sent(client: Client, *items: Any, query: str = "") -> dict[str, Any]:
    answer = put(client, f"{PATH}?{query}", {"assignments": list(items)})
    assert answer.status_code == 200, answer.json()
    return answer.json()  # type: ignore[no-any-return]


def refused(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("field")


def stored(org: Org) -> list[tuple[str, str, int, str, str]]:
    """(sso_id, role, tier, external_user_id, provenance) of every assignment of the org."""
    names = ("user__sso_id", "role__name", "role__tier", "external_user_id", "provenance")
    with scopes_disabled():
        return sorted(Assignment.every.filter(org=org).values_list(*names))


# --- what it does ----------------------------------------------------------------------------------------------------


def test_it_adds_changes_and_removes(org: Org, machine: Client) -> None:
    sent(machine, item("rina", external_user_id="7"), item("bayu"), item("dewi", "Night", 2))
    answer = sent(machine, item("rina", external_user_id="8"), item("dewi", "Night", 2), item("sinta", name="Sinta"))

    assert [one["sso_id"] for one in answer["added"]] == ["sinta"]
    assert answer["changed"] == [
        {"sso_id": "rina", "role": "Leads", "changes": {"external_user_id": {"from": "7", "to": "8"}}}
    ]
    assert answer["removed"] == [
        {"sso_id": "bayu", "role": "Leads", "external_user_id": None, "tier": 1, "provenance": "sync"}
    ]
    assert (answer["unchanged"], answer["conflicts"], answer["dry_run"]) == (1, [], False)
    assert [one[:4] for one in stored(org)] == [
        ("dewi", "Night", 2, ""), ("rina", "Leads", 1, "8"), ("sinta", "Leads", 1, ""),
    ]  # fmt: skip
    assert User.objects.get(sso_id="bayu").is_active
    assert User.objects.get(sso_id="sinta").name == "Sinta"


def test_the_same_list_again_changes_nothing(org: Org, machine: Client) -> None:
    everybody = [item("rina", external_user_id="7", name="Rina", locale="id"), item("bayu", "Night", 2)]
    sent(machine, *everybody)
    before = stored(org)
    answer = sent(machine, *everybody)
    assert (answer["added"], answer["changed"], answer["removed"], answer["unchanged"]) == ([], [], [], 2)
    assert stored(org) == before


def test_a_bare_array_is_the_list_too(org: Org, machine: Client) -> None:
    assert put(machine, PATH, [item()]).status_code == 200
    assert [one[0] for one in stored(org)] == ["rina"]


def test_a_dry_run_says_the_same_and_writes_nothing(org: Org, machine: Client) -> None:
    AssignmentFactory(org=org, user__sso_id="bayu", role__name="Leads", role__tier=3)
    before = stored(org)
    said = sent(machine, item("rina"), query="dry_run=1")
    assert stored(org) == before and not User.objects.filter(sso_id="rina").exists()
    done = sent(machine, item("rina"), query="dry_run=0")
    assert said == done | {"dry_run": True}
    assert [one["sso_id"] for one in done["removed"]] == ["bayu"]


def test_what_is_not_given_stays_and_so_do_a_roles_agents(org: Org, machine: Client) -> None:
    role = SupervisorRoleFactory(org=org, name="Leads", tier=1)
    with scopes_disabled():
        role.agents.add(AgentFactory(org=org))
    AssignmentFactory(org=org, role=role, user__sso_id="rina", user__name="Rina", external_user_id="7")
    sent(machine, item("rina", external_user_id=None, name=""))
    assert stored(org) == [("rina", "Leads", 1, "7", "sync")]
    assert User.objects.get(sso_id="rina").name == "Rina"
    with scopes_disabled():
        assert role.agents.count() == 1


def test_an_empty_role_stays(org: Org, machine: Client) -> None:
    sent(machine, item("rina", "Night"))
    sent(machine, item("rina", "Leads"))
    with scopes_disabled():
        assert SupervisorRole.objects.filter(org=org, name="Night").exists()


def test_an_empty_list_is_refused_unless_it_is_meant(org: Org, machine: Client) -> None:
    sent(machine, item())
    assert refused(put(machine, PATH, {"assignments": []})) == (422, "empty_list", "assignments")
    assert len(stored(org)) == 1
    answer = sent(machine, query="allow_empty=1")
    assert [one["sso_id"] for one in answer["removed"]] == ["rina"]
    assert stored(org) == []


def test_another_orgs_people_stay(org: Org, machine: Client) -> None:
    other = AssignmentFactory(role__name="Leads", role__tier=3)
    before = stored(other.org)
    sent(machine, item(other.user.sso_id))
    assert stored(other.org) == before


def test_one_org_cannot_rename_people_of_another(org: Org, machine: Client) -> None:
    theirs = AssignmentFactory(user__name="Yoga", user__locale="id").user
    boss = UserFactory(name="Boss", is_specialist=True)
    mine = AssignmentFactory(org=org, user__name="Rina").user
    names = {"name": "Somebody", "locale": "en"}
    answer = sent(machine, *(item(one.sso_id, **names) for one in (theirs, boss, mine)))
    renamed = dict(User.objects.values_list("sso_id", "name"))
    assert [renamed[one.sso_id] for one in (theirs, boss, mine)] == ["Yoga", "Boss", "Somebody"]
    assert "Yoga" not in json.dumps(answer) and "Boss" not in json.dumps(answer)

    sent(with_key(None, "act"), item(theirs.sso_id, **names), query=f"org_id={org.external_id}")
    assert User.objects.get(pk=theirs.pk).name == "Somebody"


# --- provenance and conflicts ----------------------------------------------------------------------------------------


def test_whoever_said_it_last_is_the_provenance(org: Org, machine: Client) -> None:
    made = AssignmentFactory(org=org, user__sso_id="rina", role__name="Leads")
    assert stored(org)[0][4] == "admin"
    with scopes_disabled():
        imports.run(f"org,role,tier,sso_id\n{org.external_id},Leads,1,rina\n".encode(), dry_run=False)
    assert stored(org)[0][4] == "csv"
    sent(machine, item())
    assert stored(org)[0][4] == "sync"
    with scopes_disabled():
        data = {"role": made.role.pk, "user": made.user.pk, "external_user_id": "9", "_save": "1"}
    answer = signed_in(UserFactory(is_specialist=True)).post(f"/admin/orgs/assignment/{made.pk}/change/", data)
    assert answer.status_code == 302
    assert stored(org)[0][3:] == ("9", "admin")
    shown = signed_in(made.user).get("/api/supervisors").json()["results"][0]["assignments"][0]
    assert shown["provenance"] == "admin"


def test_what_the_list_overrules_is_a_conflict(org: Org, machine: Client) -> None:
    role = SupervisorRoleFactory(org=org, name="Leads")
    AssignmentFactory(org=org, role=role, user__sso_id="rina", external_user_id="7")
    AssignmentFactory(org=org, role=role, user__sso_id="bayu", provenance="csv")
    AssignmentFactory(org=org, role=role, user__sso_id="dewi", provenance="sync")
    AssignmentFactory(org=org, role=role, user__sso_id="sinta", provenance="list")
    answer = sent(machine, item("rina", external_user_id="8"), item("sinta"))
    assert answer["conflicts"] == [
        {"conflict": "changed", "sso_id": "rina", "role": "Leads", "external_user_id": "8", "provenance": "admin"},
        {"conflict": "removed", "sso_id": "bayu", "role": "Leads", "external_user_id": None, "provenance": "csv"},
    ]
    assert sent(machine, item("rina"), item("sinta"))["conflicts"] == []


def test_one_chat_user_claimed_by_two_people_is_a_conflict(org: Org, machine: Client) -> None:
    AssignmentFactory(org=org, role__name="Night", user__sso_id="bayu", external_user_id="7", provenance="csv")
    claims = [item("rina", external_user_id="7"), item("rina", "Day", external_user_id="7"), item("bayu", "Night", 1)]
    answer = sent(machine, *claims)
    shared = [(one["sso_id"], one["role"], one["provenance"]) for one in answer["conflicts"]]
    assert shared == [("rina", "Leads", "sync"), ("rina", "Day", "sync"), ("bayu", "Night", "csv")]
    assert {one["conflict"] for one in answer["conflicts"]} == {"shared_id"}
    alone = sent(machine, *claims[:2])
    assert [one["conflict"] for one in alone["conflicts"]] == []


def test_the_history_names_the_source(org: Org, machine: Client) -> None:
    sent(machine, item())
    sent(machine, item("bayu"))
    with scopes_disabled():
        changes = [one for one in history.of(org, 20) if one.kind == "assignment"]
    assert {(one.verb, one.who.partition(" ")[0]) for one in changes} == {("insert", "Source"), ("delete", "Source")}


@pytest.mark.slow
def test_conflicts_are_shown_in_the_admin_and_on_the_reach_page(org: Org, machine: Client) -> None:
    role = SupervisorRoleFactory(org=org, name="Leads")
    for name, chat_id in (("Rina", "7"), ("Bayu", ""), ("Dewi", "9"), ("Sinta", "")):
        AssignmentFactory(org=org, role=role, user__sso_id=name, user__name=name, external_user_id=chat_id)
    sent(machine, item("Rina", external_user_id="8"), item("Dewi"), item("Sinta", external_user_id="9"))

    admin = signed_in(UserFactory(is_specialist=True))

    def listed(query: str) -> set[str]:
        page = admin.get(f"/admin/orgs/assignment/?{query}").content.decode()
        rows = page[page.index('id="result_list"') :]
        return {name for name in ("Rina", "Bayu", "Dewi", "Sinta") if f">{name}<" in rows}

    assert listed("provenance=sync") == {"Rina", "Dewi", "Sinta"}
    assert listed("conflict=overruled") == {"Rina"}
    assert listed("conflict=shared_id") == {"Dewi", "Sinta"}
    rina = signed_in(User.objects.get(sso_id="Rina"))
    page = rina.get("/reach").content.decode()
    for said in ("Sync changed the chat id; before: Admin", "chat id 9 too", "Sync removed it; before: Admin", "Bayu"):
        assert said in page
    elsewhere = signed_in(AssignmentFactory().user)
    for address in ("/reach", f"/reach?org={org.external_id}"):
        assert "two say different things" not in elsewhere.get(address).content.decode()

    sent(machine, *(item(name) for name in ("Rina", "Dewi", "Sinta", "Bayu")))
    assert "Sync removed it" not in rina.get("/reach").content.decode()


# --- who may ---------------------------------------------------------------------------------------------------------


def test_a_platform_key_and_a_specialist_name_the_org(org: Org) -> None:
    for caller in (with_key(None, "act"), signed_in(UserFactory(is_specialist=True))):
        assert refused(put(caller, PATH, [item()])) == (422, "missing_field", "org_id")
        assert put(caller, f"{PATH}?org_id={org.external_id}", [item()]).status_code == 200
        assert put(caller, f"{PATH}?org_id=nowhere", [item()]).status_code == 404


def test_a_lead_may_a_supervisor_may_not(org: Org) -> None:
    lead, supervisor = supervisor_of(org), supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    address = f"{PATH}?org_id={org.external_id}"
    everybody = [item(lead.sso_id), item(supervisor.sso_id)]
    assert put(signed_in(lead), address, everybody).status_code == 200
    assert refused(put(signed_in(supervisor), address, everybody))[:2] == (403, "permission_denied")


def test_a_lead_elsewhere_who_backs_up_this_org_may_not(org: Org) -> None:
    lead = supervisor_of(org, OrgFactory())
    with scopes_disabled():
        MembershipFactory(org=Assignment.objects.filter(user=lead).exclude(org=org).get().org, user=lead, role="lead")
    assert put(signed_in(lead), f"{PATH}?org_id={org.external_id}", [item()]).status_code == 403


def test_a_foreign_org_is_as_unknown_as_none(org: Org, machine: Client) -> None:
    foreign = AssignmentFactory().org
    before = stored(foreign)
    answers = [put(machine, f"{PATH}?org_id={name}", [item()]) for name in (foreign.external_id, "nowhere")]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].content == answers[1].content
    assert stored(foreign) == before
    assert put(machine, f"{PATH}?org_id={org.external_id}", [item()]).status_code == 200


def test_a_key_needs_the_scope(org: Org) -> None:
    assert refused(put(with_key(org, "read", "ingest"), PATH, [item()]))[:2] == (403, "missing_scope")
    assert put(Client(), PATH, [item()]).status_code == 401
    assert with_key(org).get(PATH).status_code == 405


# --- wrong lists -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "code", "field"),
    [
        (item(tier="1"), "invalid_field", "tier"),
        (item(tier=True), "invalid_field", "tier"),
        (item(tier=1.5), "invalid_field", "tier"),
        (item(tier=0), "invalid_field", "tier"),
        (item(tier=100), "invalid_field", "tier"),
        (item(tier=10**40), "invalid_field", "tier"),
        (item(tier=-1), "invalid_field", "tier"),
        ({"role": "Leads", "tier": 1}, "missing_field", "sso_id"),
        (item(sso_id=""), "missing_field", "sso_id"),
        (item(sso_id="  "), "missing_field", "sso_id"),
        (item(sso_id=7), "invalid_field", "sso_id"),
        (item(role="x" * 201), "too_long", "role"),
        (item(role="a\0b"), "bad_text", "role"),
        (item(role="a\nb"), "bad_text", "role"),
        (item(locale="fr"), "invalid_field", "locale"),
        (item(rooms=["r-1"]), "unknown_field", "rooms"),
        (item(org="other"), "unknown_field", "org"),
        ("rina", "invalid_item", None),
        (None, "invalid_item", None),
    ],
)
def test_a_wrong_item_is_named_and_refuses_all(
    org: Org, machine: Client, wrong: Any, code: str, field: str | None
) -> None:
    answer = put(machine, PATH, {"assignments": [item("bayu"), wrong]})
    assert refused(answer) == (422, code, "assignments[1]" + (f".{field}" if field else ""))
    assert answer.json()["refused"] == 1
    assert stored(org) == []
    assert not User.objects.filter(sso_id="bayu").exists()


@pytest.mark.parametrize(
    ("second", "code", "field"),
    [
        (item(), "repeated", "sso_id"),
        (item("bayu", tier=2), "contradiction", "tier"),
        (item(role="Night", name="Rita"), "contradiction", "name"),
    ],
)
def test_an_item_that_contradicts_another_says_which(
    org: Org, machine: Client, second: Any, code: str, field: str
) -> None:
    answer = put(machine, PATH, [item(name="Rina"), second])
    assert refused(answer) == (422, code, f"assignments[1].{field}")
    assert "assignments[0]" in answer.json()["error"]["message"]


def test_every_wrong_item_is_listed(org: Org, machine: Client) -> None:
    answer = put(machine, PATH, [item(str(n), tier=0) for n in range(150)]).json()
    assert (answer["refused"], len(answer["errors"])) == (150, 100)
    assert answer["errors"][2]["field"] == "assignments[2].tier"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 422, "missing_field"),
        ("{}", 422, "missing_field"),
        ('{"assignments": null}', 422, "missing_field"),
        ('{"assignments": {}}', 422, "invalid_field"),
        ('{"assignments": [], "agents": []}', 422, "unknown_field"),
        ('"all"', 422, "invalid_field"),
        ("[1", 400, "not_json"),
        ("[" * 40 + "]" * 40, 400, "too_deep"),
        ('[{"tier": 1, "tier": 2}]', 400, "duplicate_key"),
        ("[" + " " * 2 * 1024 * 1024 + "]", 413, "too_large"),
        (json.dumps([item(f"p{n}") for n in range(5_001)]), 413, "too_many_items"),
    ],
)
def test_a_body_that_is_no_list(org: Org, machine: Client, body: str, status: int, code: str) -> None:
    answer = machine.put(PATH, body, content_type="application/json")
    assert refused(answer)[:2] == (status, code)


def test_only_json_and_only_known_parameters(org: Org, machine: Client) -> None:
    assert machine.put(PATH, "a=1", content_type="application/x-www-form-urlencoded").status_code == 415
    assert refused(put(machine, f"{PATH}?dryrun=1", [item()])) == (422, "unknown_parameter", "dryrun")
    assert refused(put(machine, f"{PATH}?dry_run=yes", [item()])) == (422, "invalid_parameter", "dry_run")
    assert stored(org) == []


@pytest.mark.slow
def test_five_thousand_items_are_one_list(org: Org, machine: Client, django_assert_max_num_queries: Any) -> None:
    everybody = [item(f"person-{n}", f"Role {n % 20}", 1, external_user_id=str(n)) for n in range(5_000)]
    with django_assert_max_num_queries(60):
        assert len(sent(machine, *everybody)["added"]) == 5_000
    with django_assert_max_num_queries(30):
        assert sent(machine, *everybody)["unchanged"] == 5_000


# --- at the same moment ----------------------------------------------------------------------------------------------


def at_once(*calls: Any) -> list[Any]:
    """Call all of them in threads of their own, started together; what each answered."""
    ready = threading.Barrier(len(calls))

    def run(call: Any) -> Any:
        ready.wait(10)
        try:
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [made.result(60) for made in [pool.submit(run, call) for call in calls]]


def test_two_lists_of_an_org_come_one_after_the_other(transactional_db: None) -> None:
    org = OrgFactory()
    machine = with_key(org, "act")
    lists = [[item(f"{name}-{n}") for n in range(40)] for name in ("a", "b", "c", "d")]
    answers = at_once(*(lambda people=people: put(machine, PATH, people) for people in lists))
    assert [answer.status_code for answer in answers] == [200] * 4
    left = [one[0] for one in stored(org)]
    assert left in [sorted(one["sso_id"] for one in people) for people in lists]
    assert sum(len(answer.json()["removed"]) for answer in answers) == 120


def test_two_orgs_that_name_the_same_new_people(transactional_db: None) -> None:
    orgs = [OrgFactory() for _ in range(4)]
    people = [item(f"new-{n}") for n in range(40)]
    machines = [with_key(org, "act") for org in orgs]
    answers = at_once(*(lambda machine=machine: put(machine, PATH, people) for machine in machines))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert [len(stored(org)) for org in orgs] == [40] * 4


# --- when they are on duty -------------------------------------------------------------------------------------------

DAYS = {"days": [1, 2, 3, 4, 5], "from": "08:00", "to": "17:00"}
NIGHT = {"days": [7, 6, 6], "from": "22:00", "to": "06:00", "holidays": "off"}
AWAY = "2026-12-24T08:00:00+07:00"


def test_hours_absence_and_what_a_role_is_for(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    sent(machine, item(duty=[DAYS, NIGHT], away_until=AWAY, fallback=True, agents=["Billing Bot"]))
    with scopes_disabled():
        one = Assignment.objects.select_related("role").get(org=org)
        assert one.duty == [DAYS, {"days": [6, 7], "from": "22:00", "to": "06:00", "holidays": "off"}]
        assert one.away_until is not None and one.away_until.isoformat() == "2026-12-24T01:00:00+00:00"
        assert one.role.fallback and [agent.name for agent in one.role.agents.all()] == ["Billing Bot"]

    assert sent(machine, item())["unchanged"] == 1  # what is not said stays
    answer = sent(machine, item(duty=[], away_until=None, fallback=False, agents=[]))
    assert {name: change["to"] for name, change in answer["changed"][0]["changes"].items()} == {
        "fallback": False, "agents": [], "duty": [], "away_until": None,
    }  # fmt: skip
    with scopes_disabled():
        one = Assignment.objects.select_related("role").get(org=org)
        assert (one.duty, one.away_until, one.role.fallback, list(one.role.agents.all())) == ([], None, False, [])


def test_a_change_says_what_was_there_and_null_for_what_was_not(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    sent(machine, item(external_user_id=None, locale=None))
    more = item(external_user_id="9001", fallback=True, agents=["Billing Bot"], duty=[DAYS], away_until=AWAY)
    changes = sent(machine, more)["changed"][0]["changes"]
    assert {name: change["from"] for name, change in changes.items()} == {
        "external_user_id": None, "fallback": False, "agents": None, "duty": None, "away_until": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"duty": [DAYS, NIGHT | {"from": "24:00"}]}, "duty[1].from"),
        ({"duty": [DAYS | {"to": "24:00"}]}, "duty[0].to"),
        ({"duty": [DAYS | {"to": "08:00"}]}, "duty[0].to"),
        ({"duty": [DAYS | {"days": []}]}, "duty[0].days"),
        ({"duty": [DAYS | {"days": [0]}]}, "duty[0].days"),
        ({"duty": [DAYS | {"days": [True]}]}, "duty[0].days"),
        ({"duty": [{"from": "08:00", "to": "09:00"}]}, "duty[0].days"),
        ({"duty": [DAYS | {"holidays": "no"}]}, "duty[0].holidays"),
        ({"duty": [DAYS | {"hours": 3}]}, "duty[0].hours"),
        ({"duty": ["08:00-17:00"]}, "duty[0]"),
        ({"duty": [DAYS] * 51}, "duty"),
        ({"duty": "always"}, "duty"),
        ({"away_until": "2026-12-24"}, "away_until"),
        ({"away_until": 7}, "away_until"),
        ({"fallback": "yes"}, "fallback"),
        ({"agents": "Billing Bot"}, "agents"),
        ({"agents": [7]}, "agents[0]"),
        ({"agents": ["Nobody's Bot"]}, "agents[0]"),
    ],
)
def test_what_is_wrong_with_them_is_named(org: Org, machine: Client, said: dict[str, Any], field: str) -> None:
    answer = put(machine, PATH, {"assignments": [item("bayu"), item(**said)]})
    status, code, where = refused(answer)
    assert (status, where) == (422, f"assignments[1].{field}"), answer.json()
    assert code in ("invalid_field", "unknown_agent")
    assert stored(org) == []


def test_two_items_of_one_role_cannot_disagree_about_it(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    answer = put(machine, PATH, {"assignments": [item(fallback=True), item("bayu", fallback=False)]})
    assert refused(answer) == (422, "contradiction", "assignments[1].fallback")
    answer = put(machine, PATH, {"assignments": [item(agents=[]), item("bayu", agents=["Billing Bot"])]})
    assert refused(answer) == (422, "contradiction", "assignments[1].agents")
    assert len(sent(machine, item(fallback=True), item("bayu"), item("dewi", fallback=True))["added"]) == 3
