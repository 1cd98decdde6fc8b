"""What a forgotten room or person leaves behind: nothing that names them, in any column of any table."""

import json
from io import StringIO
from typing import Any

import pghistory
import pytest
import redis
from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from alerts import actions
from alerts.management.commands.erase import CannotErase
from alerts.models import Alert, FailureEvent, Push, Room, RoomActivity, Transition
from alerts.retention.erase import erase_room
from orgs import clock
from orgs.management.shell import CommandRefused
from orgs.models import Agent, Assignment, Membership, Org, SavedView, User
from runs.models import HourKpi
from tests.api_client import signed_in
from tests.factories import (
    AgentFactory,
    AssignmentFactory,
    MembershipFactory,
    RejectedItemFactory,
    UserFactory,
    WebhookDeliveryFactory,
)
from tests.scene import Scene
from tests.test_pages_alert import text

CANARY = "zqcanary"
ROOM = f"{CANARY}-room-7"
NAME, EMAIL, EXTERNAL = f"Budi {CANARY} Santoso", f"budi.{CANARY}@example.com", f"{CANARY}-4711"


@pytest.fixture
def scene(db: None, system: None, org: Org) -> Scene:
    return Scene(org)


def erase(*arguments: str) -> dict[str, Any]:
    """The certificate that `manage.py erase` prints."""
    out = StringIO()
    call_command("erase", *arguments, stdout=out)
    return dict(json.loads(out.getvalue()))


