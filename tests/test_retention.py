"""What is old goes, in small batches that anybody may interrupt; what is open, held or counted stays."""

from collections import Counter
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from celery.schedules import crontab
from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts import actions, tasks
from alerts.models import (
    Alert,
    Comment,
    FailureEvent,
    KeptFigures,
    LegalHold,
    Push,
    Room,
    RoomActivity,
    Transition,
)
from alerts.retention import registry
from alerts.retention.erase import SubjectHeld, SubjectUnknown, erase_person, erase_room
from alerts.retention.purge import EMPTY_ROOMS, LIMITS, Pace, _due, _oldest, purge, purgeable
from alerts.retention.registry import AboutRoom, Retained
from alerts.retention.texts import people_write
from orgs import clock
from orgs.history import tracked
from orgs.management.shell import CommandRefused
from orgs.models import Retention
from tests.factories import OrgFactory, RejectedItemFactory, SourceMinuteFactory, UserFactory, WebhookDeliveryFactory
from tests.scene import Scene
from tests.test_figures_recount import START
from tests.test_state_machine import freeze

DAY = timedelta(days=1)
YEAR_AND_A_BIT = 420 * DAY


@pytest.fixture
def scene(db: None, system: None) -> Scene:
    return Scene()


def hurry() -> Pace:
    return Pace(rests=0)


def purged(now: datetime, **options: Any) -> dict[str, int]:
    """Purge at this time: the tables of which something went; what other tests have too left out."""
    freeze(now)
    rows = purge(now, pace=hurry(), **options)
    history = {"pghistory_context", "cache", *(events._meta.db_table for events in tracked().values())}
    return {table: n for table, n in rows.items() if n and table not in history}


def story(scene: Scene, room: str = "r1") -> Alert:
    """A failure to which a human came, and which is over."""
    freeze(START)
    scene.fails("agent_error", room=room)
    scene.happens("human_message", room=room, who=scene.people[0])
    alert = scene.alert(room)
    actions.comment(alert.pk, scene.people[0], "Called back.")
    actions.resolve(alert.pk, scene.people[0])
    Push.objects.filter(state="pending").update(state="cancelled", next_attempt_at=None)
    return alert


def test_an_alert_goes_with_all_that_hangs_on_it_and_its_room(scene: Scene) -> None:
    story(scene)
    rows = purged(START + YEAR_AND_A_BIT)
    assert rows["alerts_alert"] == rows["alerts_failureevent"] == rows["alerts_comment"] == rows["alerts_room"] == 1
    assert rows["alerts_transition"] >= 3 and rows["alerts_push"] == 2 and rows["alerts_roomactivity"] == 1
    for model in (Alert, FailureEvent, Transition, Comment, Push, RoomActivity, Room):
        assert not model.objects.exists()
    assert purged(START + YEAR_AND_A_BIT) == {}


def test_nothing_goes_before_its_time(scene: Scene) -> None:
    story(scene)
    assert purged(START + 89 * DAY) == {}
    assert purged(START + 92 * DAY) == {"alerts_roomactivity": 1}
    assert purged(START + 399 * DAY) == {}


def test_whatever_refers_to_a_row_that_goes_hangs_on_it(db: None) -> None:
    """A table that is new and forgotten here would stop the purge of what it refers to."""
    sooner = {("alerts_transition", "event_id")}  # gone with the alert by then; an event without one has none
    models = {model._meta.db_table: model for model in apps.get_models()}
    for entry in registry.everything_kept():
        fields = [link.field for link in models[entry.table]._meta.related_objects] if entry.table in models else []
        referring = {(field.model._meta.db_table, field.column) for field in fields if field.db_constraint}
        assert referring <= {(table, column) for table, column, *_ in entry.hanging} | sooner, entry.table


def test_an_org_has_a_policy_of_its_own(scene: Scene) -> None:
    other = Scene()
    story(scene)
    story(other)
    Retention.objects.create(org=scene.org, failure_events_days=60, pushes_days=500, room_activity_days=500)
    assert purged(START + 65 * DAY)["alerts_alert"] == 1
    assert Alert.objects.get().org == other.org
    assert not Push.objects.filter(org=scene.org).exists(), "a push goes with its alert at the latest"


def test_one_org_alone(scene: Scene) -> None:
    other = Scene()
    story(scene)
    story(other)
    assert purged(START + YEAR_AND_A_BIT, org=other.org)["alerts_alert"] == 1
    assert Alert.objects.get().org == scene.org


