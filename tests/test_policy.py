"""/api/policy: read, saved against what was read, its versions; every wrong policy; and what each field does."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django_scopes import scopes_disabled

from alerts import actions
from alerts.delivery.claim import claim
from alerts.known import policy_for
from alerts.models import Alert, DigestAlert, Push
from alerts.policy import DEFAULT_POLICY, PolicyFacts, policy_facts
from orgs import clock as database_clock
from orgs.models import Agent, Org, Policy
from orgs.policies import save_policy
from orgs.policy_fields import POLICY_DEFAULTS, POLICY_FIELDS, merged_policy
from orgs.signals import ROOM_SIGNALS
from tests.api_client import post, signed_in, supervisor_of, with_key
from tests.conftest import Clock
from tests.factories import AgentFactory, MembershipFactory, OrgFactory, UserFactory
from tests.scene import Scene, due_in, pushes_are_sent

PATH = "/api/policy"
WHOLE: dict[str, Any] = dict(POLICY_DEFAULTS)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def machine(org: Org) -> Client:
    return with_key(org)


def put(client: Client, body: Any, tag: str | None = '"0"', **query: str) -> Any:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    sent = body if isinstance(body, str) else json.dumps(body)
    headers = {"If-Match": tag} if tag else {}
    return client.put(f"{PATH}?{asked}", sent, content_type="application/json", headers=headers)


def refused(answer: Any) -> tuple[int, str, str | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("field")


def test_an_org_that_said_nothing_has_every_field(org: Org, machine: Client) -> None:
    answer = machine.get(PATH)
    assert answer.json() == {"version": 0, **WHOLE}
    assert answer.headers["ETag"] == '"0"'
    assert set(WHOLE) == set(POLICY_FIELDS) and set(WHOLE["severities"]) == set(ROOM_SIGNALS)
    assert policy_facts(WHOLE) == PolicyFacts(severities=WHOLE["severities"])


def test_what_is_put_is_read_again_as_the_next_version(org: Org, machine: Client) -> None:
    changed = WHOLE | {"throttle_minutes": 8, "repeat_minutes": [], "reply_window_hours": {"WhatsApp": 24, "line": 48}}
    first = put(machine, changed)
    assert (first.status_code, first.headers["ETag"]) == (200, '"1"')
    told = machine.get(PATH).json()
    assert told == {**changed, "version": 1, "reply_window_hours": {"whatsapp": 24, "line": 48}}
    assert put(machine, told, '"1"').json() == told, "what was read can be sent back, and changes nothing"
    assert put(machine, told | {"confidence_threshold": 1}, 'W/"1"').json()["version"] == 2


def test_an_agent_has_what_it_says_and_the_rest_of_its_org(org: Org, machine: Client) -> None:
    agent = AgentFactory(org=org, name="Billing Bot")
    put(machine, WHOLE | {"handoff_minutes": 7, "escalate_minutes": {"critical": 2, "warning": 9}})
    assert machine.get(PATH, {"agent": "Billing Bot"}).json() == {"version": 0}
    own = {"throttle_minutes": 1, "escalate_minutes": {"warning": 4}, "low_confidence": None}
    answer = put(machine, own, agent="Billing Bot")
    assert answer.json() == {"version": 1, "throttle_minutes": 1, "escalate_minutes": {"warning": 4}}
    with scopes_disabled():
        facts = policy_for(org.pk, agent.pk)
    assert (facts.throttle_minutes, facts.handoff_minutes) == (1, 7)
    assert facts.escalate_minutes == {"critical": 2, "warning": 4}
    assert put(machine, {}, '"1"', agent="Billing Bot").json() == {"version": 2}


@pytest.mark.parametrize("tag", ['"2"', '"x"', "1", '"99999999999999999999"'])
def test_a_stale_version_is_refused_with_the_fresh_one(org: Org, machine: Client, tag: str) -> None:
    put(machine, WHOLE)
    answer = put(machine, WHOLE | {"throttle_minutes": 9}, tag)
    assert refused(answer) == (412, "stale", None)
    assert (answer.json()["policy"], answer.headers["ETag"]) == ({"version": 1, **WHOLE}, '"1"')
    assert machine.get(PATH).json()["throttle_minutes"] == 5


def test_without_the_version_that_was_read_nothing_is_saved(org: Org, machine: Client) -> None:
    assert refused(put(machine, WHOLE, None))[:2] == (428, "precondition_required")
    assert put(machine, WHOLE, "*").json()["version"] == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_once_one_is_told() -> None:
    org = OrgFactory()
    clients = [with_key(org), with_key(org)]

    def save(minutes: int) -> int:
        try:
            return put(clients[minutes - 1], WHOLE | {"throttle_minutes": minutes}).status_code  # type: ignore[no-any-return]
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(save, (1, 2))) == [200, 412]
    assert clients[0].get(PATH).json()["version"] == 1


WRONG: list[tuple[str, Any, str]] = [
    ("throttle_minutes", "5", "throttle_minutes"),
    ("throttle_minutes", True, "throttle_minutes"),
    ("throttle_minutes", 5.0, "throttle_minutes"),
    ("throttle_minutes", None, "throttle_minutes"),
    ("throttle_minutes", -1, "throttle_minutes"),
    ("throttle_minutes", 10**30, "throttle_minutes"),
    ("presence_minutes", 0, "presence_minutes"),
    ("window_closing_hours", 169, "window_closing_hours"),
    ("repeat_minutes", 5, "repeat_minutes"),
    ("repeat_minutes", [5, 5], "repeat_minutes[1]"),
    ("repeat_minutes", [5, True], "repeat_minutes[1]"),
    ("repeat_minutes", list(range(1, 12)), "repeat_minutes"),
    ("acknowledge_minutes", {"critical": 5, "warning": 10}, "acknowledge_minutes.info"),
    ("acknowledge_minutes", {"critical": 5, "warning": 10, "info": 0}, "acknowledge_minutes.info"),
    ("escalate_minutes", {"critical": 3, "warning": 5, "info": 5}, "escalate_minutes.info"),
    ("budget", {"pushes": 6}, "budget.minutes"),
    ("budget", [], "budget"),
    ("outage", {"rooms": 5, "minutes": 61, "clean_minutes": 10}, "outage.minutes"),
    ("severities", {}, f"severities.{next(iter(ROOM_SIGNALS))}"),
    ("severities", {**WHOLE["severities"], "rain": "info"}, "severities.rain"),
    ("severities", {**WHOLE["severities"], "agent_error": "loud"}, "severities.agent_error"),
    ("confidence_threshold", 1.01, "confidence_threshold"),
    ("confidence_threshold", True, "confidence_threshold"),
    ("low_confidence", "never", "low_confidence"),
    ("quiet_hours_pass", "critical", "quiet_hours_pass"),
    ("quiet_hours_pass", ["critical", "loud"], "quiet_hours_pass[1]"),
    ("detect_from_runs", 1, "detect_from_runs"),
    ("reply_window_hours", {"whatsapp": 24, "WhatsApp": 24}, "reply_window_hours.WhatsApp"),
    ("reply_window_hours", {"": 24}, "reply_window_hours."),
    ("reply_window_hours", {"\ud800": 24}, "reply_window_hours.?"),
    ("reply_window_hours", {"line": 721}, "reply_window_hours.line"),
]


@pytest.mark.parametrize(("name", "value", "field"), WRONG, ids=[f"{one[0]}={str(one[1])[:20]!a}" for one in WRONG])
def test_a_wrong_value_is_refused_by_its_field(org: Org, machine: Client, name: str, value: Any, field: str) -> None:
    status, code, named = refused(put(machine, WHOLE | {name: value}))
    assert (status, named) == (422, field)
    assert code in ("invalid_field", "missing_field", "unknown_field")
    assert machine.get(PATH).json()["version"] == 0


def test_a_partial_or_a_strange_policy_is_refused(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    without = {name: value for name, value in WHOLE.items() if name != "budget"}
    assert refused(put(machine, without)) == (422, "missing_field", "budget")
    assert refused(put(machine, WHOLE | {"throttle": 5})) == (422, "unknown_field", "throttle")
    assert refused(put(machine, {"throttle": 5}, agent="Billing Bot")) == (422, "unknown_field", "throttle")
    assert refused(put(machine, [WHOLE]))[:2] == (422, "invalid_body")
    assert refused(put(machine, '{"throttle_minutes": NaN}'))[:2] == (400, "not_json")
    huge = json.dumps(WHOLE | {"confidence_threshold": 0.5}).replace(": 0.5", ": 1e999")
    assert refused(put(machine, huge)) == (422, "invalid_field", "confidence_threshold")
    assert refused(put(machine, json.dumps(WHOLE) + " " * 70_000))[:2] == (413, "too_large")


def test_whose_it_is_and_who_may_change_it(org: Org, machine: Client) -> None:
    lead = supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    one, elsewhere, other = signed_in(supervisor_of(org)), with_key(OrgFactory()), AgentFactory(name="Their bot")
    named, specialist = {"org_id": org.external_id}, signed_in(UserFactory(is_specialist=True))
    assert one.get(PATH, named).json()["version"] == 0
    assert put(one, WHOLE, **named).status_code == 403
    assert [put(client, WHOLE, "*", **named).status_code for client in (signed_in(lead), specialist)] == [200] * 2
    for client, query in ((elsewhere, named), (machine, {"org_id": "nobody"}), (machine, {"agent": other.name})):
        assert [client.get(PATH, query).status_code, put(client, WHOLE, **query).status_code] == [404, 404]
    assert refused(specialist.get(PATH)) == (422, "missing_field", "org_id")
    assert put(with_key(org, "read"), WHOLE).status_code == 403
    assert Client().get(PATH, named).status_code == 401


def test_each_version_says_who_changed_what(org: Org, machine: Client) -> None:
    lead = supervisor_of(org, name="Rina")
    MembershipFactory(org=org, user=lead, role="lead")
    put(machine, WHOLE | {"throttle_minutes": 8})
    put(signed_in(lead), WHOLE | {"budget": {"pushes": 3, "minutes": 10}}, '"1"', org_id=org.external_id)
    with scopes_disabled():
        Policy.objects.update(confidence_threshold=0.7)  # whoever writes, it is a version
    third, second, first = machine.get(f"{PATH}/versions").json()["results"]
    assert (first["version"], first["by"]["kind"]) == (1, "source")
    assert first["changes"] == [{"field": "throttle_minutes", "from": 5, "to": 8}]
    assert (second["version"], second["by"]) == (2, {"sso_id": lead.sso_id, "name": "Rina", "kind": "human"})
    assert {one["field"]: (one["from"], one["to"]) for one in second["changes"]} == {
        "throttle_minutes": (8, 5),
        "budget.pushes": (6, 3),
    }
    assert (third["version"], third["changes"]) == (3, [{"field": "confidence_threshold", "from": None, "to": 0.7}])


def test_going_back_makes_a_new_version_equal_to_the_old_one(org: Org, machine: Client) -> None:
    AgentFactory(org=org, name="Billing Bot")
    put(machine, WHOLE | {"throttle_minutes": 8})
    put(machine, WHOLE | {"throttle_minutes": 9, "low_confidence": "digest"}, '"1"')
    back = post(machine, f"{PATH}/revert", {"version": 1})
    assert (back.status_code, back.headers["ETag"]) == (200, '"3"')
    assert back.json() == {**WHOLE, "throttle_minutes": 8, "version": 3}
    assert post(machine, f"{PATH}/revert", {"version": 0}).json() == {**WHOLE, "version": 4}
    assert post(machine, f"{PATH}/revert", {"version": 4}).json()["version"] == 5, "a new one in any case"
    wrong = {7: "unknown_version", -1: "unknown_version", 10**30: "unknown_version", True: "invalid_field"}
    for version, code in wrong.items():
        assert refused(post(machine, f"{PATH}/revert", {"version": version})) == (422, code, "version")
    assert refused(post(machine, f"{PATH}/revert", {"version": 1, "agent": "Billing Bot"}))[1] == "unknown_version"
    assert refused(post(machine, f"{PATH}/revert", {})) == (422, "missing_field", "version")
    assert post(with_key(OrgFactory()), f"{PATH}/revert", {"version": 1, "org_id": org.external_id}).status_code == 404


@pytest.fixture
def scene(system: None, db: None) -> Scene:
    return Scene()


@pytest.fixture
def later(clock: Clock) -> Any:
    """`later(minutes=5)`: what was planned is sent, time passes, everything due is worked."""

    def move(**parts: float) -> None:
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def minutes_left(alert: Alert) -> int:
    """Until time alone does something to it."""
    return round(due_in(alert) / MINUTE)


def says(scene: Scene, **fields: Any) -> None:
    """The org's policy from now on, and the clocks of what is open with it."""
    save_policy(scene.org, None, merged_policy(POLICY_DEFAULTS, fields), None)
    actions.retime(scene.org.pk)


