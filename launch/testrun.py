"""bin/test: the whole suite on engines of its own, in a private folder that is gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from launch import engines
from launch.guardian import guarded_by
from launch.instance import Instance
from launch.say import LaunchError, Stopped, say
from launch.supervise import Program, Supervisor
from launch.venv import Venv, clean_environment

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOT_INHERITED = (
    "DATABASE_URL",
    "DATABASE_REPLICA_URL",
    "REDIS_URL",
    "NOTIFICATION_SERVICE_URL",
    "STANDINS_URL",
    "DEMO",
    "DEBUG",
)
IN_GROUPS = ["--dist", "loadgroup", "--no-loadscope-reorder"]  # the groups and their order: tests/order.py
SLOW = ["browser", "faults", "launcher", "ruby", "node", "slow"]
HELP = """usage: bin/test [--fast] [--no-browser] [pytest arguments ...]

Runs the whole test suite on a PostgreSQL and a Valkey of its own, in three processes for two processors.
--fast is for while one writes: it leaves out browsers, killed processes, the launcher, ruby, node and whatever else
is slow, and tries the fewest generated examples. --no-browser leaves out the tests that need chromium; without ruby or
node those of clients/ruby and clients/typescript are left out. Everything else goes to pytest."""


def main(arguments: Sequence[str]) -> int:
    """The exit code is pytest's; 2 with one sentence if the engines or chromium are missing."""
    if "--help" in arguments or "-h" in arguments:
        say(HELP)
        return 0
    fast = "--fast" in arguments
    wanted = [argument for argument in arguments if argument not in ("--no-browser", "--fast")]
    browser = "" if fast or "--no-browser" in arguments else find_browser()
    left_out = [] if browser else ["browser"]
    if fast:
        wanted, left_out = ["--hypothesis-profile=fast", *wanted], SLOW
    else:
        left_out += without_clients()
    pytest = ["-m", "pytest", *pytest_arguments(wanted, left_out)]
    return run_on_own_engines("pytest", pytest, {"CHROMIUM": browser} if browser else {}, durable=False)


def run_on_own_engines(name: str, arguments: Sequence[str], extra: Mapping[str, str], durable: bool) -> int:
    """Run Python on this terminal with engines and static files of its own; gives its exit code, 130 if stopped."""
    venv = Venv()
    engines.install(venv, {}, dev=True)
    instance = Instance(Path(tempfile.mkdtemp(prefix="live-test-", dir="/tmp")))
    instance.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    instance.acquire()
    supervisor = Supervisor(instance.folder)
    with suppress(Stopped), guarded_by(supervisor, instance, (), remove=str(instance.folder)):
        own = engines.prepare(instance.folder, instance.folder, venv, {}, durable)
        engines.start(own, supervisor)
        env = {**environment(instance.folder, own), **extra}
        collect = [str(venv.python), "manage.py", "collectstatic", "--noinput"]
        supervisor.run(Program("collectstatic", collect, env))
        argv = [str(venv.python), *arguments]
        return supervisor.pass_through(Program(name, argv, env, stop=signal.SIGINT, patience=60.0))
    return 130


def without_clients() -> list[str]:
    """The markers of clients whose language is not installed; says what is left out and how to get it."""
    missing = []
    for marker, program, folder, packages in (
        ("ruby", "ruby", "ruby", "ruby"),
        ("node", "npm", "typescript", "nodejs npm, version 20 or newer"),
    ):
        if not shutil.which(program):
            say(f"No {program} found: the tests of clients/{folder} are left out (Debian: apt-get install {packages}).")
            missing.append(marker)
    return missing


def find_browser() -> str:
    """The path of chromium. Raises LaunchError that says how to get one."""
    named = os.environ.get("CHROMIUM")
    found = next(filter(None, (shutil.which(name) for name in ([named] if named else BROWSERS))), None)
    if found is None:
        raise LaunchError(
            "No chromium found for the browser tests: install it (Debian: apt-get install chromium-headless-shell)"
            " or leave those tests out with --no-browser."
        )
    return found


def processes() -> int:
    """How many test processes: every third one waits for something."""
    return max(2, len(os.sched_getaffinity(0)) * 3 // 2)


def pytest_arguments(wanted: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """As many processes as the caller chose, else `processes()`; the markers left out are added to the caller's."""
    arguments = list(wanted)
    if not any(part in ("no:xdist", "-pno:xdist") for part in arguments):
        if not any(part.startswith("-n") for part in arguments):
            arguments = ["-n", str(processes()), *arguments]
        arguments = [*IN_GROUPS, *arguments]
    if not left_out:
        return arguments
    others = " and ".join(f"not {marker}" for marker in left_out)
    if "-m" in arguments[:-1]:
        place = arguments.index("-m") + 1
        arguments[place] = f"({arguments[place]}) and {others}"
        return arguments
    return ["-m", others, *arguments]


def environment(folder: Path, own: engines.Engines) -> dict[str, str]:
    """What is given to tests and benchmarks: the engines, a folder for data, no outside service."""
    kept = {name: value for name, value in clean_environment().items() if name not in NOT_INHERITED}
    data = folder / "data"
    data.mkdir(mode=0o700)
    return kept | {
        "DATABASE_URL": own.database_url,
        "REDIS_URL": own.redis_url,
        "SECRET_KEY": "only-for-tests-" + "0123456789" * 5,
        "BASE_URL": "http://127.0.0.1:8000",
        "DATA_DIR": str(data),
        "STATIC_COMPRESS": "0",
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }
