"""bin/ with real engines and real processes: start, stop, kill, recover."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from launch.testrun import processes
from tests.launching import PATIENCE, ROOT, Up, has_ended, living, make_checkout, run, short_folder, wait_for

pytestmark = pytest.mark.launcher

SERVICES = {"web", "worker", "beat", "dispatcher", "standins", "simulator", "postgres", "valkey"}


@pytest.fixture(scope="module")
def checkout() -> Iterator[Path]:
    with short_folder() as folder:
        yield make_checkout(folder / "co")


@pytest.fixture(scope="module")
def running(checkout: Path) -> Iterator[Up]:
    up = Up(checkout).until_live()
    yield up
    up.stop()


@pytest.fixture
def fresh() -> Iterator[Path]:
    """A checkout whose processes may be killed: none of them is left afterwards."""
    with short_folder() as folder:
        yield make_checkout(folder / "co")
        run(folder / "co" / "bin" / "up", "--stop")
        assert living(folder) == []


def printed(up: Up) -> dict[str, str]:
    lines = run(up.checkout / "bin" / "up", "--print-env").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_all_run_and_the_log_ins_are_told(running: Up) -> None:
    assert set(running.records()) == SERVICES
    assert f"Live board: http://127.0.0.1:{running.port}" in running.said()
    assert "sari@example.com" in running.said()


def test_a_second_start_says_where_it_runs(running: Up) -> None:
    done = run(running.checkout / "bin" / "up", "--port", "1")
    assert (done.returncode, done.stdout) == (0, f"It is already running at http://127.0.0.1:{running.port}\n")


def test_print_env(running: Up) -> None:
    values = printed(running)
    assert list(values) == [
        "BASE_URL",
        "STANDINS_URL",
        "NOTIFICATION_SERVICE_CLIENT_ID",
        "NOTIFICATION_SERVICE_CLIENT_SECRET",
        "NOTIFICATION_SERVICE_RECEIPT_SECRET",
        "DATABASE_URL",
        "REDIS_URL",
    ]
    assert all(values.values())


def test_the_engines_answer_at_the_printed_urls(running: Up) -> None:
    values = printed(running)
    with psycopg.connect(values["DATABASE_URL"]) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)
    with redis.from_url(values["REDIS_URL"]) as client:
        assert client.ping()


def test_the_database_logs_no_word_of_what_it_refuses(running: Up) -> None:
    with psycopg.connect(printed(running)["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE words (word text PRIMARY KEY)")
        connection.execute("INSERT INTO words VALUES ('canary')")
        with pytest.raises(psycopg.errors.UniqueViolation, match="canary"):
            connection.execute("INSERT INTO words VALUES ('canary')")
        connection.execute("DROP TABLE words")
    log = running.data / "logs" / "postgres.log"
    wait_for(lambda: "duplicate key" in log.read_text(), "the error in the log")
    assert "canary" not in log.read_text()


def test_manage_runs_in_the_running_instance(running: Up) -> None:
    done = run(running.checkout / "bin" / "manage", "show", "DATABASE_URL")
    assert done.stdout.strip() == printed(running)["DATABASE_URL"]


def test_secrets_and_engine_folders_are_private(running: Up) -> None:
    for name in ("env.json", "secrets.json"):
        assert stat.S_IMODE((running.data / name).stat().st_mode) == 0o600
    for name in ("postgres", "valkey", "logs"):
        assert stat.S_IMODE((running.data / name).stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["web", "worker", "postgres", "valkey"])
def test_what_dies_is_started_again(running: Up, name: str) -> None:
    before = running.records()[name]
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: name in running.records() and running.records()[name].pid != before.pid, f"another {name}")
    assert f"{name} was ended by signal 9; starting it again in" in running.said()
    values = printed(running)
    wait_for(lambda: answer(values), "engines that answer again, for the next test")


def answer(values: dict[str, str]) -> bool:
    """Whether both engines take a connection."""
    try:
        psycopg.connect(values["DATABASE_URL"]).close()
        with redis.from_url(values["REDIS_URL"]) as client:
            return bool(client.ping())
    except (psycopg.OperationalError, redis.RedisError):
        return False


def test_term_ends_all_in_order(fresh: Path) -> None:
    up = Up(fresh).until_live()
    records = up.records()
    assert up.stop() == 0
    assert all(has_ended(record) for record in records.values())
    assert living(fresh) == []
    assert "is killed" not in up.said()


def test_without_the_demo_it_says_how_to_log_in_and_stop_waits_until_all_has_ended(fresh: Path) -> None:
    up = Up(fresh, "--no-demo").until_live()
    assert "a stand-in takes them, no phone rings" in up.said()
    assert "bin/manage user invite --specialist --sso-id ID --email MAIL" in up.said()
    assert json.loads((up.data / "env.json").read_text())["NOTIFICATION_SERVICE_IS_STANDIN"] == "1"
    assert "simulator" not in up.records()
    assert run(fresh / "bin" / "up", "--stop").returncode == 0
    assert living(fresh) == []
    assert up.process.wait(PATIENCE) == 0


def test_after_kill_9_nothing_is_left_and_the_next_start_recovers(fresh: Path) -> None:
    up = Up(fresh).until_live()
    with psycopg.connect(printed(up)["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    up.process.kill()
    up.process.wait()
    wait_for(lambda: not living(fresh), "all processes gone")
    up = Up(fresh).until_live()
    with psycopg.connect(printed(up)["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_kill_9_of_guardian_and_launcher(fresh: Path) -> None:
    up = Up(fresh).until_live()
    worker = up.records()["worker"]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        if b"launch.guardian" in (words := entry.read_bytes()) and str(fresh).encode() in words:
            os.kill(int(entry.parent.name), signal.SIGKILL)
    up.process.kill()
    up.process.wait()
    wait_for(lambda: has_ended(worker), "worker gone with its launcher")
    up = Up(fresh).until_live()
    assert "Ended what an earlier start left running: worker" in up.said()


def test_an_engine_that_outlived_everything_is_ended_first(fresh: Path) -> None:
    up = Up(fresh).until_live()
    orphan = up.records()["postgres"]
    assert up.stop() == 0
    lock = fresh / ".run" / "postgres" / "data" / "postmaster.pid"
    assert has_ended(orphan)
    assert not lock.exists()
    # A lock file whose process id has meanwhile gone to somebody else, and a socket that nobody listens on.
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n")
    (fresh / ".run" / "valkey" / "valkey.sock").write_text("")
    Up(fresh).until_live()


def test_a_data_folder_of_another_major_version(fresh: Path) -> None:
    data = fresh / ".run" / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    up = Up(fresh)
    assert up.process.wait(30) == 2
    assert "made by PostgreSQL 9 and this machine has" in up.said()
    assert len(up.said().splitlines()) == 1


def test_a_long_path_with_spaces(tmp_path: Path) -> None:
    checkout = make_checkout(tmp_path / ("long and with spaces " * 4).strip())
    up = Up(checkout).until_live()
    values = printed(up)
    assert values["DATABASE_URL"].startswith("postgresql://live@/live?host=%2Ftmp%2Flive-")
    sockets = Path(values["REDIS_URL"].removeprefix("unix://")).parent.parent
    with psycopg.connect(values["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert up.stop() == 0
    assert not sockets.exists()


def test_given_engines_are_used(running: Up, fresh: Path) -> None:
    values = printed(running)
    up = Up(fresh, DATABASE_URL=values["DATABASE_URL"], REDIS_URL=values["REDIS_URL"]).until_live()
    assert set(up.records()) == SERVICES - {"postgres", "valkey"}
    assert up.stop() == 0


def test_a_given_notification_service_replaces_the_stand_in(fresh: Path) -> None:
    up = Up(fresh, "--no-demo", NOTIFICATION_SERVICE_URL="https://push.example.com").until_live()
    assert set(up.records()) == SERVICES - {"standins", "simulator"}
    assert printed(up)["STANDINS_URL"] == "" and "stand-in" not in up.said()
    assert up.stop() == 0


GROWING = """
import signal, sys
print("a" * 700 + "b" * 1000, flush=True)
open(sys.argv[1]).read()
print("later", flush=True)
signal.pause()
"""
BOUNDED = """
import os, sys
from pathlib import Path
from launch import supervise
supervise.LOG_LIMIT, supervise.LOGS_LOOKED_AT = 1001, 0.0
folder, more = Path(sys.argv[1]), Path(sys.argv[2])
os.mkfifo(more)
supervisor = supervise.Supervisor(folder)
supervisor.start(supervise.Program("chatty", [sys.executable, "-c", sys.argv[3], str(more)], {}))
log, older = folder / "logs" / "chatty.log", folder / "logs" / "chatty.log.1"
while not older.exists() or log.stat().st_size:
    supervisor.wait(0.05)
