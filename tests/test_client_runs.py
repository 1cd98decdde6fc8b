"""The Python client's runs and reviews against the real lane, and its shell command."""

import asyncio
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent_live_monitoring import AgentQc, AgentRun, Client, Problem, worker
from runs.items import ReviewItem, RunItem
from tests.ingest_server import Sender, reviews, runs
from tests.lane_double import LaneDouble, Told, failure

MakeClient = Callable[..., Client]
CLIENTS = Path(__file__).resolve().parent.parent / "clients"
COMMON = {"agent_name": "Billing Bot", "input_kind": "faq"}


@pytest.fixture
def problems() -> list[Problem]:
    return []


@pytest.fixture
def client(sender: Sender, make_client: MakeClient, problems: list[Problem]) -> Client:
    return make_client(f"http://127.0.0.1:{sender.port}", sender.key, on_error=problems.append)


def test_a_run_in_two_posts_is_one(client: Client, problems: list[Problem]) -> None:
    run_id = client.log_agent_run_start(**COMMON, surface="chatbot", metadata={"ticket_id": "T-1"})
    client.log_agent_run_end(run_id=run_id, resolution="resolved", tokens_input=812, cost_usd=Decimal("0.00412"))
    assert (client.flush(), problems) == ((2, 0, 0, 0), [])
    (stored,) = runs()
    assert (str(stored.run_id), stored.resolution, str(stored.cost_usd)) == (run_id, "resolved", "0.00412")
    assert stored.ended_at is not None and stored.started_at <= stored.ended_at


def test_a_whole_run_is_one_post(client: Client) -> None:
    began = datetime.now(UTC) - timedelta(seconds=42)
    run_id = client.log_agent_run(**COMMON, run_id=uuid.uuid4(), started_at=began, resolution="escalated")
    assert client.flush().delivered == 1
    assert [(str(one.run_id), one.started_at, one.resolution) for one in runs()] == [(run_id, began, "escalated")]


def test_what_is_within_a_run_ends_it(client: Client) -> None:
    with client.run(**COMMON) as run:
        run.fields["tokens_output"] = 96
    assert client.flush() == (2, 0, 0, 0)
    assert [(str(one.run_id), one.resolution, one.tokens_output) for one in runs()] == [(run.run_id, "resolved", 96)]


def test_an_exception_within_a_run_makes_it_failed_and_goes_on(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), client.run(**COMMON) as run:
        run.fields["resolution"] = "resolved"
        raise ZeroDivisionError
    client.flush()
    assert [one.resolution for one in runs()] == ["failed"]


@pytest.mark.parametrize(("way", "resolution"), [("escalate", "escalated"), ("fail", "failed")])
def test_a_run_says_itself_how_it_ends(client: Client, way: str, resolution: str) -> None:
    with client.run(**COMMON) as run:
        getattr(run, way)(handoff_expected=True)
    client.flush()
    assert [(one.resolution, one.handoff_expected) for one in runs()] == [(resolution, True)]


async def test_a_run_of_a_task_that_is_cancelled_failed(client: Client) -> None:
    async def work() -> None:
        async with client.run(**COMMON):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await client.aflush()
    assert [one.resolution for one in await asyncio.to_thread(runs)] == ["failed"]


def test_a_run_whose_start_was_lost_is_whole_at_its_end(sender: Sender, make_client: MakeClient) -> None:
    client = make_client(f"http://127.0.0.1:{sender.port}", "no.key")
    with client.run(**COMMON) as run:
        assert client.flush().failed == 1
        client._transport._headers["Authorization"] = f"Bearer {sender.key}"
    assert client.flush().delivered == 1
    assert [(str(one.run_id), one.agent.name) for one in runs()] == [(run.run_id, "Billing Bot")]


def test_reviews_arrive_and_a_later_one_of_a_person_replaces_the_earlier(client: Client) -> None:
    run_id = client.log_agent_run_start(**COMMON)
    client.log_agent_qc(run_id=run_id, quality_score=2, reviewer="rina")
    client.flush()
    client.log_agent_qc(run_id=run_id, quality_score=4, reviewer="rina", rubric={"tone": 5})
    client.log_agent_qc(run_id=run_id, quality_score=3)
    assert client.flush() == (2, 0, 0, 0)
    assert sorted(review.quality_score for review in reviews() if not review.replaced_at) == [3, 4]


