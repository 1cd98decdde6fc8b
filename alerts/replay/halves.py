"""Two plays of one history at the same time: one here, the other in a process that is forked from this one.

It shares what was read by then, and nothing is copied that is not written. It opens database connections of its own if
it asks anything, for those of this process are not its to use.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

SaysHowFar = Callable[[float], None]  # is told how far a play is, 0..1; what it raises ends it
Half = Callable[[SaysHowFar], Any]  # a play, and what it comes to
GARBAGE = 500_000  # objects that are made until it is looked which of them nobody needs


def play_in_turn(first: Half, second: Half, tick: SaysHowFar) -> tuple[Any, Any]:
    """What both come to, one after the other, in this process."""
    return first(lambda x: tick(x / 2)), second(lambda x: tick((1 + x) / 2))


def play_together(here: Half, beside: Half, tick: SaysHowFar) -> tuple[Any, Any]:
    """What both come to. Raises what either raises, and what `tick` does, which ends both; EOFError: `beside` died."""
    receiver, sender = Pipe(duplex=False)
    with receiver:
        child = os.fork()
        if not child:
            _be_beside(beside, receiver, sender)
        sender.close()
        try:
            other = _Other(receiver, tick)
            mine = here(other.tick)
            return mine, other.wait()
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


class _Other:
    """The play beside this one, as far as it told."""

    def __init__(self, receiver: Connection, tick: SaysHowFar) -> None:
        self._receiver, self._tick = receiver, tick
        self._here = self._there = 0.0
        self._answers: list[Any] = []

    def tick(self, here: float) -> None:
        """This play is so far."""
        self._here = here
        while not self._answers and self._receiver.poll():
            self._hear()
        self._tick((self._here + self._there) / 2)

    def wait(self) -> Any:
        """What it comes to. Raises what it raised; EOFError: it died."""
        self.tick(1.0)
        while not self._answers:
            self._hear()
            self._tick((1 + self._there) / 2)
        return self._answers[0]

    def _hear(self) -> None:
        kind, said = self._receiver.recv()
        if kind == "failed":
            raise said
        if kind == "done":
            self._answers.append(said)
        else:
            self._there = said


def _be_beside(play: Half, receiver: Connection, sender: Connection) -> None:
    """The forked process: it plays, tells, and ends without a word to anybody else."""
    try:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        receiver.close()  # so that it notices when nobody listens any more
        _leave_connections()
        sender.send(("done", play(lambda x: sender.send(("so far", x)))))
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        with suppress(Exception):
            sender.send(("failed", error))
    finally:
        os._exit(0)


_left: list[Any] = []  # kept, for what is forgotten is closed


def _leave_connections() -> None:
    """The connections of the process this one was forked from stay as they are; new ones are made where needed."""
    pools = DatabaseWrapper._connection_pools  # type: ignore[attr-defined] # which its stubs do not know
    _left.extend(pools.values())
    pools.clear()
    for one in connections.all(initialized_only=True):
        _left.append(one)
        del connections[one.alias]


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """A play makes many objects and keeps them: looking through all of them again and again finds nothing."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GARBAGE, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
        gc.collect()
        gc.freeze()  # what the process had loaded before stays out of every collection
