"""The Python client and the life of its process: kill -9, fork, exit, and folders that several processes share."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agent_live_monitoring import Client, Problem
from tests.ingest_server import Sender, events
from tests.lane_double import LaneDouble, Told, failure
from tests.stack import until

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "http://127.0.0.1:1"
MakeClient = Callable[..., Client]
Bot = Callable[..., "subprocess.Popen[str]"]

PRELUDE = """
import os, signal, sys, threading
from agent_live_monitoring import Client

def failure(name):
    return dict(event_id=name, signal="agent_error", agent_name="Bot", room_id="r-7", error={"type": "Timeout"})

def client(url, **options):
    return Client(url, os.environ.get("KEY", "k"), **options)

"""


@pytest.fixture
def bot() -> Iterator[Bot]:
    """Run a script in a process of its own; `os.environ` has what is given by name."""
    started: list[subprocess.Popen[str]] = []

    def run(script: str, **env: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + textwrap.dedent(script)],
            env=os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python")} | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def finish(process: "subprocess.Popen[str]", code: int = 0) -> str:
    out, err = process.communicate(timeout=40)
    assert (process.returncode, err) == (code, "")
    return out


def ids(double: LaneDouble) -> list[str]:
    return [item["event_id"] for item in double.items()]


# --- kill -9 ----------------------------------------------------------------------------------------------


def test_what_was_spooled_survives_kill_9_and_is_stored_once(
    sender: Sender, make_client: MakeClient, bot: Bot, tmp_path: Path
) -> None:
    script = """
        monitor = client("http://127.0.0.1:1", spool=os.environ["SPOOL"])
        for number in range(300):
            monitor.report_failure(**failure(f"e-{number}"))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    finish(bot(script, SPOOL=str(tmp_path)), -signal.SIGKILL)
    client = make_client(f"http://127.0.0.1:{sender.port}", sender.key, spool=tmp_path)
    assert client.flush(30) == (300, 0, 0, 0)
    assert [event.event_id for event in events()] == [f"e-{number}" for number in range(300)]
    client.close()
    assert list(tmp_path.iterdir()) == []


def test_killed_while_it_sends_nothing_is_lost(
    double: LaneDouble, make_client: MakeClient, bot: Bot, tmp_path: Path, wait_for: Callable[..., Any]
) -> None:
    script = """
        monitor = client(os.environ["URL"], spool=os.environ["SPOOL"])
        number = 0
        while True:
            monitor.report_failure(**failure(f"e-{number}"))
            number += 1
            print(number, flush=True)
    """
    process = bot(script, SPOOL=str(tmp_path), URL=double.url)
    wait_for(lambda: len(double.requests) > 5)
    process.kill()
    out, _ = process.communicate()
    client = make_client(double.url, spool=tmp_path)
    client.flush(30)
    assert {f"e-{number}" for number in range(len(out.splitlines()))} <= set(ids(double))


def test_a_torn_record_is_skipped(make_client: MakeClient, double: LaneDouble, tmp_path: Path) -> None:
    spooled(make_client, tmp_path, "whole", "torn")
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes()[:-20])
    client = make_client(double.url, spool=tmp_path)
    assert client.flush(20) == (1, 0, 0, 0)
    assert ids(double) == ["whole"]


def test_a_record_that_is_not_what_was_written_is_skipped(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path
) -> None:
    spooled(make_client, tmp_path, "first", "second", "third")
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes().replace(b"second", b"zecond"))
    client = make_client(double.url, spool=tmp_path)
    assert client.flush(20) == (2, 0, 0, 0)
    assert ids(double) == ["first", "third"]


@pytest.mark.parametrize("damage", [b"", b"garbage", b"\0" * 5_000, b"99999999999999999999\n" + b"x" * 100])
def test_a_damaged_segment_harms_nobody(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path, damage: bytes
) -> None:
    (tmp_path / "1-x.spool").write_bytes(damage)
    client = make_client(double.url, spool=tmp_path)
    client.report_failure(**failure("e-1"))
    assert client.flush(20) == (1, 0, 0, 0)
    client.close()
    assert list(tmp_path.iterdir()) == []


# --- The spool --------------------------------------------------------------------------------------------


def spooled(make_client: MakeClient, folder: Path, *names: str) -> None:
    """Leave reports behind, as a process that ended while the service was away."""
    client = make_client(NOWHERE, spool=folder)
    for name in names:
        client.report_failure(**failure(name))
    assert client.close(0.1) == (0, 0, 0, len(names))


