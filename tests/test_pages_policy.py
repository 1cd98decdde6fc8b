"""`/settings/policy`: the form, what is wrong with it, two who save at once, versions and their undo."""

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts.models import PolicyPreview
from alerts.replay import requests
from alerts.replay.requests import ask_preview, span_of_days, work_previews
from alerts.replay.stage import Stage
from console.pages.policy.form import PATHS, document_in, entered_of, windows_of
from orgs.models import Org
from orgs.policies import policy_versions, save_policy, saved_policy
from orgs.policy_fields import POLICY_DEFAULTS, check_policy, merged_policy
from tests.api_client import signed_in, supervisor_of
from tests.conftest import Clock
from tests.factories import AgentFactory, MembershipFactory, OrgFactory, UserFactory
from tests.scene import Scene

PATH = "/settings/policy"


@pytest.fixture
def lead(system: None, org: Org) -> Client:
    return lead_of(org, "Rina")


def lead_of(org: Org, name: str, **fields: Any) -> Client:
    person = supervisor_of(org, name=name, locale="en", **fields)
    MembershipFactory(org=org, user=person, role="lead")
    return signed_in(person)


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def form(version: int = 0, **changed: Any) -> dict[str, Any]:
    """What a browser sends of the defaults, with these inputs changed; `__` stands for a dot."""
    said = {name.replace("__", "."): value for name, value in changed.items()}
    return {**entered_of(POLICY_DEFAULTS), "reply_channel": ["whatsapp", ""], "reply_hours": ["24", ""]} | {
        "version": version,
        **said,
    }


def own(org: Org, agent: Any = None) -> dict[str, Any]:
    return saved_policy(org, agent).document


def test_every_document_stands_in_the_form_and_comes_back() -> None:
    odd = {"repeat_minutes": [], "quiet_hours_pass": [], "low_confidence": "digest", "confidence_threshold": 0.25}
    for document in (POLICY_DEFAULTS, merged_policy(POLICY_DEFAULTS, {**odd, "reply_window_hours": {}})):
        read = document_in(entered_of(document), windows_of(document), whole=True)
        assert check_policy(read, whole=True) == document
    some = {"throttle_minutes": 0, "budget": {"pushes": 3}, "repeat_minutes": [], "detect_from_runs": False}
    assert check_policy(document_in(entered_of(some), [], whole=False), whole=False) == some


def test_a_lead_saves_the_policy_of_their_org_and_sees_who_changed_what(org: Org, lead: Client) -> None:
    page = lead.get(PATH)
    assert "Nothing was ever saved: these are the defaults." in text(page)
    assert set(re.findall(r'name="([a-z_]+(?:\.[a-z_]+)?)"', page.content.decode())) >= set(PATHS)
    answer = lead.post(
        PATH,
        form(
            throttle_minutes="8",
            repeat_minutes="5, 10,20",
            reply_channel=["WhatsApp", "line"],
            reply_hours=["24", "48"],
        ),
    )
    assert answer.status_code == 302
    assert (own(org)["throttle_minutes"], own(org)["repeat_minutes"]) == (8, [5, 10, 20])
    assert own(org)["reply_window_hours"] == {"whatsapp": 24, "line": 48}
    said = text(lead.get(answer.url))
    assert "Version 1 Rina" in said and "Throttle: 5 min → now 8 min" in said
    assert "Reply window: line: – → now 48 h" in said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("throttle_minutes", "-1", "A whole number from 0 to 1440."),
        ("throttle_minutes", "", "This is required."),
        ("throttle_minutes", "9" * 30, "A whole number from 0 to 1440."),
        ("budget__pushes", "many", "A whole number from 0 to 1000."),
        ("repeat_minutes", "5, 5", "Each number is greater than the one before."),
        ("confidence_threshold", "NaN", "A number from 0 to 1."),
        ("severities__agent_error", "loud", "One of info, warning, critical."),
        ("quiet_hours_pass", "loud", "A list of info, warning, critical."),
        ("reply_hours", ["1.5", ""], "A whole number from 1 to 720."),
    ],
)
def test_a_wrong_input_is_said_where_it_stands_and_nothing_is_saved(
    org: Org, lead: Client, name: str, value: Any, said: str
) -> None:
    answer = lead.post(PATH, form(**{name: value}))
    assert answer.status_code == 422
    assert answer.content.decode().count('class="lm-err"') == 1
    assert name == "quiet_hours_pass" or said in text(answer)
    assert saved_policy(org, None).version == 0


