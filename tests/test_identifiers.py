"""One spelling for each identifier, wherever it comes from, and near twins named before they are made."""

import importlib
import multiprocessing
import unicodedata
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import RFC_4122, UUID, uuid4

import pytest
from django.apps import apps
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from alerts.models import Room, new_id
from alerts.sources import inbox
from orgs import imports
from orgs.identifiers import BadIdentifier, Twins, identifier, is_identifier, spelled
from orgs.models import Agent, Assignment, Org, SupervisorRole, User
from tests.api_client import post, put, signed_in, supervisor_of, with_key
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    OrgFactory,
    RoomFactory,
    UserFactory,
    WebhookEndpointFactory,
)
from tests.qontak import message
from tests.runs_made import made_run

UPPER = "0F7C6A51-6A0E-4D54-9A8F-1F0F5F3C9F11"
HEADER = "org,role,tier,sso_id,external_user_id,name,locale\n"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        (" rina ", "rina"),
        ("rina\t\n", "rina"),
        ("\u00a0rina\u2003", "rina"),
        ("Billing\u00a0Bot", "Billing Bot"),
        ("Rina", "Rina"),
        (UPPER, UPPER.lower()),
        (f" {UPPER}", UPPER.lower()),
        (f"room {UPPER}", f"room {UPPER}"),
        ("Ame\u0301lie", "Am\u00e9lie"),
        ("🛍️ Shop Bot", "🛍️ Shop Bot"),
        ("👩‍💻", "👩‍💻"),
        ("密码", "密码"),
        (" ", ""),
    ],
)
def test_an_identifier_has_one_spelling(text: str, spelling: str) -> None:
    assert identifier(text) == spelling


HIDDEN = [0x00, 0x07, 0x7F, 0x9F, 0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x202E, 0x2060, 0x3164, 0xFE0F, 0xFEFF, 0xD800]


@pytest.mark.parametrize("hidden", HIDDEN, ids=hex)
def test_what_cannot_be_seen_is_refused_and_named(hidden: int) -> None:
    with pytest.raises(BadIdentifier, match=f"U\\+{hidden:04X}"):
        identifier(f"ri{chr(hidden)}na")


@given(st.text(max_size=40))
def test_every_identifier_is_its_own_spelling(text: str) -> None:
    if is_identifier(text):
        made = identifier(text)
        assert identifier(made) == made == unicodedata.normalize("NFC", made).strip()
    assert spelled(spelled(text)) == spelled(text)


@pytest.mark.parametrize("alike", ["Rina", "RINA", "ri na", "ｒｉｎａ", "rina\u200b", "rina "])
def test_near_twins_are_found(alike: str) -> None:
    assert Twins(["bayu", "rina"]).of(alike) == "rina"
    assert Twins(["rina", alike]).of(alike) == ""
    assert Twins(["bayu"]).of(alike) == ""


# --- everywhere ------------------------------------------------------------------------------------------------------


def test_rows_are_stored_and_found_in_their_one_spelling() -> None:
    org = OrgFactory(external_id=f" {UPPER}\u00a0")
    assert org.external_id == UPPER.lower()
    assert Org.objects.get(external_id=UPPER) == Org.objects.get(external_id__in=[f"{UPPER} "]) == org
    assert AgentFactory(org=org, name="Bot\u00a0").name == "Bot"


def test_the_api_finds_orgs_rooms_agents_and_people_in_any_spelling() -> None:
    org = OrgFactory(external_id=UPPER)
    alert = AlertFactory(
        org=org, room=RoomFactory(org=org, room_id=UPPER.lower()), agent=AgentFactory(org=org, name="Bot")
    )
    rina = supervisor_of(org, sso_id="rina")
    client = with_key(None)
    for query in (f"org_id={UPPER}", f"room_id={UPPER}", "agent=Bot%20", f"org_id=%20{UPPER}&agent=%C2%A0Bot"):
        assert [one["id"] for one in client.get(f"/api/alerts?{query}").json()["results"]] == [str(alert.pk)]
    taken = post(client, f"/api/alerts/{alert.pk}/take", {"sso_id": " rina\u00a0"})
    assert taken.json()["assigned_to"]["sso_id"] == rina.sso_id
    assert post(signed_in(rina), f"/api/alerts/{alert.pk}/take", {"sso_id": " rina"}).status_code == 200


