"""What an installation costs while nothing happens: processor and memory of its four processes.

Web, worker, beat and dispatcher on a scratch database with an org and a supervisor. Once each has done everything that
it does now and then, their processor time is read over a minute, and what each holds of the memory (PSS: what several
share counts in parts).

    python -m bench.idle [--small] [--scale N]

Needs DATABASE_URL (a role that may create databases) and REDIS_URL. Exit code 1: a ratio is below half of what was
measured.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psutil

from bench.feed_setup import ROOT, environment, web_process
from bench.table import Measured, tell

WARM, SECONDS = 70, 60  # of these the sweeps that come once a minute take part in both
ALLOWED_SHARE, ALLOWED_MEMORY = 1.0, 400.0  # % of a core, MB
FLOORS = {"processor": 0.25, "memory": 0.45}  # half of the ratio on a busy machine, with what only developers install


def main() -> int:
    """Parse, measure on a scratch database, print; the exit code."""
    parser = argparse.ArgumentParser(prog="bench.idle", description=__doc__.partition("\n")[0])
    parser.add_argument("--small", action="store_true", help="a short run for .ci/run")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="look N times as long")
    options = parser.parse_args()
    os.environ.setdefault("SECRET_KEY", "only-for-this-bench-" + os.urandom(32).hex())
    warm, seconds = (20, 15) if options.small else (WARM, SECONDS)
    with ExitStack() as stack:
        environment(stack)
        make_org()
        web, _ = stack.enter_context(web_process())
        started = {"web": web} | {name: stack.enter_context(run(name)) for name in ("worker", "dispatcher")}
        schedule = str(Path(os.environ["DATA_DIR"], "beat"))
        started["beat"] = stack.enter_context(run("beat", "--schedule", schedule))
        time.sleep(warm)
        before = {name: spent(process) for name, process in started.items()}
        time.sleep(seconds * options.scale)
        shares = {name: (spent(process) - before[name]) / seconds / options.scale for name, process in started.items()}
        memory = {name: held(process) for name, process in started.items()}
    for name in started:
        print(f"{name}: {shares[name]:.2%} of a core, {memory[name]:.0f} MB")
    share, size = sum(shares.values()) * 100, sum(memory.values())
    rows = [
        Measured(
            "processor of an idle instance", f"{share:.2f} % of a core", f"{ALLOWED_SHARE:.0f} % wanted",
            ALLOWED_SHARE / share, 1.0, FLOORS["processor"],
        ),
        Measured(
            "memory of an idle instance", f"{size:.0f} MB (PSS)", f"{ALLOWED_MEMORY:.0f} MB wanted",
            ALLOWED_MEMORY / size, 1.0, FLOORS["memory"],
        ),
    ]  # fmt: skip
    return 0 if tell(rows) else 1


def make_org() -> None:
    """An org with somebody to tell."""
    from django_scopes import scopes_disabled

    from orgs.models import Assignment, Org, SupervisorRole, User

    with scopes_disabled():
        org = Org.objects.create(external_id="idle", name="Idle")
        role = SupervisorRole.objects.create(org=org, name="Team lead")
        Assignment.objects.create(org=org, role=role, user=User.objects.create(sso_id="idle", name="Supervisor"))


@contextmanager
def run(name: str, *words: str) -> Iterator[psutil.Process]:
    """`manage.py` with these words, ended with the block."""
    started = subprocess.Popen([sys.executable, "manage.py", name, *words], cwd=ROOT)
    try:
        yield psutil.Process(started.pid)
    finally:
        started.terminate()
        started.wait(60)


def family(process: psutil.Process) -> list[psutil.Process]:
    """A process and those it started."""
    return [process, *process.children(recursive=True)]


def spent(process: psutil.Process) -> float:
    """Seconds of a processor that they took so far."""
    times = [one.cpu_times() for one in family(process)]
    return sum(one.user + one.system for one in times)


def held(process: psutil.Process) -> float:
    """MB that are theirs, with their part of what they share."""
    return sum(one.memory_full_info().pss for one in family(process)) / 2**20


if __name__ == "__main__":
    sys.exit(main())
