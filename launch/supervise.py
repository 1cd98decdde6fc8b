"""Start programs, keep them running, end them in order; one thread, asleep until a signal or a due time."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from launch.processes import Record, end_session, send, started_at, write_records
from launch.say import LaunchError, Stopped, say, tail
from launch.venv import ROOT

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0
STEADY_AFTER = 20.0
LOG_LIMIT = 10 * 1024 * 1024  # bytes of a log, and again of its older part beside it
LOGS_LOOKED_AT = 30.0  # seconds between two looks at the size of the logs
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Program:
    """How one program is started and ended.

    stop: the signal for an orderly end. orphaned: the one it gets when the launcher was killed.
    patience: seconds between `stop` and SIGKILL.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path = ROOT
    become: Callable[[], None] | None = None
    stop: int = signal.SIGTERM
    orphaned: int = signal.SIGTERM
    patience: float = 12.0
    engine: bool = False


@dataclass
class Running:
    """A program with the process that runs it, or the time (monotonic seconds) it is due to start again.

    `once`: somebody waits for its end, so it is not started again. `to_terminal`: it writes no log.
    """

    program: Program
    once: bool = False
    to_terminal: bool = False
    process: subprocess.Popen[bytes] | None = None
    record: Record | None = None
    began: float = 0.0
    deaths: int = 0
    due: float | None = None