def test_what_a_caller_says_of_a_room_a_role_or_an_agent_finds_it_in_any_spelling() -> None:
    org, client = OrgFactory(), with_key(None)
    room = RoomFactory(org=org, room_id=UPPER.lower())
    agent = AgentFactory(org=org, name="Am\u00e9lie")
    role = AssignmentFactory(org=org, role__name="Shift lead", user__sso_id="rina").role
    made_run(org, agent, datetime.now(UTC))
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()

    silence = post(client, "/api/silences", {"org_id": org.external_id, "room_id": f" {UPPER}", "ends_at": ends})
    assert (silence.status_code, silence.json()["room_id"]) == (201, room.room_id)
    stand_in = {"sso_id": " rina\u00a0", "role": "Shift\u00a0lead"}
    schedule = {"org_id": org.external_id, "from": datetime.now(UTC).isoformat(), "to": ends, "assignments": [stand_in]}
    assert post(client, "/api/schedules", schedule).json()["assignments"][0]["role"] == role.name
    listed = {"role": "Shift lead", "tier": role.tier, "sso_id": "rina", "agents": [" Ame\u0301lie", "Am\u00e9lie"]}
    synced = put(client, f"/api/assignments?org_id={org.external_id}", [listed])
    assert synced.json()["changed"][0]["changes"]["agents"]["to"] == [agent.name]
    for path in ("/api/kpis", "/api/runs"):
        assert len(client.get(path, {"agent": "Ame\u0301lie\u00a0"}).json()["results"]) == 1, path


def test_pages_find_orgs_and_agents_in_any_spelling() -> None:
    org = OrgFactory(external_id=UPPER)
    AlertFactory(org=org, room__label="Order 1182", agent=AgentFactory(org=org, name="Bot"))
    client = signed_in(supervisor_of(org))
    assert "Order 1182" in client.get("/", {"org": UPPER, "agent": " Bot"}).content.decode()
    assert "Bot" in client.get("/reach", {"org": UPPER}).content.decode()
    assert client.get("/success", {"org": UPPER}).status_code == 200


def test_a_webhook_names_the_same_room_in_any_spelling(org: Org) -> None:
    endpoint = WebhookEndpointFactory(org=org, organization_id=UPPER)
    for room in (UPPER, UPPER.lower(), f" {UPPER}"):
        delivery = inbox.read_delivery(
            endpoint, message(org=UPPER, room=room, room_organization_id=UPPER), datetime.now(UTC)
        )
        inbox.store([delivery])
    inbox.work()
    assert [room.room_id for room in Room.objects.all()] == [UPPER.lower()]


def test_a_webhook_with_a_room_that_cannot_be_seen_is_not_understood(org: Org) -> None:
    delivery = inbox.read_delivery(
        WebhookEndpointFactory(org=org), message(org=org.external_id, room="r\u200b1"), datetime.now(UTC)
    )
    assert (delivery.outcome, delivery.reason, delivery.field) == ("not_understood", "bad_text", "room_id")


# --- the list of an org ----------------------------------------------------------------------------------------------


def run(text: str, dry_run: bool = False) -> imports.ImportResult:
    return imports.run(text.encode(), dry_run=dry_run)


def test_blanks_no_break_spaces_and_capitals_make_no_second_person() -> None:
    OrgFactory(external_id=UPPER)
    assert run(HEADER + f"{UPPER},Leads,1,rina,{UPPER},,\n").refused == 0
    assert run(HEADER + f" {UPPER.lower()},\u00a0Leads ,1,rina\u00a0,{UPPER.lower()},,\n").count("unchanged") == 1
    assert [one.external_user_id for one in Assignment.objects.all()] == [UPPER.lower()]
    assert User.objects.filter(sso_id__startswith="rina").count() == SupervisorRole.objects.count() == 1


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        ("Leads,1,ri\u200bna,,", "sso_id"),
        ("Le\u00adads,1,rina,,", "role"),
        ("Leads,1,rina,7\ufeff7,", "external_user_id"),
    ],
)
def test_a_character_that_cannot_be_seen_is_refused_with_line_and_column(org: Org, cells: str, column: str) -> None:
    (line,) = run(HEADER + f"{org.external_id},{cells},\n").lines
    assert line.wrong is not None
    assert (line.number, line.outcome, line.wrong.column) == (2, "refused", column)
    assert line.said.startswith(f"{column} contains a character that cannot be seen (U+")


def test_a_preview_names_near_twins_of_people_and_roles(org: Org) -> None:
    AssignmentFactory(org=org, role__name="Leads", user__sso_id="rina")
    lines = run(HEADER + f"{org.external_id},leads,1,Rina,,,\n{org.external_id},leads,1,RINA,,,\n", dry_run=True).lines
    assert "new person, nearly the same as 'rina'" in lines[0].said
    assert "nearly the same as 'Leads'" in lines[0].said
    assert "new person, nearly the same as 'rina'" in lines[1].said
    assert [line.near_twin for line in lines] == ["rina", "rina"]