def test_what_was_delivered_is_not_sent_again(make_client: MakeClient, double: LaneDouble, tmp_path: Path) -> None:
    client = make_client(double.url, spool=tmp_path)
    client.report_failure(**failure("e-1"))
    client.flush()
    double.whole = lambda items: Told()
    client.report_failure(**failure("e-2"))
    client.close(0.1)
    double.whole = lambda items: None
    double.requests.clear()
    assert make_client(double.url, spool=tmp_path).flush(20).delivered == 1
    assert ids(double) == ["e-2"]


def test_a_long_outage_fits_on_disk_and_is_delivered_in_order(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path
) -> None:
    client = make_client(double.url, spool=tmp_path, max_items=10)
    double.let_go.clear()
    names = [f"e-{number}" for number in range(3_000)]
    for name in names:
        client.report_failure(**failure(name, last_customer_text="x" * 1_000))
    assert len(list(tmp_path.iterdir())) > 2
    double.let_go.set()
    assert client.flush(60) == (3_000, 0, 0, 0)
    assert ids(double) == names
    client.close()
    assert list(tmp_path.iterdir()) == []


def test_the_spool_is_bounded_and_drops_the_oldest(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path, wait_for: Callable[..., Any]
) -> None:
    problems: list[Problem] = []
    client = make_client(double.url, spool=tmp_path, spool_bytes=20_000, on_error=problems.append)
    double.let_go.clear()
    client.report_failure(**failure("first"))
    wait_for(lambda: double.requests)
    for number in range(40):
        client.report_failure(**failure(f"e-{number}", last_customer_text="x" * 1_000))
    dropped = client.stats().dropped
    assert 20 < dropped < 30
    double.let_go.set()
    assert client.flush(20) == (41 - dropped, 0, dropped, 0)
    assert ids(double) == ["first", *(f"e-{number}" for number in range(dropped, 40))]
    assert [problem.item_id for problem in problems] == [f"e-{number}" for number in range(dropped)]


def test_a_folder_that_takes_nothing_is_told_and_memory_serves(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path
) -> None:
    problems: list[Problem] = []
    (tmp_path / "file").touch()
    client = make_client(double.url, spool=tmp_path / "file" / "below", on_error=problems.append)
    for number in range(5):
        client.report_failure(**failure(f"e-{number}"))
    assert client.flush(20) == (5, 0, 0, 0)
    assert [(problem.code, problem.lost) for problem in problems] == [("spool_unavailable", False)]


def no_entry(folder: Path) -> Path:
    """A folder below one that a process without privileges may not enter."""
    folder.mkdir(mode=0o000)
    return folder / "spool"


AS_NOBODY = """
        if os.geteuid() == 0:
            os.setuid(65534)
"""


def test_a_spool_below_a_folder_that_may_not_be_entered_holds_up_nothing_and_is_told_once(
    double: LaneDouble, bot: Bot, open_to_all: Path
) -> None:
    script = (
        AS_NOBODY
        + """
        told = []
        monitor = client(os.environ["URL"], spool=os.environ["SPOOL"], on_error=told.append)
        for number in range(26):
            monitor.report_failure(**failure(f"e-{number}"))
        assert monitor.flush(20) == (26, 0, 0, 0)
        assert [(one.code, one.lost) for one in told] == [("spool_unavailable", False)], told
    """
    )
    finish(bot(script, URL=double.url, SPOOL=str(no_entry(open_to_all / "closed"))))
    assert len(ids(double)) == 26