class Supervisor:
    """All programs of one instance; their records are on disk for the guardian and the next start."""

    def __init__(self, folder: Path) -> None:
        self.records = folder / "processes.json"
        self.logs = folder / "logs"
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self._running: dict[str, Running] = {}
        self._stopping = False
        self._logs_due = 0.0
        self._wake, self._waker = socket.socketpair()
        for end in (self._wake, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def start(self, program: Program) -> None:
        """Start a program and keep it running until stop()."""
        self._spawn(self._running.setdefault(program.name, Running(program)))

    def run(self, *programs: Program) -> None:
        """Run programs at the same time, each to its end. Raises LaunchError with the sentence of one that fails."""
        for program, code in zip(programs, self._finish(programs), strict=True):
            if code == 2 and (sentence := tail(self.log_of(program.name), 1)):
                raise LaunchError(sentence)
            if code != 0:
                raise self._trouble(program.name, f"failed with exit code {code}")

    def pass_through(self, program: Program) -> int:
        """Run a program on this terminal to its end; INT and TERM are passed on. Gives its exit code."""
        return self._finish([program], to_terminal=True)[0]

    def wait(self, seconds: float) -> None:
        """Sleep until a signal arrives or the time is over, then start again what died. Raises Stopped."""
        now = time.monotonic()
        due = [running.due - now for running in self._running.values() if running.due is not None]
        due.append(LOGS_LOOKED_AT)
        select.select([self._wake], [], [], max(0.0, min([seconds, *due])))
        with suppress(BlockingIOError):
            self._wake.recv(4096)
        if self._stopping:
            raise Stopped
        self._reap()
        for running in self._running.values():
            if running.due is not None and running.due <= time.monotonic():
                self._spawn(running)
        if time.monotonic() >= self._logs_due:
            self._logs_due = time.monotonic() + LOGS_LOOKED_AT
            self._bound_logs()

    def wait_until(self, ready: Callable[[], bool], seconds: float, name: str, every: float = 0.05) -> None:
        """Wait for a program to be ready. Raises LaunchError if it dies three times or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            deaths = self._running[name].deaths
            if deaths >= 3 or time.monotonic() > deadline:
                why = "does not stay up" if deaths >= 3 else f"was not ready within {seconds:.0f} s"
                raise self._trouble(name, why)
            self.wait(every)

    def stop(self, order: Sequence[str]) -> None:
        """End every program, those named first in that order, the others after them newest first."""
        self._stopping = False
        others = [name for name in reversed(self._running) if name not in order]
        for name in [*order, *others]:
            running = self._running.pop(name, None)
            if running:
                self._end(running)
                self._write_records()

    def log_of(self, name: str) -> Path:
        """Where a program's output goes."""
        return self.logs / f"{name}.log"

    def _trouble(self, name: str, why: str) -> LaunchError:
        log = self.log_of(name)
        sys.stderr.write(f"{tail(log)}\n")
        return LaunchError(f"{name} {why}; its whole log is {log}.")

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True

    def _finish(self, programs: Sequence[Program], to_terminal: bool = False) -> list[int]:
        """Start programs and wait for all of them; on the way out none is left. Gives their exit codes."""
        once = [Running(program, once=True, to_terminal=to_terminal) for program in programs]
        try:
            for running in once:
                self._running[running.program.name] = running
                self._spawn(running)
            while any(running.process and running.process.poll() is None for running in once):
                self.wait(1.0)
            return [running.process.returncode if running.process else 1 for running in once]
        finally:
            for running in once:
                self._end(running)
                self._running.pop(running.program.name, None)
            self._write_records()

    def _spawn(self, running: Running) -> None:
        program = running.program
        out = None
        if not running.to_terminal:  # opened to append, as `_bound_logs` needs it
            out = os.open(self.log_of(program.name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        running.due, running.began = None, time.monotonic()
        try:
            process = subprocess.Popen(
                list(program.argv),
                env=dict(program.env),
                cwd=program.cwd,
                stdin=subprocess.DEVNULL if out is not None else None,
                stdout=out,
                stderr=out,
                start_new_session=True,
                preexec_fn=_child_setup(program, os.getpid()),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LaunchError(f"{program.name} cannot be started: {error}.") from error
        finally:
            if out is not None:
                os.close(out)
        running.process = process
        running.record = Record(program.name, process.pid, started_at(process.pid), program.orphaned, program.engine)
        self._write_records()

    def _bound_logs(self) -> None:
        """The last 10 MiB of a log that has grown over that go to NAME.log.1, and it begins anew.

        Who writes keeps its descriptor; a line that is written between the two may be lost.
        """
        for path in self.logs.glob("*.log"):
            if path.stat().st_size <= LOG_LIMIT:
                continue
            older = path.with_suffix(".log.1")
            with suppress(OSError):  # a full disk is no reason to let the log grow
                older.touch(0o600)
                with path.open("rb") as grown, older.open("wb") as kept:
                    grown.seek(-LOG_LIMIT, os.SEEK_END)
                    shutil.copyfileobj(grown, kept)
            os.truncate(path, 0)

    def _reap(self) -> None:
        """Note who died and when to start it again: 0.2 s, doubling to 10 s while it keeps dying."""
        for running in self._running.values():
            process = running.process
            if running.once or process is None or process.poll() is None:
                continue
            if running.record:
                end_session(running.record)
            if time.monotonic() - running.began > STEADY_AFTER:
                running.deaths = 0
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**running.deaths)
            running.deaths += 1
            running.process, running.record, running.due = None, None, time.monotonic() + delay
            self._write_records()
            name, code = running.program.name, process.returncode
            ending = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            say(f"{name} {ending}; starting it again in {delay:.1f} s ({self.log_of(name)})")

    def _end(self, running: Running) -> None:
        process, program = running.process, running.program
        if process is None:
            return
        if process.poll() is None:
            send(process.pid, program.stop)
        try:
            process.wait(program.patience)
        except subprocess.TimeoutExpired:
            say(f"{program.name} did not end within {program.patience:.0f} s and is killed")
            process.kill()
            process.wait()
        if running.record:
            end_session(running.record)

    def _write_records(self) -> None:
        write_records(self.records, [r.record for r in self._running.values() if r.record])


def _child_setup(program: Program, launcher: int) -> Callable[[], None]:
    """What runs in the child before the program: its identity, then the wish to die with the launcher."""

    def setup() -> None:
        if program.become:
            program.become()
        LIBC.prctl(PR_SET_PDEATHSIG, program.orphaned)
        if os.getppid() != launcher:
            os._exit(1)

    return setup
