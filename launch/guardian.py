"""The guardian: a small process that outlives a killed launcher just long enough to end what it started.

It holds the read end of a pipe whose write end only the launcher has, and a share of the instance lock. When
the pipe closes, however that came about, it ends every program on record and lets the lock go.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launch.instance import Instance
from launch.processes import end_all, read_records
from launch.say import say
from launch.supervise import Supervisor
from launch.venv import ROOT

PATIENCE = 3.0
ORPHAN_PATIENCE = 5.0


def main(arguments: list[str]) -> None:
    """Arguments: the descriptor of the pipe, the file of records, and a folder to remove at the end or ''."""
    pipe, records, folder = int(arguments[0]), Path(arguments[1]), arguments[2]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(pipe, 1):
        continue
    end_all(read_records(records), PATIENCE)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def guarded_by(supervisor: Supervisor, instance: Instance, order: Sequence[str], remove: str = "") -> Iterator[None]:
    """While the block runs, a guardian ends all programs should this process be killed.

    At first it ends what an earlier launcher left; at the end it stops the programs in order. The guardian
    shares the instance lock, so the folder is free only when all has ended; it removes the folder `remove`.
    """
    left = end_all(read_records(supervisor.records), ORPHAN_PATIENCE)
    if left:
        say(f"Ended what an earlier start left running: {', '.join(left)}")
    reader, writer = os.pipe()
    guardian = _start_guardian(supervisor, instance, reader, remove)
    try:
        yield
    finally:
        supervisor.stop(order)
        os.close(writer)
        guardian.wait()
        os.close(reader)


def _start_guardian(supervisor: Supervisor, instance: Instance, reader: int, remove: str) -> subprocess.Popen[bytes]:
    shared = (reader, instance.lock_file.fileno()) if instance.lock_file else (reader,)
    with supervisor.log_of("guardian").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "launch.guardian", str(reader), str(supervisor.records), remove],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=shared,
            start_new_session=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