def test_a_bad_run_fails_alone_and_says_what_is_wrong(client: Client, problems: list[Problem]) -> None:
    client.log_agent_run_start(**COMMON, run_id="no uuid")
    client.log_agent_run_start(**COMMON, colour="red")
    client.log_agent_run_start(**COMMON)
    assert client.flush() == (1, 2, 0, 0)
    assert [(problem.field, problem.kind) for problem in problems] == [("run_id", "agent_run"), ("colour", "agent_run")]


@pytest.mark.parametrize("given", [object(), b"\xff", 7, [], {"deep": object()}])
def test_nothing_that_is_said_of_a_run_raises(make_client: MakeClient, given: Any) -> None:
    client = make_client("http://127.0.0.1:1")
    with client.run(run_id=given, metadata=given, cost_usd=given) as run:
        run.fields = given
    assert isinstance(client.log_agent_run_start(run_id=given), str)
    client.log_agent_qc(run_id=given, quality_score=given, reviewer=given)
    assert client.stats().reported == 4


@pytest.mark.parametrize(("told", "taken"), [(AgentRun, RunItem), (AgentQc, ReviewItem)])
def test_type_checkers_know_the_fields_that_the_lane_takes(told: type, taken: type) -> None:
    fields = {field.name for field in msgspec.structs.fields(taken)}
    assert told.__required_keys__ | told.__optional_keys__ == fields


def test_what_left_the_process_is_counted_each_item_once(double: LaneDouble, make_client: MakeClient) -> None:
    double.scripted = [Told(503, {"Retry-After": "0"})]
    client = make_client(double.url)
    client.report_failure(**failure("e-1"))
    client.flush(20)
    client.report_failure(**failure("e-2", confidence=float("nan")))
    client.log_agent_run_start(**COMMON)
    client.flush(20)
    assert [request.headers["X-Items-Sent"] for request in double.requests] == ["1", "1", "3"]
    assert len({request.headers["X-Client-Id"] for request in double.requests}) == 1


def test_an_item_that_comes_round_again_counts_once(double: LaneDouble, make_client: MakeClient) -> None:
    stumbles = [True]
    double.whole = lambda items: Told(500) if stumbles[0] and items[0]["event_id"] == "e-1" else None
    client = make_client(double.url)
    client.report_failure(**failure("e-1"))
    while client.stats().requests < 5:
        client.flush(0.2)
    stumbles[0] = False
    while client.stats().delivered < 1:
        client.flush(0.2)
    assert {request.headers["X-Items-Sent"] for request in double.requests} == {"1"}


def test_runs_wait_for_company_and_an_alarm_for_nobody(
    double: LaneDouble, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[..., Any]
) -> None:
    """Mutation: a failure waits as runs do; runs go out one by one."""
    monkeypatch.setattr(worker, "COMPANY_SECONDS", 120)
    client = make_client(double.url)
    client.log_agent_run_start(**COMMON)
    wait_for(lambda: client.stats().delivered == 1)
    client.log_agent_run_start(**COMMON)
    client.log_agent_run_start(**COMMON)
    client.report_failure(**failure())
    wait_for(lambda: client.stats().delivered == 4)
    sent = [(request.path, len(request.items)) for request in double.requests]
    assert sent == [("/api/agent-runs", 1), ("/api/failure-events", 1), ("/api/agent-runs", 2)]


# --- the shell command ------------------------------------------------------------------------------------------------