def test_an_alert_that_is_open_stays_with_everything(scene: Scene) -> None:
    freeze(START)
    scene.fails("agent_error")
    assert "alerts_alert" not in purged(START + YEAR_AND_A_BIT)
    assert FailureEvent.objects.exists() and Transition.objects.exists()


def test_an_alert_of_which_something_was_said_lately_stays(scene: Scene) -> None:
    alert = story(scene)
    freeze(START + 300 * DAY)
    actions.verdict(alert.pk, scene.people[0], "confirmed", "")
    assert "alerts_alert" not in purged(START + YEAR_AND_A_BIT)
    assert purged(START + 702 * DAY)["alerts_alert"] == 1


def test_a_push_under_way_is_not_deleted_below_the_sender(scene: Scene) -> None:
    story(scene)
    Push.objects.filter(supervisor=scene.people[0]).update(state="sending")
    assert "alerts_alert" not in purged(START + YEAR_AND_A_BIT)


def test_events_that_opened_nothing_go_by_themselves(scene: Scene) -> None:
    freeze(START)
    scene.fails("agent_error", ago=3700)
    assert FailureEvent.objects.get().alert_id is None
    assert purged(START + YEAR_AND_A_BIT) == {"alerts_failureevent": 1, "alerts_room": 1}


def test_the_newest_proof_of_reach_stays_bare(scene: Scene, settings: Any) -> None:
    alert = story(scene)
    Push.objects.filter(supervisor=scene.people[0]).update(state="sent", sent_at=START, delivered_at=START)
    promised = purgeable(START + YEAR_AND_A_BIT)["alerts_push"]
    rows = purged(START + YEAR_AND_A_BIT)
    assert rows["alerts_push"] == promised == 1
    proof = Push.objects.get()
    assert (proof.alert_id, proof.room_id, proof.body, proof.delivered_at) == (None, None, "", START)
    assert not Alert.objects.filter(pk=alert.pk).exists() and not Room.objects.exists()


def test_pushes_with_a_shorter_life_leave_their_alert(scene: Scene) -> None:
    story(scene)
    Retention.objects.create(org=scene.org, pushes_days=30)
    assert purged(START + 35 * DAY) == {"alerts_push": 2}
    assert Alert.objects.exists()


def test_what_senders_sent_goes_soon(scene: Scene) -> None:
    freeze(START)
    WebhookDeliveryFactory(endpoint__org=scene.org, received_at=START)
    RejectedItemFactory(org=scene.org, source=scene.source, at=START)
    RejectedItemFactory(org=None, source=scene.source, at=START)
    SourceMinuteFactory(org=scene.org, source=scene.source, minute=START)
    rows = purged(START + 32 * DAY)
    assert rows == {"alerts_webhookdelivery": 1, "alerts_rejecteditem": 2, "alerts_sourceminute": 1}


def test_a_session_that_is_over_goes(scene: Scene, client: Any) -> None:
    client.force_login(UserFactory())
    assert purged(clock.now()) == {}
    assert purged(clock.now() + DAY) == {"django_session": 1}


def test_history_keeps_the_state_of_before(scene: Scene) -> None:
    """What was changed and changed again is forgotten; the last word of before stays, for what came after it."""
    scene.org.name = "Second"
    scene.org.save()
    scene.org.name = "Third"
    scene.org.save()
    purged(clock.now() + 401 * DAY)
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM orgs_orgevent WHERE pgh_obj_id = %s", [scene.org.pk])
        assert cursor.fetchall() == [("Third",)]


# --- holds -----------------------------------------------------------------------------------------------------------


def test_what_is_held_stays_until_the_hold_is_lifted(scene: Scene) -> None:
    specialist = UserFactory(is_specialist=True)
    alert = story(scene)
    actions.hold(alert.pk, specialist, "Case 12/2026")
    assert purged(START + YEAR_AND_A_BIT) == {}
    assert RoomActivity.objects.exists()
    actions.lift_hold(alert.pk, specialist)
    assert purged(START + YEAR_AND_A_BIT)["alerts_alert"] == 1
    assert not LegalHold.objects.exists()


