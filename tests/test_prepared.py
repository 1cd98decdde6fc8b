"""Queries that are written and planned once give what Django's own give, and no stranger's rows."""

from contextvars import Context
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django_scopes import scopes_disabled
from django_scopes.exceptions import ScopeError

from alerts import actions
from alerts.models import Alert
from console.live import hub
from console.live.rows import MARK, ROWS, TOLD, for_rows
from console.live.stored import stored_states
from console.pages.menu import menu_counts
from orgs import clock
from orgs.auth import EVERY_ORG, OrgIds, within
from orgs.models import Org
from tests.factories import OrgFactory
from tests.scene import Scene

PEOPLE = ("assigned_to", "acknowledged_by", "intervened_by", "resolved_by", "verdict_by")


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    with scopes_disabled():
        scene = Scene(org)
        scene.fails(room="told", room_label="Ibu Sari", channel="WhatsApp")
        scene.fails(room="taken")
        actions.take(scene.alert("taken").pk, scene.people[0])
        scene.fails(room="over")
        actions.resolve(scene.alert("over").pk, scene.people[1])
        scene.fails(room="snoozed")
        actions.snooze(scene.alert("snoozed").pk, scene.people[1], clock.now() + timedelta(hours=1))
    return scene


def _everything(alert: Alert) -> dict[str, Any]:
    joined = {name: vars(one) if (one := getattr(alert, name)) else None for name in ("org", "room", "agent", *PEOPLE)}
    own = {name: value for name, value in vars(alert).items() if name != "_state"}
    return own | {name: value and {k: v for k, v in value.items() if k != "_state"} for name, value in joined.items()}


def test_the_rows_are_those_of_django_with_all_that_is_joined(scene: Scene, django_assert_num_queries: Any) -> None:
    with within(EVERY_ORG):
        theirs = {one.pk: _everything(one) for one in for_rows(Alert.objects.all()).annotate(mark=MARK)}
        assert len(theirs) == 4
        ROWS.rows(list(theirs))
        with django_assert_num_queries(1):
            ours = {one.pk: _everything(one) for one in ROWS.rows(list(theirs))}
        assert ours == theirs


def test_nobody_gets_the_rows_of_strangers(scene: Scene) -> None:
    stranger = OrgFactory()
    with scopes_disabled():
        pks = list(Alert.objects.values_list("pk", flat=True))
        assert len(ROWS.rows(pks)) == 4
        assert {push.alert_id for push in TOLD.rows(pks)} <= set(pks) != set()
    with within(OrgIds.of([stranger.pk])):
        assert ROWS.rows(pks) == TOLD.rows(pks) == []
    with within(OrgIds.of([scene.org.pk])):
        assert len(ROWS.rows(pks)) == 4
    with pytest.raises(ScopeError):
        Context().run(ROWS.rows, pks)  # where no scope was entered


def test_no_keys_are_no_question(scene: Scene, django_assert_num_queries: Any) -> None:
    with within(EVERY_ORG), django_assert_num_queries(0):
        assert ROWS.rows([]) == []


def test_the_server_plans_it_once(scene: Scene) -> None:
    """Mutation: with `= ANY(keys)` the server sees how many there are, and plans each time."""
    with within(EVERY_ORG):
        [pk, *_] = Alert.objects.values_list("pk", flat=True)
        for _ in range(300):  # what it cost before, when the tables were smaller, counts for a while
            ROWS.rows([pk])
            if _planned_once():
                return
    raise AssertionError("It was planned anew each of 300 times.")


def _planned_once() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(generic_plans) FROM pg_prepared_statements"
            " WHERE statement LIKE '%silence%' AND statement LIKE '%ANY(ARRAY(SELECT unnest(%'"
        )
        return (cursor.fetchone()[0] or 0) > 1


def test_the_database_counts_a_board_as_the_hub_does(scene: Scene) -> None:
    quiet = OrgFactory()
    with within(EVERY_ORG):
        now = clock.now()
        stored = {one.org: one for one in stored_states([scene.org.pk, quiet.pk], now)}
        (theirs,) = hub._open_alerts(EVERY_ORG, now).values()
    ours = stored.pop(scene.org.external_id)
    assert stored == {}
    assert (ours.checksum, ours.figures) == (theirs.checksum, theirs.counts(now))
    assert (ours.open, ours.resolved, ours.snoozed, dict(ours.figures["holders"])) == (
        3, 1, 1, {scene.people[0].sso_id: 1},
    )  # fmt: skip


def test_what_has_just_ended_is_counted_where_nothing_is_open(system: None, org: Org) -> None:
    with scopes_disabled():
        scene = Scene(org)
        scene.fails(room="over")
        actions.resolve(scene.alert("over").pk, scene.people[1])
        now = clock.now()
        (ours,) = stored_states([org.pk], now)
        theirs = hub._open_alerts(EVERY_ORG, now)[org.pk]
    assert (ours.checksum, ours.figures) == (theirs.checksum, theirs.counts(now))


def test_the_menu_counts_what_is_of_the_orgs_that_are_asked_for(scene: Scene) -> None:
    stranger = OrgFactory()
    with within(OrgIds.of([scene.org.pk])):
        assert menu_counts(scene.people[0], [scene.org.pk], [])["waiting"] == 1  # of four
        assert menu_counts(scene.people[0], [], [])["waiting"] == 0
    with within(OrgIds.of([stranger.pk])):
        assert menu_counts(scene.people[0], [scene.org.pk, stranger.pk], [])["waiting"] == 0