def names(canary: str = CANARY) -> set[str]:
    """The tables that have a row in which the canary is: every column of every table, as the database writes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        found = set()
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" AS one WHERE one::text ILIKE %s', [f"%{canary}%"])
            if cursor.fetchone()[0]:
                found.add(table)
    return found


def in_valkey(canary: str = CANARY) -> list[Any]:
    """The keys of Valkey in which the canary is."""
    with redis.from_url(settings.REDIS_URL) as client:
        reads = {b"string": client.get, b"set": client.smembers, b"hash": client.hgetall}
        found = {
            key: reads.get(client.type(key), lambda one: client.lrange(one, 0, -1))(key)
            for key in client.scan_iter()
            if client.type(key) in (b"string", b"set", b"hash", b"list")
        }
    return [key for key, value in found.items() if canary in f"{key} {value}"]


def exported(person: User) -> str:
    """Whatever this person can download."""
    client, paths = signed_in(person), ("/board.csv?state=all", "/success.csv", "/api/alerts")
    return b"".join(b"".join(client.get(path)) for path in paths).decode()


def fill_room(scene: Scene) -> Alert:
    """The room, in whatever can know of it."""
    scene.fails(
        room=ROOM,
        room_label=f"Ibu {CANARY}",
        room_url=f"https://chat.example.com/inbox/{ROOM}",
        last_customer_text=f"Where is my parcel, {CANARY}?",
        metadata={"ticket": CANARY},
    )
    scene.happens("customer_message", room=ROOM, key=f"{CANARY}-message")
    scene.fails(room=ROOM, ago=1200)
    alert = scene.alert(ROOM)
    actions.comment(alert.pk, scene.people[0], f"Called {CANARY} back.")
    actions.verdict(alert.pk, scene.people[0], "confirmed", f"{CANARY} was right.")
    facts = [{"kind": "customer_message", "room_id": ROOM, "activity_id": "a1", "at": "2026-11-29T05:00:00+00:00"}]
    WebhookDeliveryFactory(endpoint__org=scene.org, understood=facts, facts=facts)
    RejectedItemFactory(org=scene.org, source=scene.source, sample={"room_id": ROOM}, message=f"{ROOM}: too old")
    RejectedItemFactory(org=None, source=scene.source, message=f"{ROOM}: too old")
    SavedView.objects.create(owner=scene.people[0], name="Mine", query=f"q={ROOM}&state=open")
    scene.fails(room="neighbour")
    actions.comment(scene.alert("neighbour").pk, scene.people[0], f"The same as in {ROOM}.")
    with pghistory.context(url=f"/alerts?room_id={ROOM}"):
        scene.org.save()
        scene.org.name += " "
        scene.org.save()
    return alert


def test_nothing_of_a_room_is_found(scene: Scene, caplog: Any) -> None:
    fill_room(scene)
    assert len(names()) > 9
    assert CANARY in exported(scene.people[0])
    certificate = erase("--org", scene.org.external_id, "--room", ROOM)
    assert names() == set() and in_valkey() == [] and CANARY not in caplog.text
    assert CANARY not in exported(scene.people[0])
    assert list(certificate) == ["subject", "at", "tables", "remaining"]
    assert certificate["remaining"] == 0 and certificate["tables"]["alerts_room"] == 1
    assert certificate["tables"]["alerts_failureevent"] == 2 and certificate["tables"]["alerts_roomactivity"] == 1
    assert set(Room.objects.values_list("room_id", flat=True)) == {"neighbour"}
    assert Alert.objects.get().comments.get().text == "The same as in [erased]."
    assert SavedView.objects.get().query == "q=[erased]&state=open"


def test_a_room_is_forgotten_once(scene: Scene) -> None:
    fill_room(scene)
    erase("--org", scene.org.external_id, "--room", ROOM)
    with pytest.raises(CannotErase, match="Nothing is known of room") as refused:
        erase("--org", scene.org.external_id, "--room", ROOM)
    assert refused.value.returncode == 1


def test_a_dry_run_promises_the_same_and_changes_nothing(scene: Scene) -> None:
    fill_room(scene)
    promised = erase("--org", scene.org.external_id, "--room", ROOM, "--dry-run")
    assert Room.objects.filter(room_id=ROOM).exists() and len(names()) > 9
    done = erase("--org", scene.org.external_id, "--room", ROOM)
    assert done | {"at": ""} == promised | {"at": ""}


def test_the_room_of_the_same_id_of_another_org_stays(scene: Scene) -> None:
    other = Scene()
    other.fails(room=ROOM)
    fill_room(scene)
    erase("--org", scene.org.external_id, "--room", ROOM)
    assert Room.objects.get(room_id=ROOM).org == other.org
    assert FailureEvent.objects.filter(org=other.org).count() == 1


def test_a_short_id_is_no_word_of_a_sentence(scene: Scene) -> None:
    """Room `r1` goes; a comment that says `r1` of something else is left as it is."""
    scene.fails(room="r1")
    scene.fails(room="neighbour")
    actions.comment(scene.alert("neighbour").pk, scene.people[0], "Plan r1 of three.")
    assert erase("--org", scene.org.external_id, "--room", "r1")["remaining"] == 0
    assert Alert.objects.get().comments.get().text == "Plan r1 of three."


def test_a_held_room_is_not_forgotten(scene: Scene) -> None:
    alert = fill_room(scene)
    actions.hold(alert.pk, UserFactory(is_specialist=True), "Case 12/2026")
    with pytest.raises(CannotErase, match=f"alert {alert.pk} forbids it: 'Case 12/2026'") as refused:
        erase("--org", scene.org.external_id, "--room", ROOM)
    assert refused.value.returncode == 1 and Room.objects.filter(room_id=ROOM).exists()


@pytest.mark.parametrize("arguments", [["--org", "nobody", "--room", ROOM], ["--person", "nobody"]])
def test_nobody_is_unknown(scene: Scene, arguments: list[str]) -> None:
    with pytest.raises(CannotErase) as refused:
        erase(*arguments)
    assert refused.value.returncode == 1


@pytest.mark.parametrize("arguments", [["--room", ROOM], ["--org", "x"], ["--room", ROOM, "--person", "x"]])
def test_what_cannot_be_meant_is_refused(scene: Scene, arguments: list[str]) -> None:
    with pytest.raises(CommandRefused):
        erase(*arguments)


# --- a person --------------------------------------------------------------------------------------------------------


def fill_person(scene: Scene) -> User:
    """Somebody who did something wherever one can, under each of their names."""
    person = UserFactory(sso_id=f"{CANARY}-sso", name=NAME, email=EMAIL)
    AssignmentFactory(org=scene.org, role=scene.role, user=person, external_user_id=EXTERNAL)
    MembershipFactory(org=scene.org, user=person)
    person.name = f"{NAME} Jr"
    person.save()
    scene.fails(room="r1")
    alert = scene.alert()
    actions.assign(alert.pk, scene.people[0], person)
    actions.acknowledge(alert.pk, person)
    actions.open_room(alert.pk, person)
    actions.comment(alert.pk, scene.people[0], f"{NAME} Jr knows this customer.")
    actions.comment(alert.pk, person, "I do.")
    actions.verdict(alert.pk, scene.people[0], "confirmed", f"says {EMAIL}")
    scene.happens("human_message", actor_external_id=EXTERNAL)
    understood = [{"kind": "human_message", "room_id": "r1", "actor": EXTERNAL, "status": "created"}]
    WebhookDeliveryFactory(endpoint__org=scene.org, understood=understood)
    SavedView.objects.create(owner=person, name=CANARY, query="state=open")
    SavedView.objects.create(owner=person, org=scene.org, name="Ours", query=f"q={person.sso_id}")
    signed_in(person).get("/")
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=person, content_type=kind, object_id=str(person.pk), object_repr=str(person), action_flag=CHANGE
    )
    with pghistory.context(user=person.pk, url=f"/reach/{person.sso_id}/test-push"):
        scene.role.tier = 2
        scene.role.save()
    return person


def test_nothing_of_a_person_is_found_and_what_they_did_stays(scene: Scene, caplog: Any) -> None:
    person = fill_person(scene)
    changes = Transition.objects.filter(actor=person).count()
    assert len(names()) > 9 and changes
    assert CANARY in exported(scene.people[0])
    certificate = erase("--person", person.sso_id)
    assert names() == set() and in_valkey() == [] and CANARY not in caplog.text
    assert CANARY not in exported(scene.people[0])
    assert certificate["remaining"] == 0 and certificate["tables"]["orgs_user"] == 1
    assert Transition.objects.filter(actor=person).count() == changes
    person.refresh_from_db()
    assert str(person) == "a former supervisor" and not person.is_active and not person.has_usable_password()
    assert not Assignment.every.filter(user=person).exists() and not Membership.objects.filter(user=person).exists()
    page = text(signed_in(scene.people[0]).get(f"/alerts/{scene.alert().pk}"))
    assert "a former supervisor has seen it" in page and "“[erased] knows this customer.”" in page
    assert "erased-" not in page


def test_nothing_more_is_sent_to_them(scene: Scene) -> None:
    person = fill_person(scene)
    assert Push.objects.filter(supervisor=person).exists()
    Push.objects.filter(supervisor=person).update(state="dead", next_attempt_at=None)
    erase("--person", person.sso_id)
    assert set(Push.objects.filter(supervisor=person).values_list("state", "ended_reason", "body")) == {
        ("cancelled", "removed", "")
    }
    assert Push.objects.exclude(supervisor=person).exclude(body="").exists()


def test_a_person_is_forgotten_once(scene: Scene) -> None:
    person = fill_person(scene)
    erase("--person", f"{CANARY}-sso")
    with pytest.raises(CannotErase):
        erase("--person", f"{CANARY}-sso")
    person.refresh_from_db()
    with pytest.raises(CannotErase):
        erase("--person", person.sso_id)


def test_in_one_org_they_stay_known_to_the_others(scene: Scene) -> None:
    person, other = fill_person(scene), Scene()
    AssignmentFactory(org=other.org, role=other.role, user=person)
    other.fails(room="elsewhere")
    actions.take(other.alert("elsewhere").pk, person)
    certificate = erase("--person", person.sso_id, "--org", scene.org.external_id)
    assert certificate["remaining"] == 0
    person.refresh_from_db()
    assert person.name == f"{NAME} Jr" and person.is_active
    assert Assignment.objects.get(user=person).org == other.org
    assert not Transition.objects.filter(org=scene.org, actor=person).exists()
    assert Transition.objects.filter(org=other.org, actor=person).exists()
    former = Transition.objects.filter(org=scene.org, change="acknowledged").get().actor
    assert former is not None and str(former) == "a former supervisor"
    with connection.cursor() as cursor:
        for table in ("alerts_alert", "alerts_transition", "alerts_comment", "alerts_push", "alerts_roomactivity"):
            cursor.execute(
                f"SELECT count(*) FROM {table} one WHERE one.org_id = %s AND one::text ILIKE %s",
                [scene.org.pk, f"%{CANARY}%"],
            )
            assert cursor.fetchone()[0] == 0, table
    with pytest.raises(CannotErase):
        erase("--person", person.sso_id, "--org", scene.org.external_id)


def test_in_their_only_org_they_are_forgotten_everywhere(scene: Scene) -> None:
    person = fill_person(scene)
    erase("--person", person.sso_id, "--org", scene.org.external_id)
    assert names() == set()


def test_who_had_to_do_with_what_is_held_is_not_forgotten(scene: Scene) -> None:
    person = fill_person(scene)
    actions.hold(scene.alert().pk, UserFactory(is_specialist=True), "Case 12/2026")
    with pytest.raises(CannotErase, match="Case 12/2026"):
        erase("--person", person.sso_id)
    actions.lift_hold(scene.alert().pk, UserFactory(is_specialist=True))
    erase("--person", person.sso_id)


def test_a_dry_run_of_a_person_changes_nothing(scene: Scene) -> None:
    person = fill_person(scene)
    before = names()
    promised = erase("--person", person.sso_id, "--dry-run")
    assert names() == before
    assert erase("--person", person.sso_id)["tables"] == promised["tables"]


def test_their_session_ends(scene: Scene) -> None:
    person = fill_person(scene)
    theirs, others = signed_in(person), signed_in(scene.people[0])
    erase("--person", person.sso_id)
    assert theirs.get("/").status_code == 302 and others.get("/").status_code == 200


def test_a_room_called_like_a_number_or_a_word_of_ours_takes_nothing_else_with_it(scene: Scene) -> None:
    agent = Agent.objects.filter(org=scene.org).first() or AgentFactory(org=scene.org)
    kept = {"org": scene.org, "agent": agent, "agent_version": "37", "input_kind": "order", "channel": "order"}
    HourKpi.objects.create(hour=clock.now(), durations={"37": 4}, **kept)
    scene.fails(room="37", last_customer_text="order", channel="order")
    erase_room(scene.org, "37", clock.now())
    row = HourKpi.objects.get()
    assert (row.durations, row.agent_version, row.input_kind) == ({"37": 4}, "37", "order")


# --- what is called the same -----------------------------------------------------------------------------------------


def test_a_person_and_a_customer_of_the_same_name_as_the_rooms_customer_keep_it(scene: Scene) -> None:
    rina = UserFactory(name="Rina")
    scene.fails(room="r-1", room_label="Rina", last_customer_text="critical")
    scene.fails(room="r-2", room_label="Rina", last_customer_text="critical")
    actions.comment(scene.alert("r-2").pk, scene.people[0], "A critical one: Rina knows her.")
    before = list(Push.objects.filter(room__room_id="r-2").order_by("pk").values_list("body", flat=True))
    assert erase("--org", scene.org.external_id, "--room", "r-1")["remaining"] == 0
    rina.refresh_from_db()
    assert rina.name == "Rina"
    other = scene.room("r-2")
    assert (other.label, other.last_customer_text) == ("Rina", "critical")
    assert list(Push.objects.filter(room=other).order_by("pk").values_list("body", flat=True)) == before
    assert Transition.objects.filter(alert__room=other).latest("id").detail.get("to") != "[erased]"
    assert scene.alert("r-2").comments.get().text == "A critical one: Rina knows her."


def test_what_people_wrote_of_the_customer_is_replaced_also_under_another_alert(scene: Scene) -> None:
    said = "Where is parcel 4711-22, please?"
    scene.fails(room="r-1", room_label="Ibu Sari", last_customer_text=said)
    scene.fails(room="r-2")
    actions.comment(scene.alert("r-2").pk, scene.people[0], f"Ibu Sari asked there: {said}")
    actions.verdict(scene.alert("r-2").pk, scene.people[0], "confirmed", "As with Ibu Sari")
    erase("--org", scene.org.external_id, "--room", "r-1")
    alert = scene.alert("r-2")
    assert alert.comments.get().text == "[erased] asked there: [erased]"
    assert alert.verdict_note == "As with [erased]"
    assert Transition.objects.get(alert=alert, change="verdict").detail["note"] == "As with [erased]"


def test_whoever_has_the_rooms_number_as_their_own_keeps_it(scene: Scene) -> None:
    """Rooms of Chatwoot are numbered, and so are its people."""
    held = Assignment.objects.get(org=scene.org, user=scene.people[0])
    held.external_user_id = "10423"
    held.save()
    scene.fails(room="10423")
    scene.fails(room="neighbour")
    scene.happens("human_message", room="neighbour", actor_external_id="10423")
    erase("--org", scene.org.external_id, "--room", "10423")
    held.refresh_from_db()
    assert held.external_user_id == "10423"
    assert RoomActivity.objects.get().actor_external_id == "10423"


def test_of_two_people_of_one_name_only_one_is_forgotten(scene: Scene) -> None:
    one, other = (UserFactory(name="Budi Santoso") for _ in range(2))
    for person in (one, other):
        AssignmentFactory(org=scene.org, role=scene.role, user=person)
    scene.fails(room="r-1", room_label="Budi Santoso")
    erase("--person", one.sso_id)
    other.refresh_from_db()
    assert (str(other), scene.room("r-1").label) == ("Budi Santoso", "Budi Santoso")


def test_nothing_changes_in_any_other_room(scene: Scene) -> None:
    """Whatever the erased one shares with them: each of their columns, in every table that names them, stays."""
    facts = {"room_label": "Ibu Sari", "last_customer_text": "Halo, saya mau bertanya", "metadata": {"order": "4711"}}
    for room in ("r-1", "r-2", "r-3"):
        scene.happens("customer_message", room=room)
        scene.fails(room=room, **facts)
        actions.take(scene.alert(room).pk, scene.people[0])
        actions.comment(scene.alert(room).pk, scene.people[1], "Halo, saya mau bertanya")
    before = _rows_about(scene, "r-2", "r-3")
    erase("--org", scene.org.external_id, "--room", "r-1")
    after = _rows_about(scene, "r-2", "r-3")
    assert [table for table, rows in before.items() if after[table] != rows] == ["alerts_comment"]  # a quotation


def _rows_about(scene: Scene, *rooms: str) -> dict[str, Any]:
    """All rows of these rooms and their alerts, by table, as the database writes them."""
    pks = list(Room.objects.filter(room_id__in=rooms).values_list("pk", flat=True))
    alerts = list(Alert.objects.filter(room__in=pks).values_list("pk", flat=True))
    whose = {"room_id": pks, "alert_id": alerts}
    found = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text) FROM information_schema.columns"
            " WHERE table_schema = 'public' AND data_type IN ('bigint', 'uuid')"
            " AND column_name IN ('room_id', 'alert_id')"
            " GROUP BY table_name"
        )
        for table, columns in cursor.fetchall():
            column = "alert_id" if "alert_id" in columns else "room_id"
            if column == "room_id" and table in ("alerts_silence", "alerts_silenceevent"):
                continue
            cursor.execute(f'SELECT one::text FROM "{table}" one WHERE {column} = ANY(%s) ORDER BY 1', [whose[column]])
            found[table] = cursor.fetchall()
        cursor.execute("SELECT one::text FROM alerts_room one WHERE id = ANY(%s) ORDER BY 1", [pks])
        found["alerts_room"] = cursor.fetchall()
        cursor.execute("SELECT one::text FROM alerts_alert one WHERE id = ANY(%s) ORDER BY 1", [alerts])
        found["alerts_alert"] = cursor.fetchall()
    return found