def shell(sender: Sender, *arguments: str, said: str = "", **env: str) -> "subprocess.CompletedProcess[str]":
    """`python -m agent_live_monitoring run --agent Refunds ...`, as an operator has it."""
    named = {"LIVE_MONITORING_URL": f"http://127.0.0.1:{sender.port}", "LIVE_MONITORING_KEY": sender.key}
    command = [sys.executable, "-m", "agent_live_monitoring", "run", "--agent", "Refunds", *arguments]
    environment = {"PYTHONPATH": str(CLIENTS / "python"), "PATH": "/usr/bin:/bin"} | named | env
    return subprocess.run(command, input=said, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_is_a_run_and_ends_as_it_ended(sender: Sender) -> None:
    good = shell(sender, "--step", "Pay out", "--meta", "order_id=O-7", "--", "sh", "-c", "echo paid")
    bad = shell(sender, "--input-kind", "order", "--", "sh", "-c", "exit 7")
    assert [(done.returncode, done.stdout, done.stderr) for done in (good, bad)] == [(0, "paid\n", ""), (7, "", "")]
    first, second = sorted(runs(), key=lambda one: one.started_at)
    assert (first.resolution, first.surface, first.input_kind) == ("resolved", "runbook", "assist")
    assert first.metadata == {"step": "Pay out", "order_id": "O-7", "exit_code": 0}
    assert (second.resolution, second.input_kind, second.metadata) == ("failed", "order", {"exit_code": 7})


@pytest.mark.parametrize(
    ("said", "code", "resolution"),
    [("done\n", 0, "resolved"), ("what\nf\n", 1, "failed"), ("E\n", 3, "escalated"), ("", 1, "failed")],
)
def test_an_operator_is_asked(sender: Sender, said: str, code: int, resolution: str) -> None:
    done = shell(sender, "--step", "The amount is right", "--ask", said=said)
    assert done.returncode == code
    assert done.stderr.startswith("The amount is right: (d)one, (f)ailed or (e)scalated?")
    assert [one.resolution for one in runs()] == [resolution]


def test_what_was_done_elsewhere_is_logged(sender: Sender) -> None:
    done = shell(sender, "--resolution", "resolved", "--started-at", "2026-05-04T10:00:00+07:00")
    assert (done.returncode, [one.resolution for one in runs()]) == (0, ["resolved"])


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"LIVE_MONITORING_KEY": ""}, "key is empty"),
        ({"LIVE_MONITORING_URL": "http://127.0.0.1:1"}, "unreachable"),
        ({"LIVE_MONITORING_KEY": "no.key"}, "unauthenticated"),
    ],
)
def test_a_runbook_goes_on_without_the_service_and_says_so(sender: Sender, env: dict[str, str], said: str) -> None:
    done = shell(sender, "--timeout", "0.2", "--", "sh", "-c", "exit 5", **env)
    assert done.returncode == 5
    assert said in done.stderr


def test_a_command_that_is_not_there_is_127_and_failed(sender: Sender) -> None:
    assert shell(sender, "--", "no-such-command").returncode == 127
    assert [one.resolution for one in runs()] == ["failed"]


def runbook(sender: Sender, said: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """examples/runbook/refund.sh, as an operator has it."""
    named = {"LIVE_MONITORING_URL": f"http://127.0.0.1:{sender.port}", "LIVE_MONITORING_KEY": sender.key}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    environment = {"PYTHONPATH": str(CLIENTS / "python"), "PATH": path} | named | env
    script = str(CLIENTS.parent / "examples" / "runbook" / "refund.sh")
    command = ["bash", script, "1042"]
    return subprocess.run(command, input=said, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_each_step_of_the_example_runbook_is_a_run(sender: Sender) -> None:
    done = runbook(sender, "d\nd\nd\n")
    assert (done.returncode, done.stdout) == (0, "pays out order 1042\nOrder 1042 is refunded.\n")
    stored = sorted(runs(), key=lambda one: one.started_at)
    assert [one.resolution for one in stored] == ["resolved"] * 4
    assert {(one.agent.name, one.surface, one.metadata["order_id"]) for one in stored} == {
        ("Refund runbook", "runbook", "1042")
    }
    assert stored[2].metadata["step"] == "Pay out"


def test_a_runbook_stops_where_a_step_needs_somebody_else(sender: Sender) -> None:
    done = runbook(sender, "d\ne\n")
    assert (done.returncode, done.stdout) == (3, "")
    assert sorted(one.resolution for one in runs()) == ["escalated", "resolved"]
