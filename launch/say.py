"""What the launcher says, and how it fails: one clear sentence and an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn


class LaunchError(Exception):
    """Something the person at the keyboard can mend; the message is one sentence that says how."""


class Stopped(Exception):
    """INT, TERM or HUP asked the launcher to end."""


class Parser(argparse.ArgumentParser):
    """argparse that answers a wrong option with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise LaunchError(f"{self.prog}: {message} (see {self.prog} --help).")


def say(text: str) -> None:
    """Print one line at once; a reader that went away is no reason to stop."""
    try:
        print(text, flush=True)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)


def guarded(main: Callable[[Sequence[str]], int], argv: Sequence[str]) -> int:
    """Run main(arguments); a LaunchError is its sentence and exit code 2, Ctrl-C is 130."""
    _open_standard_streams()
    try:
        return main(argv[1:])
    except LaunchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (KeyboardInterrupt, Stopped):
        return 130


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or nothing if there is none."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def _open_standard_streams() -> None:
    """A closed 0, 1 or 2 would be handed to the next file opened, and children would write into it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")