def test_a_preview_names_near_twins_within_the_file(org: Org) -> None:
    lines = run(HEADER + f"{org.external_id},A,1,rina,,,\n{org.external_id},A,1,Rina,,,\n", dry_run=True).lines
    assert [line.near_twin for line in lines] == ["", "rina"]


def test_a_sync_says_the_near_twins_of_the_callers_own_people_alone(org: Org) -> None:
    AssignmentFactory(org=org, user__sso_id="rina")
    AssignmentFactory(user__sso_id="bayu")
    items = [{"role": "A", "tier": 1, "sso_id": name} for name in ("Rina", "Bayu")]
    path = f"/api/assignments?dry_run=1&org_id={org.external_id}"
    assert [one["near_twin"] for one in put(with_key(org), path, items).json()["added"]] == ["rina", None]
    assert [one["near_twin"] for one in put(with_key(None), path, items).json()["added"]] == ["rina", "bayu"]


def test_the_list_of_an_org_of_an_older_spelling_stays_its_own(org: Org) -> None:
    older, newer = OrgFactory(), OrgFactory(external_id=UPPER.lower())
    raw_update("orgs_org", "external_id", UPPER, older.pk)
    older.refresh_from_db()
    answer = put(with_key(older), "/api/assignments", [{"role": "A", "tier": 1, "sso_id": "rina"}])
    assert answer.status_code == 200
    assert [one.org for one in Assignment.objects.all()] == [older] and newer != older


# --- CSV as spreadsheets write it ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\norg;role;tier;sso_id\nmelati;Leads;1;rina\n",
        '\ufeff"sep=;"\r\norg;role;tier;sso_id\r\nmelati;Leads;1;rina\r\n',
        "sep=,,,,\norg,role,tier,sso_id\nmelati,Leads,1,rina\n",
        "org,role,tier,sso_id,,,\nmelati,Leads,1,rina,,,\n",
        "org,role,tier,sso_id,name,locale\nmelati,Leads,1,rina\n",
        "org,role,tier,sso_id\nmelati,Leads,1,rina,,,,\n",
        "ORG,Role,TIER,SSO ID\nmelati,Leads,1,rina\n",
        "org,role,tier,sso_id,locale\nmelati,Leads,1,rina,id-ID\n",
        "org,role,tier,sso_id,locale\nmelati,Leads,1,rina,ID\n",
        "org,role,tier,sso_id,locale\nmelati,Leads,1,rina,en_US.UTF-8\n",
    ],
)
def test_files_of_spreadsheets_are_read(text: str) -> None:
    OrgFactory(external_id="melati")
    assert [line.outcome for line in run(text).lines] == ["added"]
    person = User.objects.get(sso_id="rina")
    assert person.locale in ("", "id", "en")


def test_line_numbers_count_the_line_of_excel() -> None:
    assert [line.number for line in run("sep=;\norg;role;tier;sso_id\nmelati;Leads;1;rina\n").lines] == [3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("org,role,tier,sso_id,name\nmelati,a,1,b,c,d\n", "Line 2 has 6 cells, the header has 5."),
        ("org,role,name,tier,sso_id\nmelati,a,b,1\n", "Line 2 has 4 cells, the header has 5."),
        ('sep=,\norg,role,tier,sso_id\nmelati,"a"b,1,c\n', "The file is not CSV in line 3"),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, said: str) -> None:
    with pytest.raises(imports.Unreadable, match=said):
        run(text)


# --- what was stored before ------------------------------------------------------------------------------------------