def test_a_second_hold_changes_nothing(scene: Scene) -> None:
    specialist = UserFactory(is_specialist=True)
    alert = story(scene)
    actions.hold(alert.pk, specialist, "Case 12/2026")
    with pytest.raises(actions.ActConflict, match="already_held"):
        actions.hold(alert.pk, specialist, "Case 13/2026")
    assert LegalHold.objects.get().reason == "Case 12/2026"


def test_a_run_is_held_by_its_id(scene: Scene) -> None:
    specialist, run = UserFactory(is_specialist=True), uuid4()
    actions.hold_run(scene.org, run, specialist, "Case 12/2026")
    assert LegalHold.objects.get().run_id == run
    assert actions.lift_run_hold(scene.org, run, specialist)
    assert not actions.lift_run_hold(scene.org, run, specialist)


# --- figures ---------------------------------------------------------------------------------------------------------


def test_days_are_sealed_before_their_rows_go_and_never_counted_again(scene: Scene) -> None:
    story(scene)
    purged(START + 100 * DAY)
    day = KeptFigures.objects.get(sealed=True, counts__has_key="muted_pct", ends__lt=START + 2 * DAY)
    freeze(START + 100 * DAY)
    actions.verdict(Alert.objects.get().pk, scene.people[0], "confirmed", "")
    scene.org.zone = "Asia/Tokyo"
    scene.org.save()
    purged(START + 100 * DAY)
    assert KeptFigures.objects.get(pk=day.pk).counts == day.counts


BIG = {"alerts_alert", "alerts_failureevent", "alerts_transition", "alerts_push", "alerts_roomactivity", "alerts_room"}


@pytest.mark.parametrize("entry", registry.everything_kept(), ids=lambda entry: entry.table)
def test_the_oldest_of_an_org_are_found_by_an_index(db: None, entry: Retained) -> None:
    values = {"org": 1, "before": START, "after": START, "under": 1, "size": 100, "ids": [], "cutoff": START}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(LIMITS)
        for statement in (_due(entry, f"kept.{entry.key}", _oldest(entry)), entry.before, EMPTY_ROOMS % "'{1}'"):
            if statement:
                cursor.execute(f"EXPLAIN {statement}", values if "%(" in statement else None)
                plan = "\n".join(row[0] for row in cursor.fetchall())
                assert not {table for table in BIG if f"Seq Scan on {table}" in plan}, plan


# --- the command -----------------------------------------------------------------------------------------------------


def run(*arguments: str) -> list[tuple[str, int]]:
    """What `manage.py purge` prints."""
    out = StringIO()
    call_command("purge", *arguments, stdout=out)
    return [(table, int(rows)) for table, rows in (line.split("\t") for line in out.getvalue().splitlines())]


def test_the_command_prints_each_table_and_a_total(scene: Scene) -> None:
    story(scene)
    freeze(START + YEAR_AND_A_BIT)
    promised = run("--dry-run")
    assert Alert.objects.exists()
    *tables, total = run()
    assert Counter(dict(promised[:-1])) + Counter({"alerts_room": 1}) == Counter(dict(tables))
    assert total == ("total", sum(rows for _, rows in tables)) and dict(tables)["alerts_alert"] == 1
    assert tables == sorted(tables)
    assert not Alert.objects.exists()


def test_the_command_knows_no_foreign_org(scene: Scene) -> None:
    with pytest.raises(CommandRefused, match="There is no org 'nobody'"):
        run("--org", "nobody")


def test_the_command_for_one_org(scene: Scene) -> None:
    story(scene)
    freeze(START + YEAR_AND_A_BIT)
    assert dict(run("--org", OrgFactory().external_id))["alerts_alert"] == 0
    assert dict(run("--org", scene.org.external_id))["alerts_alert"] == 1


# --- a table of an upper app -----------------------------------------------------------------------------------------

RUNS = Retained(
    "upper_run",
    "started_at",
    "runs_days",
    hanging=(("upper_review", "run_id", "run_id"),),
    held=("run_id", "kept.run_id"),
)
ABOUT = AboutRoom("upper_run", "room", hanging=(("upper_review", "run_id", "run_id"),), held="run_id")