def test_who_saves_over_somebody_elses_version_sees_both_and_loses_nothing(org: Org, lead: Client) -> None:
    other = lead_of(org, "Bayu")
    other.post(PATH, form(throttle_minutes="9", handoff_minutes="4"))
    clash = lead.post(PATH, form(handoff_minutes="7", presence_minutes="20"))
    assert clash.status_code == 412
    said = text(clash)
    assert "Bayu changed it meanwhile (version 1)" in said
    theirs, mine = said.split("What Bayu changed")[1].split("What you changed")
    assert "Throttle: 5 min → now 9 min" in theirs and "3 min → now 4 min" in theirs
    assert "3 min → now 7 min" in mine and "9 min" not in mine.split("All agents")[0].split("Severity")[0]
    assert own(org)["handoff_minutes"] == 4, "nothing of mine is saved yet"
    inputs = dict(re.findall(r'name="([a-z_.]+)"[^>]*? value="([^"]*)"', clash.content.decode()))
    assert (inputs["throttle_minutes"], inputs["handoff_minutes"], inputs["presence_minutes"]) == ("9", "7", "20")
    again = lead.post(
        PATH,
        form(
            1,
            **{
                name.replace(".", "__"): value
                for name, value in inputs.items()
                if name in ("throttle_minutes", "handoff_minutes", "presence_minutes")
            },
        ),
    )
    assert again.status_code == 302
    assert (own(org)["throttle_minutes"], own(org)["handoff_minutes"]) == (9, 7)


def test_going_back_to_a_version_can_be_undone(org: Org, lead: Client) -> None:
    lead.post(PATH, form(throttle_minutes="8"))
    lead.post(PATH, form(1, throttle_minutes="9"))
    back = lead.post(f"{PATH}/revert", {"version": 1})
    assert (saved_policy(org, None).version, own(org)["throttle_minutes"]) == (3, 8)
    assert "This is version 3." in text(lead.get(back.url))
    lead.post(f"{PATH}/revert", {"version": 2})
    assert own(org)["throttle_minutes"] == 9
    assert "This is version" not in text(lead.get(back.url)), "somebody made another one since"
    assert [lead.post(f"{PATH}/revert", {"version": wrong}).status_code for wrong in ("9", "-1", "x", "")] == [404] * 4
    assert lead.get(f"{PATH}/revert").status_code == 405


def test_an_agent_has_its_own_and_shows_what_the_org_has(org: Org, lead: Client) -> None:
    agent = AgentFactory(org=org, name="Billing Bot")
    save_policy(org, None, merged_policy(POLICY_DEFAULTS, {"throttle_minutes": 7}), 0)
    path = f"{PATH}?agent=Billing+Bot"
    page = text(lead.get(path))
    assert "as the org: 7 min" in page and "As the org (Critical)" in page and "Budget" not in page
    nothing = dict.fromkeys(PATHS, "") | {"reply_channel": [""], "reply_hours": [""], "version": 0}
    assert lead.post(path, nothing | {"throttle_minutes": "2", "outage.rooms": "0"}).status_code == 302
    assert own(org, agent) == {"throttle_minutes": 2, "outage": {"rooms": 0}}
    assert "Throttle: as the org → now 2 min" in text(lead.get(path))
    lead.post(path, nothing | {"version": 1})
    assert (own(org, agent), len(policy_versions(org, agent))) == ({}, 2)


def test_whose_page_it_is(org: Org, lead: Client) -> None:
    elsewhere, theirs = OrgFactory(), AgentFactory(name="Their bot")
    for query in (f"org={elsewhere.external_id}", "org=nobody", f"agent={theirs.name}"):
        assert [lead.get(f"{PATH}?{query}").status_code, lead.post(f"{PATH}?{query}", form()).status_code] == [404] * 2
    assert signed_in(supervisor_of(org)).get(PATH).status_code == 403
    specialist = signed_in(UserFactory(is_specialist=True, locale="en"))
    assert "Alert policy: " + elsewhere.name in text(specialist.get(f"{PATH}?org={elsewhere.external_id}"))
    assert Client().get(PATH).status_code == 302


