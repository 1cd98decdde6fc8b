"""bin/: what is said and answered when something is missing, taken or wrong."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import launch
from launch import postgres, valkey
from launch.instance import Instance
from launch.manage import needs_no_database
from launch.postgres import Binaries
from launch.say import LaunchError
from launch.testrun import processes, pytest_arguments
from launch.venv import Venv
from tests.launching import ROOT, run

pytestmark = pytest.mark.launcher

UP = ROOT / "bin" / "up"


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done
    said = (done.stdout + done.stderr).strip()
    assert len(said.splitlines()) == 1, said
    assert said.endswith("."), said
    return said


def test_stop_when_nothing_runs_is_no_failure(tmp_path: Path) -> None:
    assert "Nothing runs" in one_sentence(run(UP, "--stop", "--data", str(tmp_path / "none")), 0)
    assert not (tmp_path / "none").exists()


def test_print_env_when_nothing_runs(tmp_path: Path) -> None:
    assert "bin/up" in one_sentence(run(UP, "--print-env", "--data", str(tmp_path)), 2)


@pytest.mark.parametrize(
    "options",
    [["--prot", "1"], ["--port", "0"], ["--port", "70000"], ["--port", "ten"], ["--stop", "--print-env"], ["x"]],
)
def test_a_wrong_option_gets_one_sentence(options: list[str]) -> None:
    assert "bin/up --help" in one_sentence(run(UP, *options), 2)


@pytest.mark.parametrize("command", ["up", "test", "bench", "lock"])
def test_help(command: str) -> None:
    done = run(ROOT / "bin" / command, "--help")
    assert done.returncode == 0
    assert f"bin/{command}" in done.stdout


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        said = one_sentence(run(UP, "--port", port, "--data", str(tmp_path / "run")), 2)
    assert port in said
    assert "--port" in said


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "--data" in one_sentence(run(UP, "--data", str(tmp_path / "file" / "run")), 2)


def test_called_by_a_link_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "li nk").symlink_to(UP)
    done = subprocess.run([tmp_path / "li nk", "--stop", "--data", "d"], cwd=tmp_path, capture_output=True, text=True)
    assert f"{tmp_path}/d" in one_sentence(done, 0)


def test_manage_when_nothing_runs(tmp_path: Path) -> None:
    done = run(ROOT / "bin" / "manage", "migrate", LIVE_DATA=str(tmp_path))
    assert "bin/up" in one_sentence(done, 2)


@pytest.mark.parametrize(
    ("words", "free"),
    [(["check"], True), (["org", "--help"], True), (["makemigrations"], True), ([], True), (["org", "create"], False)],
)
def test_which_commands_need_a_database(words: list[str], free: bool) -> None:
    assert needs_no_database(words) is free


def test_without_chromium_the_suite_says_how_to_get_it() -> None:
    said = one_sentence(run(ROOT / "bin" / "test", CHROMIUM="/no/such/browser"), 2)
    assert "--no-browser" in said
    assert "apt-get install chromium" in said


SHARED_OUT = ["--dist", "loadgroup", "--no-loadscope-reorder"]
ALL = ["-n", str(processes())]


@pytest.mark.parametrize(
    ("wanted", "left_out", "given"),
    [
        ([], [], [*SHARED_OUT, *ALL]),
        (["-k", "x"], [], [*SHARED_OUT, *ALL, "-k", "x"]),
        (["-n", "0"], [], [*SHARED_OUT, "-n", "0"]),
        (["-n4"], [], [*SHARED_OUT, "-n4"]),
        (["-p", "no:xdist"], [], ["-p", "no:xdist"]),
        ([], ["browser"], ["-m", "not browser", *SHARED_OUT, *ALL]),
        ([], ["browser", "ruby"], ["-m", "not browser and not ruby", *SHARED_OUT, *ALL]),
        (["-m", "faults"], ["browser"], [*SHARED_OUT, *ALL, "-m", "(faults) and not browser"]),
    ],
)
def test_what_pytest_is_given(wanted: list[str], left_out: list[str], given: list[str]) -> None:
    assert pytest_arguments(wanted, left_out) == given


def test_an_unknown_benchmark() -> None:
    assert "No benchmark is called nothing" in one_sentence(run(ROOT / "bin" / "bench", "nothing"), 2)


def test_no_postgresql(tmp_path: Path) -> None:
    assert postgres.find(tmp_path, system=tmp_path, path=str(tmp_path)) == []
    with pytest.raises(LaunchError, match=r"apt-get install postgresql\).*DATABASE_URL"):
        postgres.choose(tmp_path, [])


def test_no_valkey(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match=r"apt-get install redis-server\).*REDIS_URL"):
        valkey.find(tmp_path, path=str(tmp_path))


def test_an_old_postgresql_does_not_count(tmp_path: Path) -> None:
    for major in (14, 16):
        folder = tmp_path / str(major) / "bin"
        folder.mkdir(parents=True)
        (folder / "initdb").touch()
        (folder / "postgres").write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {major}.2'\n")
        (folder / "postgres").chmod(0o755)
    found = postgres.find(tmp_path / "none", system=tmp_path, path="")
    assert [(binaries.major, binaries.origin) for binaries in found] == [(16, "system")]


def test_the_version_that_made_the_data_is_chosen(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("15\n")
    available = [Binaries(tmp_path, 18, "18.6", "wheel"), Binaries(tmp_path, 15, "15.9", "system")]
    assert postgres.choose(tmp_path, available).major == 15


def test_data_of_a_version_that_is_not_here(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("13\n")
    with pytest.raises(LaunchError, match=r"PostgreSQL 13 and this machine has 18.*--data.*pg_dump"):
        postgres.choose(tmp_path, [Binaries(tmp_path, 18, "18.6", "wheel")])


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    made = Instance(tmp_path).secret_values()
    assert Instance(tmp_path).secret_values() == made
    assert made["NOTIFICATION_SERVICE_RECEIPT_SECRET"].startswith("whsec_")
    assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_a_long_or_odd_path_puts_the_sockets_elsewhere(tmp_path: Path) -> None:
    for name in ("x" * 90, "with space"):
        folder = tmp_path / name
        folder.mkdir()
        sockets = Instance(folder).sockets()
        assert sockets.parent == Path("/tmp")
        assert sockets.stat().st_mode & 0o066 == 0
        sockets.rmdir()


def test_an_old_python_is_told_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert launch.entry("up") == 2
    assert capsys.readouterr().err == "This needs Python 3.11 or newer, and python3 here is 3.9.\n"


@pytest.fixture(scope="module")
def half_made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose environment was being made when the power went."""
    root = tmp_path_factory.mktemp("checkout")
    (root / "requirements.txt").write_text("")
    (root / ".venv" / "bin").mkdir(parents=True)
    (root / ".venv" / "installing").touch()
    return root


def test_an_environment_is_made_repaired_and_kept(
    half_made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    venv = Venv(half_made)
    venv.ensure(["requirements.txt"])
    assert venv.has("requirements.txt")
    assert "Making the virtual environment" in capsys.readouterr().out

    venv.ensure(["requirements.txt"])
    assert capsys.readouterr().out == ""  # the second time there is nothing to do

    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    (half_made / "requirements.txt").write_text(f"live-nowhere==1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LaunchError, match=r"needs the network.*\.$"):
        venv.ensure(["requirements.txt"])
    assert not venv.has("requirements.txt")


def test_what_shares_something_expensive_runs_in_one_process(request: pytest.FixtureRequest) -> None:
    """Where there are several, pytest-xdist finds a test's group at the end of its id."""
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith("@test_launch")
