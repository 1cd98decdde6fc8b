"""The traffic simulator: a story that can be repeated, sent over HTTP so that nothing of it gets lost."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_live_monitoring import Availability
from alerts.items import ActivityItem, EventItem
from demo.flows import SILENT
from demo.simulator.cast import Demo, Player, choose
from demo.simulator.desk import may_promise
from demo.simulator.main import main
from demo.simulator.runs import RunTraffic
from demo.simulator.story import FAILURE_EVENTS, ROOM_ACTIVITY, SCRIPTS, Scenario, Step, Story
from demo.simulator.wire import Wire
from demo.simulator.words import LINES
from orgs.signals import ROOM_SIGNALS
from runs.items import RunItem
from tests.lane_double import LaneDouble, Told

ROOT = Path(__file__).resolve().parent.parent
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAYERS = (
    Player("melati", "Order Helper", "3.1.4", ("sari", "budi")),
    Player("melati", "Sales Assistant", "4.2.0", ("sari", "budi")),
    Player("cendana", "Billing Bot", "2.9.1", ("ratna",)),
)
SCENARIOS = tuple(SCRIPTS)


def tell(scenario: Scenario = "calm", *, seed: int = 1, rooms: int = 20, steps: int = 2_000) -> list[Step]:
    return tell_by(Story(seed=seed, run="r", players=PLAYERS, rooms=rooms, scenario=scenario), steps)


def tell_by(story: Story, steps: int = 2_000) -> list[Step]:
    return list(islice(story.steps(), steps))


def by_room(steps: list[Step]) -> dict[str, list[Step]]:
    rooms: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        rooms[step.item["room_id"]].append(step)
    return rooms


def signals(steps: list[Step]) -> list[str]:
    return [step.item["signal"] for step in steps if step.path == FAILURE_EVENTS]


# --- The runs ---------------------------------------------------------------------------------------------


def traffic(*, run: str = "r", rate: float = 10) -> RunTraffic:
    return RunTraffic(seed=1, run=run, orgs=["toko-melati", "klinik-anggrek"], rate=rate)


def test_runs_are_drawn_of_the_orgs_named_and_of_no_silent_agent() -> None:
    told = traffic()
    drawn = [told.draw() for _ in range(600)]
    assert {run.item["org_id"] for run in drawn} == {"toko-melati", "klinik-anggrek"}
    assert SILENT.agent not in {run.item["agent_name"] for run in drawn}
    assert not RunTraffic(seed=1, run="r", orgs=["somebody-else"], rate=10)


def test_each_run_is_what_the_contract_takes() -> None:
    told = traffic()
    drawn = [told.draw() for _ in range(2_000)]
    for run in drawn:
        item = msgspec.convert(run.at(NOW), RunItem, strict=False)
        assert (item.ended_at is None) == run.stalls
        assert (item.resolution is None) == run.stalls
    assert 0 < sum(run.stalls for run in drawn) < 20
    assert 0 < len([run.review() for run in drawn if run.score is not None]) < 100


def test_a_run_that_never_ends_arrives_as_its_start(double: LaneDouble) -> None:
    """Mutation: the client fills in an end, and the service refuses a run that ended in nothing."""
    told = traffic()
    drawn = [told.draw() for _ in range(2_000)]
    stalled, whole = next(run for run in drawn if run.stalls), next(run for run in drawn if not run.stalls)
    wire = Wire(double.url, "k")

    async def send() -> None:
        for run in (stalled, whole):
            wire.log(run, NOW)
        assert await wire.settle(lambda: False)
        await wire.close()

    asyncio.run(send())
    items = {item["run_id"]: item for item in double.items("/api/agent-runs")}
    began, ended = items[stalled.item["run_id"]], items[whole.item["run_id"]]
    assert began == stalled.at(NOW)
    assert ended == whole.at(NOW)


def test_another_run_of_the_simulator_draws_other_ids_and_rooms() -> None:
    first, second = ([told.draw().item for _ in range(50)] for told in (traffic(), traffic(run="s")))
    for name in ("run_id", "room_id"):
        assert not {item[name] for item in first} & {item[name] for item in second}


def test_runs_come_at_their_rate_and_a_pause_is_not_made_up_for() -> None:
    told = traffic(rate=20)
    list(told.due(NOW))
    assert 100 < sum(len(list(told.due(NOW + timedelta(seconds=n / 2)))) for n in range(1, 21)) < 300
    assert len(list(told.due(NOW + timedelta(hours=1)))) < 60


# --- The story --------------------------------------------------------------------------------------------


def test_the_same_seed_tells_the_same_story() -> None:
    assert tell(seed=7) == tell(seed=7)


def test_another_seed_tells_another_story() -> None:
    assert tell(seed=7) != tell(seed=8)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_item_is_the_contracts(scenario: Scenario) -> None:
    for step in tell(scenario):
        kind = EventItem if step.path == FAILURE_EVENTS else ActivityItem
        msgspec.convert(json.loads(json.dumps(step.at(NOW))), kind)


def test_every_signal_brings_what_it_needs() -> None:
    events = [step.item for step in tell() if step.path == FAILURE_EVENTS]
    assert {event["signal"] for event in events} == set(LINES)
    assert all(set(ROOM_SIGNALS[event["signal"]].needs) <= set(event) for event in events)


def test_ids_are_unique() -> None:
    ids = [step.item.get("event_id") or step.item["activity_id"] for step in tell()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_room_begins_with_a_failure(scenario: Scenario) -> None:
    assert all(steps[0].path == FAILURE_EVENTS for steps in by_room(tell(scenario)).values())


def test_a_room_stays_with_one_org_and_one_agent() -> None:
    for steps in by_room(tell()).values():
        assert len({step.item["org_id"] for step in steps}) == 1
        assert len({step.item["agent_name"] for step in steps if step.path == FAILURE_EVENTS}) == 1


def test_only_supervisors_of_the_org_act() -> None:
    known = {player.org_id: player.supervisors for player in PLAYERS}
    acts = [step.item for step in tell() if "actor_sso_id" in step.item]
    assert acts
    assert all(act["actor_sso_id"] in known[act["org_id"]] for act in acts)


def test_some_rooms_see_a_human_and_some_nobody() -> None:
    rooms = by_room(tell()).values()
    human = [any("actor_sso_id" in step.item for step in steps) for steps in rooms]
    assert 0.2 < sum(human) / len(human) < 0.8


def test_a_storm_is_one_agent_failing_in_many_rooms() -> None:
    events = [step.item for step in tell("storm", rooms=50, steps=200) if step.path == FAILURE_EVENTS]
    errors = [event for event in events if event["signal"] == "agent_error"]
    worst = max(PLAYERS, key=lambda player: sum(e["agent_name"] == player.agent_name for e in errors))
    of_worst = [event for event in errors if event["agent_name"] == worst.agent_name]
    assert len(of_worst) / len(events) > 0.8
    assert len({event["room_id"] for event in of_worst}) > 30


def test_cap_is_mostly_message_caps() -> None:
    told = signals(tell("cap"))
    assert told.count("message_cap") / len(told) > 0.6


def test_flapping_fails_again_after_the_return() -> None:
    rooms = [steps for steps in by_room(tell("flapping", rooms=3)).values() if len(steps) >= 7]
    for steps in rooms:
        kinds = [step.item.get("kind", "failure") for step in steps[:7]]
        assert kinds == ["failure", "human_message", "returned_to_agent"] * 2 + ["failure"]


def test_the_customer_waits_since_before_the_failure() -> None:
    item = next(step for step in tell() if step.waiting_seconds is not None).at(NOW)
    assert item["customer_waiting_since"] < item["occurred_at"]


# --- Bots that give up ------------------------------------------------------------------------------------


def there(on_duty: int = 1, wait: float | None = None, n: int = 0) -> Availability:
    return Availability(NOW, on_duty, on_duty, wait, n, None)


@pytest.mark.parametrize(
    ("answer", "promises"),
    [
        (None, True),  # nobody knows
        (there(), True),
        (there(0), False),
        (there(wait=120, n=9), True),
        (there(wait=3_000, n=9), False),
        (there(wait=None, n=9), False),  # too often nobody came
        (there(wait=3_000, n=2), True),  # of two conversations nothing follows
        (there(0, wait=120, n=9), False),
    ],
)
def test_a_bot_promises_a_human_where_one_is_there_and_comes_in_time(
    answer: Availability | None, promises: bool
) -> None:
    assert may_promise(answer) is promises


def gives_up(scenario: Scenario) -> Story:
    """Nobody of melati is on duty."""
    return Story(
        seed=5,
        run="r",
        players=PLAYERS,
        rooms=12,
        scenario=scenario,
        who_is_there=lambda player: there(int(player.org_id != "melati")),
    )


def test_bots_of_one_seed_have_the_same_rooms_whatever_they_promise() -> None:
    promising, honest = gives_up("handoff"), gives_up("honest")
    rooms = [
        [(step.item["room_id"], step.item["org_id"]) for step in tell_by(story, 600)] for story in (promising, honest)
    ]
    assert rooms[0] == rooms[1]
    assert promising.handoffs["met"] == honest.handoffs["met"] > 0
    assert promising.handoffs["alone"] == honest.handoffs["kept"] > 0
    assert promising.handoffs["kept"] == honest.handoffs["alone"] == 0


def test_nobody_comes_to_a_room_that_was_handed_to_nobody() -> None:
    for steps in by_room([step for step in tell_by(gives_up("handoff")) if step.item["org_id"] == "melati"]).values():
        assert not {step.item.get("kind") for step in steps} & {"assigned", "human_message", "resolved"}


def test_a_bot_that_asked_keeps_the_room_and_answers() -> None:
    rooms = by_room([step for step in tell_by(gives_up("honest")) if step.item["org_id"] == "melati"]).values()
    told = [[step.item.get("kind") or step.item["signal"] for step in steps] for steps in rooms]
    assert "unexpected_handoff" not in set().union(*told)
    assert ["customer_message", "bot_message"] * 2 in [kinds[-4:] for kinds in told]


# --- Who plays --------------------------------------------------------------------------------------------


def test_agents_are_taken_from_the_orgs_in_turn() -> None:
    chosen = choose(Demo(players=PLAYERS), [], 2)
    assert [player.org_id for player in chosen] == ["melati", "cendana"]


def test_more_agents_than_known_are_invented() -> None:
    chosen = choose(Demo(players=PLAYERS), [], 9)
    assert len({(player.org_id, player.agent_name) for player in chosen}) == 9
    assert set(PLAYERS) <= set(chosen)


def test_only_the_orgs_asked_for_play() -> None:
    assert {player.org_id for player in choose(Demo(players=PLAYERS), ["cendana"], None)} == {"cendana"}


def test_without_any_org_the_key_decides() -> None:
    assert {player.org_id for player in choose(Demo(), [], 3)} == {None}


# --- Over HTTP --------------------------------------------------------------------------------------------


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the simulator with an empty data folder; what still runs at the end is killed."""
    processes: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.simulator", *arguments],
            cwd=ROOT,
            env=os.environ | {"DATA_DIR": str(tmp_path), "BASE_URL": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def test_stops_after_so_many_failure_events(double: LaneDouble, start: Start) -> None:
    code, _, _ = finish(start("--base-url", double.url, "--key", "k", "--rate", "500", "--count", "120"))
    assert code == 0
    assert len(double.items()) == 120


def test_sends_its_key_as_a_bearer(double: LaneDouble, start: Start) -> None:
    finish(start("--base-url", double.url, "--key", "pre.secret", "--rate", "500", "--count", "5"))
    assert {request.headers["Authorization"] for request in double.requests} == {"Bearer pre.secret"}


def test_sends_room_activity_too(double: LaneDouble, start: Start) -> None:
    finish(start("--base-url", double.url, "--key", "k", "--rate", "500", "--rooms", "5", "--count", "100"))
    assert double.items(ROOM_ACTIVITY)


def test_a_rooms_steps_arrive_in_the_order_of_the_story(double: LaneDouble, start: Start) -> None:
    finish(start("--base-url", double.url, "--key", "k", "--rate", "1000", "--rooms", "3", "--count", "200"))
    told: dict[str, list[int]] = defaultdict(list)
    for request in double.requests:
        for item in request.items:
            name = item.get("event_id") or item["activity_id"]
            told[item["room_id"]].append(int(name.rpartition("-")[2]))
    assert len(told) > 3
    assert all(numbers == sorted(numbers) for numbers in told.values())


def test_fast_traffic_is_batches(double: LaneDouble, start: Start) -> None:
    finish(start("--base-url", double.url, "--key", "k", "--rate", "1000", "--count", "300"))
    assert max(len(request.items) for request in double.requests) > 10


def test_a_busy_service_gets_the_same_bytes_again(double: LaneDouble, start: Start) -> None:
    double.scripted = [Told(503, {"Retry-After": "0"}), Told(429, {"Retry-After": "0"})]
    code, _, _ = finish(start("--base-url", double.url, "--key", "k", "--rate", "4", "--count", "1"))
    assert code == 0
    assert len({request.raw for request in double.requests[:3]}) == 1


def test_waits_as_long_as_retry_after_asks(double: LaneDouble, start: Start) -> None:
    double.scripted = [Told(429, {"Retry-After": "1"})]
    began = time.monotonic()
    finish(start("--base-url", double.url, "--key", "k", "--rate", "50", "--count", "1"))
    assert time.monotonic() - began >= 1.0


def test_survives_a_service_that_is_away(start: Start, wait_for: Callable[..., Any]) -> None:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        port = kept.getsockname()[1]
    process = start("--base-url", f"http://127.0.0.1:{port}", "--key", "k", "--rate", "50", "--count", "1")
    assert process.stdout is not None
    assert "again" in process.stdout.readline()
    late = LaneDouble(port)
    try:
        assert finish(process)[0] == 0
        assert len(late.items()) == 1
    finally:
        late.stop()


def test_ends_cleanly_on_term(double: LaneDouble, start: Start, wait_for: Callable[..., Any]) -> None:
    process = start("--base-url", double.url, "--key", "k", "--rate", "20")
    wait_for(lambda: double.requests, 15)
    process.send_signal(signal.SIGTERM)
    code, out, err = finish(process)
    assert (code, err) == (0, "")
    assert "Ended." in out


def test_ends_on_term_while_the_service_is_away(start: Start) -> None:
    process = start("--base-url", "http://127.0.0.1:1", "--key", "k")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 0


def test_plays_the_demos_orgs_with_the_demos_key(double: LaneDouble, start: Start, tmp_path: Path) -> None:
    demo = {
        "source_key": "demo.key",
        "orgs": [
            {
                "external_id": "melati",
                "name": "Toko Melati",
                "agents": [{"name": "Order Helper", "version": "3.1.4"}],
                "supervisors": ["sari"],
            }
        ],
        "logins": [],
    }
    (tmp_path / "demo.json").write_text(json.dumps(demo))
    finish(start("--base-url", double.url, "--rate", "500", "--count", "20"))
    assert {(item["org_id"], item["agent_name"]) for item in double.items()} == {("melati", "Order Helper")}
    assert {request.headers["Authorization"] for request in double.requests} == {"Bearer demo.key"}


# --- One clear sentence and exit code 2 -------------------------------------------------------------------


def refused(process: subprocess.Popen[str], *words: str) -> None:
    code, _, err = finish(process)
    is_one_sentence(code, err, *words)


def is_one_sentence(code: object, err: str, *words: str) -> None:
    assert code == 2, err
    assert len(err.splitlines()) == 1
    for word in words:
        assert word in err


@pytest.fixture
def refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """What is refused before anything is sent needs no process of its own; its words are in the one sentence."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("BASE_URL", "")

    def check(arguments: Sequence[str], *words: str) -> None:
        try:
            code: object = main(list(arguments))
        except SystemExit as ended:
            code = ended.code
        is_one_sentence(code, capsys.readouterr().err, *words)

    return check


@pytest.mark.parametrize(
    "option",
    [
        ("--rate", "0"),
        ("--rate", "nan"),
        ("--rooms", "0"),
        ("--agents", "-1"),
        ("--count", "x"),
        ("--scenario", "chaos"),
        ("--base-url", "ftp://somewhere"),
        ("--base-url", "http://host:port"),
        ("--key", "two\nlines"),
    ],
)
def test_a_wrong_option_is_refused(refuses: Callable[..., None], option: tuple[str, str]) -> None:
    refuses(["--base-url", "http://127.0.0.1:1", "--key", "k", *option])


def test_no_key_is_refused(refuses: Callable[..., None]) -> None:
    refuses(["--base-url", "http://127.0.0.1:1"], "--key", "demo.json")


def test_an_empty_key_is_refused_and_not_the_demos_taken(refuses: Callable[..., None], tmp_path: Path) -> None:
    """Mutation: the key of a command that failed is empty, and the demo's orgs hear of it."""
    (tmp_path / "demo.json").write_text(json.dumps({"source_key": "demo.key", "orgs": [], "logins": []}))
    refuses(["--base-url", "http://127.0.0.1:1", "--key", ""], "--key is empty")


def test_a_damaged_demo_file_is_refused(refuses: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "demo.json").write_text('{"orgs": [{}]}')
    refuses(["--base-url", "http://127.0.0.1:1"], "demo.json")


@pytest.mark.parametrize(("status", "word"), [(401, "key"), (403, "scope"), (404, "--base-url")])
def test_what_trying_again_cannot_help_is_refused(double: LaneDouble, start: Start, status: int, word: str) -> None:
    double.scripted = [Told(status)]
    refused(start("--base-url", double.url, "--key", "k", "--rate", "50"), word)


def test_manage_py_runs_the_same_command() -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "simulate", "--rate", "none"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1)