def test_files_of_others_that_may_not_be_removed_hold_up_nothing(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1-x.spool").write_bytes(b"")
    monkeypatch.setattr(Path, "unlink", refuse)
    client = make_client(double.url, spool=tmp_path)
    client.report_failure(**failure("e-1"))
    assert client.flush(20) == (1, 0, 0, 0)
    client.close()


def refuse(*args: Any, **options: Any) -> None:
    raise PermissionError(13, "Permission denied")


def test_a_file_that_cannot_be_read_any_more_holds_up_nothing(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems: list[Problem] = []
    client = make_client(double.url, spool=tmp_path, on_error=problems.append)
    double.let_go.clear()
    client.report_failure(**failure("e-1"))
    until(lambda: double.requests)
    client.report_failure(**failure("e-2"))
    monkeypatch.setattr(os, "pread", refuse)
    double.let_go.set()
    until(lambda: problems)
    monkeypatch.undo()
    client.report_failure(**failure("e-3"))
    client.flush(20)
    assert ids(double) == ["e-1", "e-3"]
    assert [problem.code for problem in problems] == ["spool_unavailable"]
    client.close()
    assert make_client(double.url, spool=tmp_path).flush(20).delivered >= 1
    assert "e-2" in ids(double)


def test_a_full_disk_tears_nothing(
    make_client: MakeClient, double: LaneDouble, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(double.url, spool=tmp_path)
    double.let_go.clear()
    client.report_failure(**failure("e-1"))
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: write(fd, data[:-10], at))  # all that still fitted
    client.report_failure(**failure("e-2"))
    monkeypatch.undo()
    client.report_failure(**failure("e-3"))
    double.let_go.set()
    assert client.flush(20) == (3, 0, 0, 0)
    assert sorted(ids(double)) == ["e-1", "e-2", "e-3"]


def test_processes_share_a_folder_and_none_takes_what_is_anothers(double: LaneDouble, bot: Bot, tmp_path: Path) -> None:
    script = """
        monitor = client(os.environ["URL"], spool=os.environ["SPOOL"])
        for number in range(100):
            monitor.report_failure(**failure(f"{os.getpid()}-{number}"))
        assert monitor.flush(20).delivered == 100
    """
    for process in [bot(script, SPOOL=str(tmp_path), URL=double.url) for _ in range(4)]:
        finish(process)
    assert len(ids(double)) == len(set(ids(double))) == 400


def test_the_living_adopt_what_a_killed_one_left(
    double: LaneDouble, make_client: MakeClient, bot: Bot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent_live_monitoring.worker.ADOPT_SECONDS", 0.1)
    client = make_client(double.url, spool=tmp_path)
    script = """
        client("http://127.0.0.1:1", spool=os.environ["SPOOL"]).report_failure(**failure("left"))
        print("spooled", flush=True)
        signal.pause()
    """
    process = bot(script, SPOOL=str(tmp_path))
    assert process.stdout is not None
    process.stdout.readline()
    client.report_failure(**failure("own"))
    client.flush()
    assert ids(double) == ["own"]  # its owner lives
    process.kill()
    until(lambda: ids(double) == ["own", "left"])


def test_only_its_owner_may_read_the_spool(make_client: MakeClient, tmp_path: Path) -> None:
    spooled(make_client, tmp_path / "spool", "e-1")
    (segment,) = (tmp_path / "spool").iterdir()
    assert ((tmp_path / "spool").stat().st_mode & 0o777, segment.stat().st_mode & 0o777) == (0o700, 0o600)


# --- fork -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spool", [False, True])
def test_a_fork_sends_nothing_twice_and_both_sides_go_on(
    double: LaneDouble, bot: Bot, tmp_path: Path, spool: bool
) -> None:
    script = """
        options = {"spool": os.environ["SPOOL"]} if "SPOOL" in os.environ else {}
        monitor = client(os.environ["URL"], **options)
        for number in range(50):
            monitor.report_failure(**failure(f"before-{number}"))
        child = os.fork()
        name = "parent" if child else "child"
        assert child or monitor.stats().reported == 0
        for number in range(50):
            monitor.report_failure(**failure(f"{name}-{number}"))
        flushed = monitor.flush(20)
        assert (flushed.delivered, flushed.waiting) == (100 if child else 50, 0), flushed
        if child:
            assert os.waitpid(child, 0)[1] == 0
    """
    finish(bot(script, URL=double.url, **({"SPOOL": str(tmp_path)} if spool else {})))
    assert sorted(ids(double)) == sorted(f"{who}-{n}" for who in ("before", "parent", "child") for n in range(50))
    assert list(tmp_path.iterdir()) == []


def test_a_fork_in_the_middle_of_a_request_stands_nobody_still(
    double: LaneDouble, bot: Bot, wait_for: Callable[..., Any]
) -> None:
    double.let_go.clear()
    script = """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        monitor = client(os.environ["URL"])
        monitor.report_failure(**failure("parent"))
        signal.sigwait([signal.SIGUSR1])
        child = os.fork()
        if not child:
            monitor.report_failure(**failure("child"))
            assert monitor.flush(20).delivered == 1
        else:
            assert os.waitpid(child, 0)[1] == 0
            assert monitor.flush(20).delivered == 1
    """
    process = bot(script, URL=double.url)
    wait_for(lambda: double.requests)
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(double.requests) == 2)
    double.let_go.set()
    finish(process)
    assert sorted(ids(double)) == ["child", "parent"]


# --- The end of the process -------------------------------------------------------------------------------


def test_what_waits_at_the_exit_is_sent(double: LaneDouble, bot: Bot) -> None:
    finish(bot("client(os.environ['URL']).report_failure(**failure('last'))", URL=double.url))
    assert ids(double) == ["last"]


def test_an_exit_with_nobody_there_takes_no_longer_than_told(bot: Bot) -> None:
    began = time.monotonic()
    finish(bot("client('http://127.0.0.1:1', exit_timeout=0.3).report_failure(**failure('last'))"))
    assert time.monotonic() - began < 10


def test_what_is_lost_at_the_exit_is_counted_in_one_line(bot: Bot) -> None:
    script = """
        import logging
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        logging.getLogger("agent_live_monitoring").setLevel(logging.WARNING)
        monitor = client("http://127.0.0.1:1", exit_timeout=0.2)
        for number in range(250):
            monitor.report_failure(**failure(f"e-{number}"))
    """
    lines = finish(bot(script)).splitlines()
    assert [line for line in lines if "closed" in line] == [
        "closed: 250 reports were lost, the client was closed before anybody took them"
    ]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_what_a_child_of_multiprocessing_reports_last_is_sent(
    double: LaneDouble, bot: Bot, tmp_path: Path, method: str
) -> None:
    (tmp_path / "job.py").write_text(
        textwrap.dedent("""
        import os
        from agent_live_monitoring import Client

        monitor = Client(os.environ["URL"], "k")

        def work(name):
            monitor.report_failure(
                event_id=name, signal="agent_error", agent_name="Bot", room_id="r-7", error={"type": "Timeout"}
            )
        """)
    )
    script = """
        import multiprocessing
        if __name__ == "__main__":
            sys.path.insert(0, os.environ["JOBS"])
            import job
            children = multiprocessing.get_context(os.environ["METHOD"])
            child = children.Process(target=job.work, args=("last",))
            child.start()
            child.join(30)
            assert child.exitcode == 0
    """
    finish(bot(script, URL=double.url, JOBS=str(tmp_path), METHOD=method))
    assert ids(double) == ["last"]


def test_a_report_in_a_signal_handler_stands_nobody_still(double: LaneDouble, bot: Bot) -> None:
    script = """
        monitor = client(os.environ["URL"], max_items=100_000)
        signal.signal(signal.SIGALRM, lambda *_: monitor.report_failure(**failure("handler")))
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for number in range(2_000):
            monitor.report_failure(**failure(f"e-{number}"))
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert monitor.flush(30).waiting == 0
    """
    finish(bot(script, URL=double.url))
    assert {f"e-{number}" for number in range(2_000)} < set(ids(double))


# --- as a guest in its process ----------------------------------------------------------------------------


def test_a_flush_of_nothing_returns_at_once_and_two_at_once_end_with_each_event_once(
    double: LaneDouble, make_client: MakeClient
) -> None:
    one = make_client(double.url)
    began = time.monotonic()
    nothing = one.flush(60)
    assert (nothing.delivered, nothing.failed, nothing.dropped) == (0, 0, 0)
    assert time.monotonic() - began < 5
    for n in range(10):
        one.report_failure(**failure(f"e-{n}"))
    with ThreadPoolExecutor(2) as both:
        told = list(both.map(lambda _: one.flush(30), range(2)))
    assert sum(each.delivered for each in told) == 10
    assert sorted(ids(double)) == sorted(f"e-{n}" for n in range(10))


def test_it_leaves_the_signals_of_its_process_as_they_are(bot: Bot, double: LaneDouble) -> None:
    """A handler of a library keeps its host from ending, or ends it."""
    script = """
        before = [signal.getsignal(number) for number in signal.valid_signals()]
        one = client(os.environ["URL"])
        one.report_failure(**failure("e-1"))
        one.flush(10)
        after = [signal.getsignal(number) for number in signal.valid_signals()]
        print(before == after, flush=True)
        signal.pause()
    """
    process = bot(script, URL=double.url)
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    process.terminate()
    assert process.wait(10) == -signal.SIGTERM