def raw_update(table: str, column: str, value: str, pk: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{table}" SET "{column}" = %s WHERE id = %s', [value, pk])


def test_the_migration_spells_what_is_stored_and_leaves_what_would_collide(capsys: pytest.CaptureFixture[str]) -> None:
    org, twin = OrgFactory(), OrgFactory(external_id=str(uuid4()))
    rina, phantom = UserFactory(sso_id="rina"), UserFactory()
    agent, room = AgentFactory(org=org), RoomFactory(org=org)
    elsewhere = RoomFactory(room_id=UPPER.lower())
    known, other = RoomFactory(org=org, room_id="room-7"), RoomFactory(org=org)
    raw_update("orgs_org", "external_id", twin.external_id.upper(), org.pk)
    raw_update("orgs_user", "sso_id", "rina\u200b", phantom.pk)
    raw_update("orgs_agent", "name", "\u00a0Billing\u00a0Bot", agent.pk)
    raw_update("alerts_room", "room_id", UPPER, room.pk)
    raw_update("alerts_room", "room_id", "room-7 ", other.pk)

    importlib.import_module("orgs.migrations.0007_identifiers").spell_stored(apps, None)
    importlib.import_module("alerts.migrations.0008_flags").spell_rooms(apps, None)

    for row in (org, phantom, agent, room, other):
        row.refresh_from_db()
    assert (agent.name, room.room_id, elsewhere.room_id) == ("Billing Bot", UPPER.lower(), UPPER.lower())
    assert (org.external_id, phantom.sso_id, other.room_id) == (twin.external_id.upper(), "rina\u200b", "room-7 ")
    said = capsys.readouterr().err
    stays = [f"{row._meta.label} {row.pk} stays" in said for row in (org, phantom, other, agent, room)]
    assert stays == [True, True, True, False, False]
    assert known.room_id == "room-7" and rina.sso_id == "rina"


# --- forms -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def specialist() -> Any:
    return signed_in(UserFactory(is_specialist=True))


def person_form(**fields: str) -> dict[str, str]:
    made = {"sso_id": "Rina", "is_active": "on", "seen_twin": ""}
    for prefix in ("assignments", "memberships"):
        made |= {f"{prefix}-{name}": "0" for name in ("TOTAL_FORMS", "INITIAL_FORMS")}
    return made | fields


def test_the_admin_names_a_near_twin_before_it_makes_the_person(specialist: Any) -> None:
    UserFactory(sso_id="rina")
    asked = specialist.post("/admin/orgs/user/add/", person_form())
    assert "“rina” is there already and nearly the same" in asked.content.decode()
    assert not User.objects.filter(sso_id="Rina").exists()
    assert 'name="seen_twin" value="rina"' in asked.content.decode()
    assert specialist.post("/admin/orgs/user/add/", person_form(seen_twin="rina")).status_code == 302
    assert User.objects.filter(sso_id="Rina").exists()


def test_the_admin_refuses_what_cannot_be_seen(specialist: Any) -> None:
    asked = specialist.post("/admin/orgs/user/add/", person_form(sso_id="ri\u200bna"))
    assert "It holds a character that cannot be seen (U+200B)." in asked.content.decode()


def test_the_admin_names_a_near_twin_of_an_agent(specialist: Any, org: Org) -> None:
    AgentFactory(org=org, name="Billing Bot")
    form = {"org": org.pk, "name": "billing bot", "production": "on", "confirmed": "on", "version": "", "seen_twin": ""}
    asked = specialist.post("/admin/orgs/agent/add/", form)
    assert "“Billing Bot” is there already" in asked.content.decode()
    assert specialist.post("/admin/orgs/agent/add/", form | {"seen_twin": "Billing Bot"}).status_code == 302
    assert Agent.objects.count() == 2


def test_the_list_of_agents_shows_of_which_an_unconfirmed_one_is_a_near_twin(specialist: Any, org: Org) -> None:
    AgentFactory(org=org, name="Billing Bot")
    AgentFactory(org=org, name="billing-bot", confirmed=False)
    assert 'field-near_twin">Billing Bot' not in specialist.get("/admin/orgs/agent/").content.decode()
    AgentFactory(org=org, name="billing bot", confirmed=False)
    assert specialist.get("/admin/orgs/agent/").content.decode().count('field-near_twin">Billing Bot') == 1


def test_the_set_up_page_names_a_near_twin(specialist: Any) -> None:
    UserFactory(sso_id="rina")
    form = {
        "name": "Melati", "external_id": "melati", "zone": "Asia/Jakarta", "locale": "id", "sso_id": "Rina",
        "room_url_template": "https://chat.qontak.com/inbox/{room_id}", "email": "r@example.com",
    }  # fmt: skip
    asked = specialist.post("/setup/new", form)
    assert asked.status_code == 422 and "“rina” is there already" in asked.content.decode()
    assert 'name="seen_twin" value="rina"' in asked.content.decode()
    assert specialist.post("/setup/new", form | {"seen_twin": "rina"}).status_code == 200
    assert User.objects.filter(sso_id="Rina").exists()


# --- ids that nobody chose -------------------------------------------------------------------------------------------


def test_processes_that_are_forked_from_one_make_other_ids() -> None:
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as processes:
        made = processes.map(_some_ids, [100, 100, 100], chunksize=1)
    there = [*_some_ids(100), *(one for ids in made for one in ids)]
    assert len({one.int & (1 << 62) - 1 for one in there}) == 400  # what is random of them, whenever they were made
    assert {(one.version, one.variant) for one in there} == {(7, RFC_4122)}


def _some_ids(how_many: int) -> list[UUID]:
    return [new_id() for _ in range(how_many)]