more.write_text("")
while not log.stat().st_size:
    supervisor.wait(0.05)
print(older.read_text().strip() == "b" * 1000, log.read_text().strip(), oct(older.stat().st_mode & 0o777))
supervisor.stop(())
"""


def test_a_log_is_bounded_while_its_process_writes(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", BOUNDED, str(tmp_path), str(tmp_path / "more"), GROWING]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True later 0o600\n", "")


def test_a_program_that_says_why_it_does_not_start(fresh: Path) -> None:
    (fresh / "manage.py").write_text("import sys\nsys.stderr.write('It is Monday.\\n')\nsys.exit(2)\n")
    up = Up(fresh)
    assert up.process.wait(30) == 2
    assert up.said().splitlines()[-1] == "It is Monday." and "whole log" not in up.said()


def test_a_program_that_does_not_start(fresh: Path) -> None:
    (fresh / "manage.py").write_text("raise SystemExit('the schema is wrong')\n")
    up = Up(fresh)
    assert up.process.wait(30) == 2
    assert "the schema is wrong" in up.said()
    assert "migrate.log" in up.said().splitlines()[-1]


def test_the_suite_runs_on_engines_of_its_own(fresh: Path) -> None:
    done = run(fresh / "bin" / "test", "--no-browser", "-k", "x")
    assert done.returncode == 3
    shared_out = f"--dist loadgroup --no-loadscope-reorder -n {processes()}"
    assert f"-m not browser {shared_out} -k x postgresql://live@/live?host=%2Ftmp%2Flive-test-" in done.stdout


def test_the_fast_suite_leaves_out_what_is_slow(fresh: Path) -> None:
    done = run(fresh / "bin" / "test", "--fast", "-m", "django_db", CHROMIUM="/no/such/browser")
    assert done.returncode == 3
    left_out = "not browser and not faults and not launcher and not ruby and not node and not slow"
    assert f"--hypothesis-profile=fast -m (django_db) and {left_out}" in done.stdout


def test_kill_9_of_the_suite_leaves_nothing(fresh: Path) -> None:
    output = fresh / "output"
    with output.open("wb") as out:
        suite = subprocess.Popen([fresh / "bin" / "test", "--no-browser", "hang"], stdout=out)
    wait_for(lambda: b"hang" in output.read_bytes(), "pytest started")
    folder = Path("/tmp") / output.read_text().split("%2F")[-2]
    assert folder.is_dir()
    suite.kill()
    suite.wait()
    wait_for(lambda: not folder.exists() and not living(folder) and not living(fresh), "all gone")