def test_what_no_draft_changes_is_played_while_the_form_is_changed(
    org: Org, lead: Client, clock: Clock, monkeypatch: Any
) -> None:
    scene, played, play = Scene(org), [], Stage.play
    scene.fails("message_cap")
    clock.advance(seconds=20)
    monkeypatch.setattr(Stage, "play", lambda stage: played.append(stage._asked) or play(stage))
    assert "preview/ahead" in lead.get(PATH).content.decode()
    for _ in range(2):  # in another tab too
        assert lead.post(f"{PATH}/preview/ahead").status_code == 204
    assert (work_previews(), played) == (1, [False])
    assert lead.post(f"{PATH}/preview/ahead").status_code == 204
    assert work_previews() == 0
    lead.post(f"{PATH}/preview", form(severities__message_cap="info") | {"days": "7"})
    assert (work_previews(), played) == (1, [False, True])
    with scopes_disabled():
        ahead, asked = PolicyPreview.objects.order_by("asked_at")
    assert asked.answer["then"] != asked.answer["now"] == ahead.answer["now"]
    assert (ahead.since, ahead.until) == (asked.since, asked.until)
    assert lead_of(OrgFactory(), "Eko").post(f"{PATH}/preview/ahead?org={org.external_id}").status_code == 404


def test_what_is_played_ahead_gives_way(org: Org, lead: Client) -> None:
    with scopes_disabled():
        lead.post(f"{PATH}/preview/ahead")
        elsewhere = OrgFactory()
        ask_preview(elsewhere, None, dict(POLICY_DEFAULTS), *span_of_days(elsewhere, 1), None)
        first = requests._take()
        assert first.org == elsewhere
        assert requests._take() is None  # the other process of the worker is left to what is alive
        PolicyPreview.objects.filter(pk=first.pk).update(state="done")
        ahead = requests._take()
        assert ahead.is_ahead and ahead.org == org
        requests._Progress(ahead).say(0.1)
        ask_preview(elsewhere, None, dict(POLICY_DEFAULTS), *span_of_days(elsewhere, 1), None)
        with pytest.raises(requests.PreviewStopped):
            requests._Progress(ahead).say(0.1)
        lead.post(f"{PATH}/preview", form() | {"days": "7"})
        ahead.refresh_from_db()
        assert ahead.state == "cancelled"


def test_a_preview_is_waited_for_and_shows_what_would_have_come(org: Org, lead: Client, clock: Clock) -> None:
    scene = Scene(org)
    scene.fails("message_cap")
    clock.advance(seconds=20)
    asked = lead.post(f"{PATH}/preview", form(severities__message_cap="info") | {"days": "1"})
    assert "0 % replayed" in text(asked)
    (address,) = re.findall(r'hx-get="([^"]+)"', asked.content.decode())
    assert work_previews() == 1
    shown = lead.get(address)
    assert "hx-get" not in shown.content.decode()
    assert "1 failure event replayed. Nothing was sent or saved." in text(shown)
    day = r"\d+ [A-Z][a-z]{2} \d\d:\d\d"  # of today too: a span of days has one at both ends
    assert re.search(f"{day} to {day}, 1 failure event", text(shown))
    assert org.created_at.isoformat() in shown.content.decode()  # there was nothing before it was made
    assert "Left out: pushes about one's own duty, and what phones read once" in text(shown)
    assert "Escalations" in text(shown) and saved_policy(org, None).version == 0
    assert lead_of(OrgFactory(), "Eko").get(address).status_code == 404
    wrong = lead.post(f"{PATH}/preview", form(throttle_minutes="-1"))
    assert re.search(r"wrong: Throttle[^:]*: A whole number from 0 to 1440\.", text(wrong)), "which input it is"
    assert "hx-get" not in wrong.content.decode()