def test_the_throttle_is_policy(scene: Scene, later: Any) -> None:
    says(scene, throttle_minutes=30, repeat_minutes=[10, 40])
    scene.fails("agent_error")
    later(minutes=10)
    assert scene.last_told() == ("repeat_due", "skipped", "throttled")
    later(minutes=30)
    assert scene.last_told()[:2] == ("repeat_due", "pending")
    assert not [one for one in scene.told() if one[0] == "repeat_due"][2:]


def test_the_agents_throttle_goes_before_the_orgs(scene: Scene, later: Any) -> None:
    scene.fails("message_cap")
    agent = Agent.objects.get(org=scene.org)
    says(scene, throttle_minutes=0)
    save_policy(scene.org, agent, {"throttle_minutes": 60}, None)
    later(minutes=6)
    assert scene.last_told() == ("repeat_due", "skipped", "throttled")


def test_how_long_an_acknowledge_lasts_is_policy(scene: Scene) -> None:
    says(scene, acknowledge_minutes={"critical": 2, "warning": 12, "info": 10})
    scene.fails("message_cap")
    alert = actions.acknowledge(scene.alert().pk, scene.people[0])
    assert minutes_left(alert) == 12


def test_how_long_a_human_is_present_is_policy(scene: Scene) -> None:
    says(scene, presence_minutes=3)
    scene.happens("human_message", ago=200)
    assert scene.fails().status == "created" and scene.alert().state == "open"
    says(scene, presence_minutes=4)
    scene.happens("human_message", room="r2", ago=200)
    scene.fails(room="r2")
    assert scene.changes("r2") == [("opened", "human_present")]
    scene.fails(room="r3")
    actions.open_room(scene.alert("r3").pk, scene.people[0])
    assert minutes_left(scene.alert("r3")) == 4


