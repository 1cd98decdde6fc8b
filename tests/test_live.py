"""The live feed over real sockets: what arrives, what is noticed when something is lost, who is sent away."""

import os
import sysconfig
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, transaction
from django.db.models import F
from websockets.exceptions import ConnectionClosed

from alerts import actions, feed
from alerts.models import Alert
from console.live import hub as live
from console.live import sockets, wire
from launch import valkey
from orgs import clock
from orgs.auth import EVERY_ORG
from orgs.models import Assignment, User
from tests.factories import AlertFactory, AssignmentFactory, UserFactory
from tests.feed_boards import Board, Served, session_of
from tests.scene import Scene
from tests.stack import Process, until
from tests.storm import figures, holders, storm

NEVER = 3600.0
BEAT_SECONDS = live.BEAT_SECONDS
pytestmark = pytest.mark.usefixtures("transactional_db", "system")


@pytest.fixture
def every(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`every(poll=0.1)` sets how often a loop of the hub or the watch runs, before the first socket starts it."""
    names = {
        "poll": "hub.POLL_SECONDS",
        "beat": "hub.BEAT_SECONDS",
        "authorise": "sockets.AUTHORISE_SECONDS",
        "restart": "hub.RESTART_SECONDS",
    }

    def patch(**seconds: float) -> None:
        for name, value in seconds.items():
            monkeypatch.setattr(f"console.live.{names[name]}", value)

    return patch


@pytest.fixture
def served(every: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server whose hub hears of changes by message only, unless the test says otherwise."""
    every(poll=NEVER, beat=NEVER, authorise=0.1, restart=0.05)
    made = Served(monkeypatch)
    yield made
    made.stop()
    Session.objects.all().delete()


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def other(scene: Scene) -> Scene:
    """A second org, which the first supervisor of `scene` sees too."""
    made = Scene()
    AssignmentFactory(org=made.org, role=made.role, user=scene.people[0])
    return made


# --- what arrives ----------------------------------------------------------------------------------------------------


def test_an_event_is_on_every_open_board_in_its_language(served: Served, scene: Scene) -> None:
    english, indonesian = served.board(scene.people[0]), served.board(scene.people[1], "id")
    assert english.hello == indonesian.hello == {"type": "hello", "orgs": {}, "counts": {}}
    scene.fails()
    assert "Take it" in english.row(scene.alert())
    assert "Buka percakapan" in indonesian.row(scene.alert())


def test_each_frame_continues_the_chain_until_nothing_is_open(served: Served, scene: Scene) -> None:
    board, org = served.board(scene.people[0]), scene.org.external_id
    scene.fails()
    first = board.next("rows")["orgs"][org]
    assert first == {"prev": "0:0", "checksum": live.stored_checksums(EVERY_ORG)[org]}
    actions.take(scene.alert().pk, scene.people[0])
    taken = board.next("rows")["orgs"][org]
    assert taken == {"prev": first["checksum"], "checksum": live.stored_checksums(EVERY_ORG)[org]} != first
    actions.resolve(scene.alert().pk, scene.people[0])
    assert board.next("rows")["orgs"][org] == {"prev": taken["checksum"], "checksum": "0:0"}
    assert served.board(scene.people[0]).hello["orgs"] == {}


def test_after_minutes_of_storm_the_counts_in_the_frames_are_the_databases(served: Served, scene: Scene) -> None:
    board, org = served.board(scene.people[0]), scene.org.external_id
    storm(scene, rooms=40)
    scene.fails(room="last")
    board.row(scene.alert("last"))
    mine, said = Alert.objects.filter(org=scene.org), board.counts[org]
    expected = figures(mine, clock.now())
    assert {name: said[name] for name in ("waiting", "snoozed", "resolved")} == {
        name: expected[name] for name in ("waiting", "snoozed", "resolved")
    }
    assert said["open"] == expected["waiting"] + expected["on-it"] + expected["snoozed"]
    assert said["holders"] == holders(mine)
    assert said["severity"] == {
        name: mine.exclude(state="resolved").filter(severity=name).count() for name in ("critical", "warning", "info")
    }
    assert said["customers"] <= said["open"]
    assert served.board(scene.people[1]).counts[org] == said


def test_what_opened_and_ended_unannounced_is_counted_as_resolved(
    served: Served, scene: Scene, every: Callable[..., None]
) -> None:
    every(poll=0.1)
    board, org = served.board(scene.people[0]), scene.org.external_id
    alert = AlertFactory(org=scene.org, state="resolved", resolved_at=datetime.now(UTC))
    assert 'data-group="resolved"' in board.row(alert)
    assert (board.counts[org]["open"], board.counts[org]["resolved"]) == (0, 1)


def test_a_beat_comes_every_four_seconds_with_sums_and_counts(
    served: Served, scene: Scene, every: Callable[..., None]
) -> None:
    assert BEAT_SECONDS == 4
    every(beat=0.1)
    scene.fails()
    board, org = served.board(scene.people[0]), scene.org.external_id
    beat = board.next("beat")
    assert beat["orgs"] == live.stored_checksums(EVERY_ORG)
    assert (beat["counts"][org]["waiting"], beat["counts"][org]["severity"]["critical"]) == (1, 1)


def test_a_snooze_that_ends_by_itself_sends_the_row_again(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "WAKE_SECONDS", 0.05)
    alert = AlertFactory(org=scene.org, snoozed_until=datetime.now(UTC) + timedelta(seconds=1))
    board, org = served.board(scene.people[0]), scene.org.external_id
    assert (board.counts[org]["waiting"], board.counts[org]["snoozed"]) == (0, 1)
    assert 'data-group="waiting"' in board.row(alert)
    assert (board.counts[org]["waiting"], board.counts[org]["snoozed"]) == (1, 0)


def test_while_nobody_watches_nothing_is_kept_and_the_first_board_starts_right(served: Served, scene: Scene) -> None:
    served.board(scene.people[0]).connection.close()
    until(lambda: not served.hub.clients)
    scene.fails()
    board = served.board(scene.people[0])
    assert board.hello["orgs"] == live.stored_checksums(EVERY_ORG) != {}
    scene.fails(room="r2")
    board.row(scene.alert("r2"))


def test_a_board_of_an_org_made_just_now_hears_its_first_event(served: Served, scene: Scene) -> None:
    specialist = served.board(UserFactory(is_specialist=True))
    new = Scene()
    new.fails()
    assert new.org.external_id in specialist.next("rows")["orgs"]


def test_one_frame_holds_at_most_200_alerts(served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[UUID]] = []
    render = live.frame_rows

    def noting(ids: Any, languages: Any) -> Any:
        asked.append(set(ids))
        return render(ids, languages)

    monkeypatch.setattr(live, "frame_rows", noting)
    served.board(scene.people[0])
    ours = {uuid4() for _ in range(450)}
    feed.publish(ours)
    until(lambda: ours <= set().union(*asked))  # beside them there may be those of other tests, on the same Valkey
    assert max(len(ids) for ids in asked) <= 200


def test_the_first_change_after_a_quiet_time_goes_at_once_and_those_after_it_together(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    own = settings.CHANNEL_LAYERS["default"]
    own = own | {"CONFIG": own["CONFIG"] | {"prefix": f"alone-{os.getpid()}"}}  # other tests use the same Valkey
    settings.CHANNEL_LAYERS = {"default": own}
    monkeypatch.setattr(live, "FLUSH_SECONDS", NEVER)
    board = served.board(scene.people[0])
    scene.fails()
    board.row(scene.alert())
    scene.fails(room="r2")
    scene.fails(room="r3")
    until(lambda: served.hub.changed >= {scene.alert("r2").pk, scene.alert("r3").pk})  # and what its poll finds


def test_what_is_open_is_said_once_to_all_who_come_back_at_once(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    def noting(content: Any) -> wire.Frame:
        made.append(content["type"])
        return wire.encode(content)

    monkeypatch.setattr(live, "encode", noting)
    monkeypatch.setattr(live, "WAKE_SECONDS", NEVER)
    people = [AssignmentFactory(org=scene.org, role=scene.role).user for _ in range(8)]
    before = served.board(people[0])
    scene.fails()
    before.row(scene.alert())
    boards = [served.board(person) for person in people]
    assert {str(board.hello) for board in boards} == {str(boards[0].hello)}
    assert made.count("hello") < len(people), "nothing changed, though a late message may have said so"
    scene.fails(room="r2")
    boards[0].row(scene.alert("r2"))
    assert served.board(people[0]).hello["orgs"] == live.stored_checksums(EVERY_ORG) == boards[0].chain


def test_another_server_than_ours_feeds_boards_too(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Served(monkeypatch, ws="websockets-sansio")
    try:
        board = plain.board(scene.people[0])
        scene.fails()
        board.row(scene.alert())
        log_out(scene.people[0])
        assert board.closed() == sockets.SIGNED_OUT
    finally:
        plain.stop()


# --- what is lost is noticed -----------------------------------------------------------------------------------------


def test_what_no_message_told_of_comes_by_the_poll(served: Served, scene: Scene, every: Callable[..., None]) -> None:
    every(poll=0.1)
    board = served.board(scene.people[0])
    alert = AlertFactory(org=scene.org)
    assert 'data-version="1"' in board.row(alert)
    Alert.objects.filter(pk=alert.pk).update(version=F("version") + 1)
    assert 'data-version="2"' in board.row(alert)


def test_one_alert_ends_and_another_begins_unannounced_and_no_board_misses_it(
    served: Served, scene: Scene, every: Callable[..., None]
) -> None:
    """Count and versions are what they were: the hub's poll, the pages and the boards must notice all the same."""
    every(poll=0.1)
    first = AlertFactory(org=scene.org)
    before = live.stored_checksums(EVERY_ORG)
    board = served.board(scene.people[0])
    assert board.hello["orgs"] == before
    with transaction.atomic():
        Alert.objects.filter(pk=first.pk).update(state="resolved", resolved_at=first.opened_at)
        second = AlertFactory(org=scene.org, version=first.version)
    after = live.stored_checksums(EVERY_ORG)
    assert after != before
    board.row(second)
    until(lambda: live.checksums(EVERY_ORG) == after)


@pytest.fixture
def own_valkey(tmp_path: Path, settings: Any) -> Iterator[Callable[[], Process]]:
    """Starts a Valkey for the channel layer alone, to be killed."""
    server, origin = valkey.find(Path(sysconfig.get_path("purelib")))
    cache = valkey.Cache(server, tmp_path / "valkey.sock", origin)
    host = {"address": cache.url, "socket_timeout": 15, "socket_connect_timeout": 2}
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend, "CONFIG": {"hosts": [host]}}}
    program, running = cache.program(), []

    def start() -> Process:
        running.append(Process("valkey", list(program.argv), dict(program.env), tmp_path))
        until(cache.is_ready)
        return running[-1]

    yield start
    for process in running:
        process.kill()


def test_rows_arrive_with_redis_killed_and_by_message_once_it_is_back(
    own_valkey: Callable[[], Process], served: Served, scene: Scene, every: Callable[..., None]
) -> None:
    valkey_process = own_valkey()
    every(poll=0.1)
    board = served.board(scene.people[0])
    scene.fails()
    board.row(scene.alert())
    valkey_process.kill()
    scene.fails(room="r2")
    board.row(scene.alert("r2"))
    own_valkey()
    every(poll=NEVER)
    alert_id = uuid4()

    def heard() -> bool:
        feed.publish([alert_id])
        return alert_id in served.hub.changed

    until(heard)


@pytest.mark.parametrize("error", [OperationalError("the database is away"), RuntimeError("a broken template")])
def test_the_flush_recovers_from_errors(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    errors, render = [error, error], live.frame_rows

    def failing(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return render(*args)

    monkeypatch.setattr(live, "frame_rows", failing)
    board = served.board(scene.people[0])
    scene.fails()
    board.row(scene.alert())


def test_the_poll_recovers_from_errors(
    served: Served, scene: Scene, every: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, differences = [OperationalError(), OperationalError()], live._differences

    def failing(*args: Any) -> Any:
        if errors:
            raise errors.pop()
        return differences(*args)

    monkeypatch.setattr(live, "_differences", failing)
    every(poll=0.1)
    board = served.board(scene.people[0])
    board.row(AlertFactory(org=scene.org))


def test_an_alert_that_cannot_be_rendered_holds_up_no_other(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = AlertFactory(org=scene.org, signals=[{"nonsense": 1}]), AlertFactory(org=scene.org)
    board = served.board(scene.people[0])
    feed.publish([broken.pk, sound.pk])
    board.row(sound)


def test_a_deleted_alert_changes_the_checksum_and_is_asked_for_once(
    served: Served, scene: Scene, every: Callable[..., None]
) -> None:
    every(poll=0.1, beat=0.1)
    alert = AlertFactory(org=scene.org)
    board = served.board(scene.people[0])
    assert board.chain == live.stored_checksums(EVERY_ORG) != {}
    gone = alert.pk
    alert.delete()
    until(lambda: board.next("beat")["orgs"] == {})
    ours = {org_id: served.hub.checksum(org_id) for org_id in served.hub.open}
    assert live._differences(ours)[1] == {}
    assert gone not in served.hub.changed


# --- who does not read -----------------------------------------------------------------------------------------------


def blocked(served: Served, scene: Scene) -> list[Alert]:
    """Send rows until the one client's line is full."""
    alerts = [AlertFactory(org=scene.org) for _ in range(25)]
    (client,) = served.hub.clients

    def full() -> bool:
        feed.publish([alert.pk for alert in alerts])
        return client.wire.full

    until(full)
    return alerts


def test_a_slow_client_costs_no_memory_and_is_told_what_it_missed(served: Served, scene: Scene) -> None:
    slow = served.slow(scene.people[0])
    (line,) = served.server.server_state.connections
    assert isinstance(line, wire.Wire)
    alerts = blocked(served, scene)
    held = line.transport.get_write_buffer_size()
    quick = served.board(scene.people[1])
    for alert in alerts[:10]:
        Alert.objects.filter(pk=alert.pk).update(version=F("version") + 1)
        feed.publish([alert.pk])
        quick.row(alert)
    assert line.transport.get_write_buffer_size() <= held
    beat = slow.next("beat")  # after all frames that were on their way
    now_open = live.stored_checksums(EVERY_ORG)
    assert beat["orgs"] == now_open != slow.chain
    assert now_open[scene.org.external_id].startswith("25:")
    scene.fails()
    assert slow.next("rows")["orgs"][scene.org.external_id]["prev"] == now_open[scene.org.external_id]


def test_a_client_that_does_not_read_is_closed_with_1013(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STUCK_SECONDS", 0.2)
    slow = served.slow(scene.people[0])
    blocked(served, scene)
    until(lambda: not served.hub.clients)
    assert slow.closed() == wire.AGAIN


def test_a_client_that_never_reads_again_is_cut_off(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(wire, "GOODBYE_SECONDS", 0.1)
    slow = served.slow(scene.people[0])
    blocked(served, scene)
    until(lambda: not served.server.server_state.connections)
    assert slow.closed() is None


# --- who may not stay ------------------------------------------------------------------------------------------------


def log_out(user: User) -> None:
    Session.objects.all().delete()


def change_password(user: User) -> None:
    user.set_password("another-password-9")
    user.save()


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize("act", [log_out, change_password, deactivate])
def test_a_session_that_ends_closes_its_socket_with_4401(
    served: Served, scene: Scene, act: Callable[[User], None]
) -> None:
    board = served.board(scene.people[0])
    act(scene.people[0])
    assert board.closed() == sockets.SIGNED_OUT
    until(lambda: not served.hub.clients and not served.watch.consumers)


def test_an_error_of_the_watch_lets_nobody_stay(served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    errors, allowed_now = [OperationalError(), KeyError("who?")], sockets.allowed_now

    def failing(logins: Any) -> Any:
        if errors:
            raise errors.pop()
        return allowed_now(logins)

    monkeypatch.setattr(sockets, "allowed_now", failing)
    board = served.board(scene.people[0])
    log_out(scene.people[0])
    assert board.closed() == sockets.SIGNED_OUT


def test_a_client_that_does_not_read_holds_up_no_sign_out(served: Served, scene: Scene) -> None:
    served.slow(scene.people[0])
    blocked(served, scene)
    board = served.board(scene.people[1])
    log_out(scene.people[1])
    assert board.closed() == sockets.SIGNED_OUT
    until(lambda: not served.hub.clients)


def test_after_an_assignment_is_removed_its_orgs_rows_never_arrive(served: Served, scene: Scene, other: Scene) -> None:
    scene.fails()
    other.fails()
    board, owner = served.board(scene.people[0]), served.board(other.people[0])
    assert set(board.chain) == {scene.org.external_id, other.org.external_id}
    Assignment.objects.filter(user=scene.people[0], org=other.org).delete()
    assert set(board.next("beat")["orgs"]) == {scene.org.external_id}
    other.fails(room="r2")
    owner.row(other.alert("r2"))
    scene.fails(room="r3")
    board.row(scene.alert("r3"))
    assert str(other.alert("r2").pk) not in board.seen


def test_a_new_assignment_shows_its_org_without_a_new_socket(served: Served, scene: Scene) -> None:
    new = Scene()
    new.fails()
    board = served.board(scene.people[0])
    AssignmentFactory(org=new.org, role=new.role, user=scene.people[0])
    assert set(board.next("beat")["orgs"]) == {new.org.external_id}
    new.fails(room="r2")
    board.row(new.alert("r2"))


def test_a_socket_older_than_8_hours_has_to_come_again(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "LONGEST_SECONDS", 0)
    assert served.board(scene.people[0]).closed() == wire.AGAIN


# --- who asks for too much -------------------------------------------------------------------------------------------


def test_a_person_has_so_many_sockets_and_no_more(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PER_USER", 2)
    session = session_of(scene.people[0])

    def opened(_: int) -> str:
        try:
            return Board(served.connect(session)).hello["type"]
        except ConnectionClosed as error:
            assert error.rcvd
            return str(error.rcvd.code)

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(opened, range(6))) == ["4429"] * 4 + ["hello"] * 2
    served.board(scene.people[1])
    served.open.close()
    until(lambda: not served.hub.clients)
    served.board(scene.people[0])


def test_an_address_has_so_many_sockets_and_no_more(
    served: Served, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "PER_ADDRESS", 1)
    first = served.board(scene.people[0])
    with pytest.raises(ConnectionClosed) as refused:
        served.board(scene.people[1])
    assert refused.value.rcvd is not None and refused.value.rcvd.code == sockets.TOO_MANY
    served.board(scene.people[1], address="127.0.0.2")
    first.connection.close()
    until(lambda: len(served.hub.clients) == 1)
    served.board(scene.people[1])


def test_a_message_over_64_kib_closes_with_1009(served: Served, scene: Scene) -> None:
    board = served.board(scene.people[0])
    board.connection.send("x" * (64 * 1024 + 1))
    assert board.closed() == 1009
    until(lambda: not served.hub.clients)


def test_a_flood_closes_with_1008(served: Served, scene: Scene) -> None:
    board = served.board(scene.people[0])
    for _ in range(sockets.MESSAGES_A_MINUTE):
        board.connection.send("hello?")
    scene.fails()
    board.row(scene.alert())
    board.connection.send("one more")
    assert board.closed() == sockets.TALKS_TOO_MUCH
