"""bin/bench: one benchmark on engines of its own, durable as in production."""

from __future__ import annotations

from collections.abc import Sequence

from launch.say import LaunchError, say
from launch.testrun import run_on_own_engines
from launch.venv import ROOT


def main(arguments: Sequence[str]) -> int:
    """The exit code is the benchmark's: not 0 if it missed its floor. Raises LaunchError for an unknown name."""
    known = [*benchmarks(), "all"]
    if not arguments or arguments[0] in ("-h", "--help"):
        say(f"usage: bin/bench NAME [--small] [options of that benchmark]\n\nNAME: {', '.join(known)}")
        return 0
    name, *rest = arguments
    if name not in known:
        raise LaunchError(f"No benchmark is called {name}: there are {', '.join(known)}.")
    return run_on_own_engines("bench", ["-m", f"bench.{name}", *rest], {}, durable=True)


def benchmarks() -> list[str]:
    """The modules of bench/ that can be run: those with a --small size."""
    return sorted(path.stem for path in (ROOT / "bench").glob("*.py") if '"--small"' in path.read_text("utf-8"))
