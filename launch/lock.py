"""bin/lock: lock the requirements again from requirements/*.in, with hashes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from launch.say import LaunchError, Parser, say
from launch.venv import DEV, EMBEDDED, ROOT, RUN, Venv, clean_environment

LOCKS = (("run.in", RUN), ("embedded.in", EMBEDDED), ("dev.in", DEV))
OPTIONS = (
    "--generate-hashes",
    "--universal",
    "--python-version",
    "3.11",
    "--no-header",
    "--no-emit-index-url",
)


def main(arguments: Sequence[str]) -> int:
    """Writes requirements*.txt. Raises LaunchError if a set of requirements cannot be met."""
    parser = Parser(prog="bin/lock", description="Lock requirements/*.in again.", allow_abbrev=False)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions allowed")
    upgrade = ["--upgrade"] if parser.parse_args(arguments).upgrade else []
    venv = Venv()
    venv.ensure([RUN, DEV])
    for source, target in LOCKS:
        command = [str(venv.folder / "bin" / "uv"), "pip", "compile", "-q", *OPTIONS, *upgrade]
        done = subprocess.run(
            [*command, source, "-o", f"../{target}"],
            cwd=ROOT / "requirements",
            env=clean_environment(),
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise LaunchError(f"requirements/{source} could not be locked; {target} is unchanged.")
        say(f"Locked {target}")
    return 0