@pytest.mark.parametrize(("minutes", "state"), [(2, "bot"), (4, "human")])
def test_after_how_much_silence_the_bot_has_the_room_back_is_policy(scene: Scene, minutes: int, state: str) -> None:
    says(scene, return_minutes=minutes)
    scene.happens("human_message", ago=180)
    scene.happens("bot_message")
    assert scene.room().state == state


def test_a_shorter_clock_counts_for_what_is_open(scene: Scene) -> None:
    scene.fails("unexpected_handoff")
    assert minutes_left(scene.alert()) == 3
    says(scene, handoff_minutes=1)
    assert minutes_left(scene.alert()) == 1
    assert scene.alert().version == Alert.objects.get().version == 1, "nothing else of it changed"
    says(scene, handoff_minutes=9, escalate_minutes={"critical": 90, "warning": 90}, repeat_minutes=[8])
    assert minutes_left(scene.alert()) > 4


@pytest.mark.parametrize("held", ["acknowledged", "snoozed", "a human is there"])
def test_a_shorter_clock_counts_for_what_somebody_has_or_put_aside(scene: Scene, held: str) -> None:
    scene.fails("unexpected_handoff")
    rina = scene.people[0]
    if held == "acknowledged":
        actions.take(scene.alert().pk, rina)
    elif held == "snoozed":
        actions.snooze(scene.alert().pk, rina, database_clock.now() + timedelta(minutes=30))
    else:
        scene.happens("assigned", who=rina)
    assert minutes_left(scene.alert()) == 3
    says(scene, handoff_minutes=1)
    assert minutes_left(scene.alert()) == 1
    says(scene, handoff_minutes=7)
    assert minutes_left(scene.alert()) == 7


