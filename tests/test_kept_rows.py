"""Rows are rendered once for frames and pages, and each page reads as if it had been worded for its reader."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.template.loader import get_template
from django.utils import timezone, translation
from django_scopes import scopes_disabled

from alerts import actions
from alerts.figures import Period
from alerts.models import Alert, Push, Room
from console.live.kept_rows import KEPT_MOST, frame_rows, kept_rows, row_htmls
from console.live.rows import _one_line, for_rows, views
from console.pages.board.median import median_of_day
from console.text.reader import as_read
from console.text.wording import read_by
from orgs import clock
from orgs.auth import OrgIds, within
from orgs.models import Org, User
from tests.scene import Scene, pushes_are_sent

LATER = timedelta(hours=9)


@pytest.fixture
def scene(system: None, org: Org) -> Iterator[Scene]:
    kept_rows.clear()
    with scopes_disabled():
        yield Scene(org)
    kept_rows.clear()


def alerts_of_all_kinds(scene: Scene) -> None:
    me, other = scene.people[:2]
    for number, room in enumerate(("told", "mine", "theirs", "inside", "over", "verdict", "later", "twice")):
        scene.fails(room=room, room_label=f"Ibu {number}", channel="WhatsApp")
    pushes_are_sent()
    scene.fails(
        "unexpected_handoff", room="twice", ago=400, customer_waiting_since=clock.now() - timedelta(seconds=400)
    )
    actions.take(scene.alert("mine").pk, me)
    actions.take(scene.alert("theirs").pk, other)
    actions.open_room(scene.alert("inside").pk, me)
    for room in ("over", "verdict"):
        actions.resolve(scene.alert(room).pk, me)
    actions.verdict(scene.alert("verdict").pk, me, "confirmed", "")
    actions.snooze(scene.alert("later").pk, other, clock.now() + timedelta(hours=1))


@pytest.mark.parametrize("language", ["en", "id"])
@pytest.mark.parametrize("zone", ["Asia/Jakarta", "America/New_York"])
def test_a_kept_row_reads_as_if_it_had_been_worded_for_its_reader_now(scene: Scene, language: str, zone: str) -> None:
    alerts_of_all_kinds(scene)
    alerts = list(for_rows(Alert.objects.order_by("pk")))
    template = get_template("pages/board/_row.html")
    with translation.override(language), timezone.override(zone):
        before = clock.now()
        row_htmls([alert.pk for alert in alerts], before)
        for now in (before, before + timedelta(minutes=7), before + LATER):
            for reader in scene.people[:2]:
                with read_by(reader):
                    own = {one["alert"].pk: _one_line(template.render({"row": one})) for one in views(alerts, now)}
                    kept = row_htmls([alert.pk for alert in alerts], now)
                    assert {pk: as_read(html, reader, now) for pk, html in kept.items()} == own


def test_what_a_frame_sent_a_page_does_not_render_again(scene: Scene, django_assert_max_num_queries: Any) -> None:
    scene.fails()
    pk = scene.alert().pk
    frame = frame_rows({pk}, {"en"})["en"][pk]
    kept_rows.check_names()  # they are new to this process
    frame_rows({pk}, {"en"})
    now = clock.now()
    with django_assert_max_num_queries(3):
        assert row_htmls([pk], now)[pk] is kept_rows._rows[pk, "en"].html
    assert row_htmls([pk], now)[pk] == frame.html


def _a_push_dies(scene: Scene) -> None:
    Push.objects.update(state="dead", ended_reason="refused")


def _another_has_the_room(scene: Scene) -> None:
    Room.objects.update(human=scene.people[1], human_since=clock.now(), state="human")


def _a_person_is_renamed(scene: Scene) -> None:
    User.objects.filter(pk__in=[one.pk for one in scene.people]).update(name="Someone Else")


def _an_org_is_renamed(scene: Scene) -> None:
    Org.objects.update(name="Another Org")


def _the_room_is_renamed(scene: Scene) -> None:
    Room.objects.update(label="Another room")


@pytest.mark.parametrize(
    "change", [_a_push_dies, _another_has_the_room, _a_person_is_renamed, _an_org_is_renamed, _the_room_is_renamed]
)
def test_what_changes_without_a_version_shows_at_once(scene: Scene, change: Any) -> None:
    scene.fails(room_label="Ibu Sari")
    pushes_are_sent()
    if change is _another_has_the_room:
        scene.happens("human_message", actor_sso_id=scene.people[0].sso_id)
    pk, version = scene.alert().pk, scene.alert().version
    before = row_htmls([pk], clock.now())[pk]
    change(scene)
    after = row_htmls([pk], clock.now())[pk]
    assert (after != before, scene.alert().version) == (True, version)
    kept_rows.clear()
    assert after == row_htmls([pk], clock.now())[pk]


def test_a_snooze_that_ends_changes_the_row_without_anybody(scene: Scene) -> None:
    scene.fails()
    now = clock.now()
    actions.snooze(scene.alert().pk, scene.people[0], now + timedelta(hours=1))
    pk = scene.alert().pk
    assert 'data-group="snoozed"' in row_htmls([pk], now)[pk]
    assert 'data-group="snoozed"' in row_htmls([pk], now + timedelta(minutes=59))[pk]
    assert 'data-group="waiting"' in row_htmls([pk], now + timedelta(minutes=61))[pk]


def test_rows_of_others_are_not_given_out(scene: Scene) -> None:
    """The scope decides, not what is kept."""
    scene.fails()
    pk = scene.alert().pk
    assert pk in row_htmls([pk], clock.now())
    with within(OrgIds.of([scene.org.pk + 1])):
        assert row_htmls([pk], clock.now()) == {}


def test_only_so_many_are_kept(scene: Scene) -> None:
    scene.fails()
    (row,) = frame_rows({scene.alert().pk}, {"en"})["en"].values()
    for number in range(KEPT_MOST + 2):
        kept_rows.keep(scene.alert().pk if number == 0 else number, "en", row)  # type: ignore[arg-type]
    assert len(kept_rows._rows) == KEPT_MOST
    assert not kept_rows.has(scene.alert().pk, "en")


def test_the_median_of_today_is_counted_again_when_somebody_came_and_for_other_orgs(
    scene: Scene, django_assert_num_queries: Any
) -> None:
    now = clock.now()
    day = Period(now - timedelta(hours=12), now + timedelta(hours=12))
    scene.fails(ago=60)
    assert median_of_day([scene.org], day, now).value is None
    with django_assert_num_queries(1):
        assert median_of_day([scene.org], day, now).value is None
    actions.open_room(scene.alert().pk, scene.people[0])
    assert median_of_day([scene.org], day, clock.now()).value == pytest.approx(60, abs=10)
    assert median_of_day([], day, clock.now()).value is None