@pytest.fixture
def upper(scene: Scene, monkeypatch: Any) -> Any:
    """A table of runs and one of their reviews, registered; gives an id to the run that it makes."""
    monkeypatch.setattr(registry, "_kept", [*registry._kept])
    monkeypatch.setattr(registry, "_about_rooms", [*registry._about_rooms])
    registry.keep(RUNS)
    registry.keep(RUNS)
    registry.knows_room(ABOUT)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE upper_run (id bigserial PRIMARY KEY, org_id bigint, run_id uuid, room varchar(200),"
            " started_at timestamptz, metadata jsonb)"
        )
        cursor.execute(
            "CREATE TABLE upper_review (id bigserial PRIMARY KEY, org_id bigint, run_id uuid,"
            " reviewer varchar(200), notes text)"
        )

    def made(at: datetime, room: str = "r1", notes: str = "") -> Any:
        run = uuid4()
        with connection.cursor() as cursor:
            cursor.execute(
                "WITH run AS (INSERT INTO upper_run (org_id, run_id, room, started_at, metadata)"
                " VALUES (%s, %s, %s, %s, '{}') RETURNING id)"
                " INSERT INTO upper_review (org_id, run_id, reviewer, notes)"
                " SELECT %s, %s, %s, %s FROM run",
                [scene.org.pk, run, room, at, scene.org.pk, run, scene.people[0].sso_id, notes],
            )
        return run

    return made


def runs() -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT run_id FROM upper_run ORDER BY id")
        return [row[0] for row in cursor.fetchall()]


def test_runs_go_with_their_reviews_unless_they_are_held(scene: Scene, upper: Any) -> None:
    held, _, young = upper(START), upper(START), upper(START + 60 * DAY)
    specialist = UserFactory(is_specialist=True)
    actions.hold_run(scene.org, held, specialist, "Case 12")
    assert purgeable(START + 100 * DAY)["upper_review"] == 1
    assert purged(START + 100 * DAY) == {"upper_run": 1, "upper_review": 1}
    assert runs() == [held, young]
    actions.lift_run_hold(scene.org, held, specialist)
    assert purged(START + 100 * DAY) == {"upper_run": 1, "upper_review": 1}


def test_a_room_that_only_runs_know_is_forgotten(scene: Scene, upper: Any) -> None:
    upper(START, room="room-of-runs")
    other = upper(START, room="elsewhere", notes="as in room-of-runs")
    certificate = erase_room(scene.org, "room-of-runs", START)
    assert certificate.tables == {"upper_review": 2, "upper_run": 1}
    assert runs() == [other]
    with pytest.raises(SubjectUnknown):
        erase_room(scene.org, "room-of-runs", START)


def test_a_room_with_a_held_run_is_not_forgotten(scene: Scene, upper: Any) -> None:
    run = upper(START, room="room-of-runs")
    actions.hold_run(scene.org, run, UserFactory(is_specialist=True), "Case 12")
    with pytest.raises(SubjectHeld, match=f"run {run}"):
        erase_room(scene.org, "room-of-runs", START)
    assert runs() == [run]


def test_a_reviewer_is_forgotten(scene: Scene, upper: Any) -> None:
    upper(START, notes=f"{scene.people[0].sso_id} saw it")
    people_write("upper_review", "notes")
    erase_person(scene.people[0].sso_id, clock.now())
    with connection.cursor() as cursor:
        cursor.execute("SELECT reviewer, notes FROM upper_review")
        ((reviewer, notes),) = cursor.fetchall()
    assert reviewer.startswith("erased-") and notes == "[erased] saw it"


# --- every night -----------------------------------------------------------------------------------------------------


def test_the_worker_is_asked_every_night_and_purges(scene: Scene, settings: Any) -> None:
    asked = settings.CELERY_BEAT_SCHEDULE["purge_old"]
    assert asked["task"] == "alerts.tasks.purge_old" and asked["schedule"] == crontab(hour="20", minute="10")
    story(scene)
    freeze(START + YEAR_AND_A_BIT)
    for _ in range(3):  # a piece ends after 5 s, which a busy machine may need several of
        tasks.purge_old()
    assert not Alert.objects.exists()


def test_an_org_with_nothing_old_costs_no_statement_of_its_own(scene: Scene) -> None:
    """However many orgs there are: a piece of 5 s must come to those of which something goes."""
    purge(clock.now(), pace=hurry())
    with CaptureQueriesContext(connection) as few:
        purge(clock.now(), pace=hurry())
    for _ in range(5):
        Scene().fails("agent_error")
    purge(clock.now(), pace=hurry())
    with CaptureQueriesContext(connection) as many:
        purge(clock.now(), pace=hurry())
    assert len(many) == len(few)