def test_with_no_outages_by_policy_one_that_lasts_is_over_and_its_rooms_are_told(
    scene: Scene, later: Any, settings: Any, gate: None
) -> None:
    """Else what is planned from then on for a room would be cancelled as if the outage's push said it."""
    settings.NOTIFICATION_SERVICE_URL = "http://127.0.0.1:9"
    says(scene, outage={"rooms": 3, "minutes": 5, "clean_minutes": 10}, budget={"pushes": 0, "minutes": 10})
    for n in range(3):
        scene.fails("agent_error", room=f"r{n}")
    says(scene, outage={"rooms": 0, "minutes": 5, "clean_minutes": 10}, budget={"pushes": 0, "minutes": 10})
    later(seconds=1)
    assert Alert.objects.get(scope="agent").state == "resolved"
    assert {one.alert.room.room_id for one in DigestAlert.objects.all() if one.alert.room} == {"r0", "r1", "r2"}
    scene.fails("agent_error", room="r9")
    assert claim().pushes
    about = Push.objects.filter(alert=scene.alert("r9"), kind="alert")
    assert set(about.values_list("state", "ended_reason")) == {("sending", "")}


def test_the_defaults_are_those_of_the_contract() -> None:
    assert (DEFAULT_POLICY.throttle, DEFAULT_POLICY.return_after) == (5 * MINUTE, 5 * MINUTE)
    assert (DEFAULT_POLICY.presence, DEFAULT_POLICY.handoff_clock) == (15 * MINUTE, 3 * MINUTE)
    assert DEFAULT_POLICY.repeats == (5 * MINUTE, 15 * MINUTE, 35 * MINUTE, 75 * MINUTE)
    assert DEFAULT_POLICY.acknowledge_minutes == {"critical": 5, "warning": 10, "info": 10}
    assert (DEFAULT_POLICY.stalled_after, DEFAULT_POLICY.quiet_hours_pass) == (10 * MINUTE, ["critical"])
    assert (DEFAULT_POLICY.reply_window_hours, DEFAULT_POLICY.window_closing_hours) == ({"whatsapp": 24}, 2)
