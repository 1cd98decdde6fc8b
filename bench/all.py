"""Every bench after the other, and one table of what they found, in bench/RESULTS.md too.

    python -m bench.all [NAME ...] [--growth] [options for each of them]

`--growth`: each at one, four and sixteen times its size, and a table of how its figures grow, in bench/GROWTH.md.
Needs what they need. Exit code 1: one of them missed a floor or lost something.
"""

import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from bench.table import Measured, gathered, in_markdown, tell
from launch.bench import benchmarks

ROOT = Path(__file__).resolve().parent.parent
SIZES = (1, 4, 16)
ONE_SIZE = ("client", "feed", "kpis")  # the first knows no sizes; the others tell several in one run, by --scale


def main(options: list[str]) -> int:
    """Run them one by one; the exit code."""
    known = benchmarks()
    wanted = [option for option in options if option in known] or known
    options = [option for option in options if option not in known]
    if "--growth" in options:
        options.remove("--growth")
        return growth([name for name in wanted if name not in ONE_SIZE], options)
    failed: list[str] = []
    rows = [row for name in wanted for row in run(name, options, failed)]
    print()
    tell(rows)
    return written("RESULTS.md", "Results", in_markdown(rows), failed)


def growth(names: list[str], options: list[str]) -> int:
    """Run each of these benches in three sizes; the exit code."""
    failed: list[str] = []
    rows = []
    for name in names:
        sizes = [run(name, [*options, "--scale", str(times)], failed) for times in SIZES]
        rows += [(same[0].figure, *(one.value for one in same)) for same in zip(*sizes, strict=False)]
    head = ("figure", *(f"{times}x" for times in SIZES))
    table = "".join(f"| {' | '.join(line)} |\n" for line in (head, ("---",) * len(head), *dict.fromkeys(rows)))
    print(f"\n{table}")
    return written("GROWTH.md", "How the figures grow", table, failed)


def run(name: str, options: list[str], failed: list[str]) -> list[Measured]:
    """What one bench found; its name goes to `failed` if it ended so."""
    print(f"\n--- {name} {' '.join(options)}", flush=True)
    with tempfile.TemporaryDirectory(prefix="live-bench-") as folder:
        found = Path(folder, "table")
        found.touch()
        argv = [sys.executable, "-m", f"bench.{name}", *options]
        done = subprocess.run(argv, cwd=ROOT, env=os.environ | {"BENCH_TABLE": str(found)}, check=False)
        failed += [name] if done.returncode else []
        return gathered(found)


def written(file: str, title: str, table: str, failed: list[str]) -> int:
    """Keep a table beside the benches; the exit code."""
    Path(ROOT, "bench", file).write_text(f"# {title}\n\n{machine()}\n\n{table}", "utf-8")
    if failed:
        print(f"Failed: {', '.join(failed)}")
    return 1 if failed else 0


def machine() -> str:
    """What all this ran on, and when."""
    models = [line for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        database = connection.info.server_version // 10_000
    cores = len(os.sched_getaffinity(0))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {cores} cores of {model}, shared by senders, service and database;"
        f" Python {platform.python_version()}, PostgreSQL {database}."
        " Only ratios of one run count; more is better."
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
