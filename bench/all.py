"""Every bench after the other, and one table of what they found, in bench/RESULTS.md too.

    python -m bench.all [NAME ...] [options for each of them]

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

from bench.table import gathered, in_markdown, tell
from launch.bench import benchmarks

ROOT = Path(__file__).resolve().parent.parent


def main(options: list[str]) -> int:
    """Run them one by one; the exit code."""
    failed, known = [], benchmarks()
    wanted = [option for option in options if option in known] or known
    options = [option for option in options if option not in known]
    with tempfile.TemporaryDirectory(prefix="live-bench-") as folder:
        found = Path(folder, "table")
        found.touch()
        for name in wanted:
            print(f"\n--- {name}", flush=True)
            argv = [sys.executable, "-m", f"bench.{name}", *options]
            done = subprocess.run(argv, cwd=ROOT, env=os.environ | {"BENCH_TABLE": str(found)}, check=False)
            failed += [name] if done.returncode else []
        rows = gathered(found)
    print()
    tell(rows)
    Path(ROOT, "bench", "RESULTS.md").write_text(f"# Results\n\n{machine()}\n\n{in_markdown(rows)}", "utf-8")
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
