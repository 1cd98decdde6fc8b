"""The command line of the demo processes: one clear sentence and exit code 2 for a wrong option."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn


class Refused(Exception):
    """What was asked cannot be done; the message is one sentence for the person at the keyboard."""


class Parser(argparse.ArgumentParser):
    """An argparse parser that answers a wrong option with one sentence instead of its whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


def run_guarded(prog: str, run: Callable[[], None]) -> int:
    """Run a command; return its exit code: 0, or 2 with one sentence on stderr where it was `Refused`."""
    try:
        run()
    except Refused as refused:
        sys.stderr.write(f"{prog}: {refused}\n")
        return 2
    return 0


def say(line: str) -> None:
    """One line to stdout, flushed, so that whoever waits for it through a pipe sees it at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
