"""Plays of one history at the same time, each in a process that is forked from this one.

It shares what was read by then, and nothing is copied that is not written. It opens database connections of its own if
it asks anything, for those of this process are not its to use. What it made goes with it: to free a play here took a
sixteenth of the time it was played in, before anybody had the answer, and a worker kept that memory.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, cast

from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from alerts.faults import PASSING, report

SaysHowFar = Callable[[float], None]  # is told how far a play is, 0..1; what it raises ends it
Half = Callable[[SaysHowFar], Any]  # a play, and what it comes to
GARBAGE = 500_000  # objects that are made until it is looked which of them nobody needs


def play_in_turn(halves: Sequence[Half], tick: SaysHowFar) -> list[Any]:
    """What each comes to, one after the other, in this process."""

    def with_those_before(done: int) -> SaysHowFar:
        return lambda x: tick((done + x) / len(halves))

    return [half(with_those_before(done)) for done, half in enumerate(halves)]


def play_apart(halves: Sequence[Half], tick: SaysHowFar, *, nice: int = 0) -> list[Any]:
    """What each comes to, all at the same time, in processes so much nicer than this one. Raises what any raises, and
    what `tick` does, which ends them all; EOFError: one died.
    """
    with ExitStack() as stack:
        so_far = {stack.enter_context(_forked(half, nice)): 0.0 for half in halves}
        answers: dict[Connection, Any] = {}
        while going := [one for one in so_far if one not in answers]:
            for one in cast(list[Connection], wait(going)):
                kind, said = one.recv()
                if kind == "failed":
                    raise said
                if kind == "done":
                    answers[one] = said
                so_far[one] = 1.0 if kind == "done" else said
            tick(min(so_far.values()))
        return [answers[one] for one in so_far]


@contextmanager
def _forked(half: Half, nice: int) -> Iterator[Connection]:
    """A process that plays this half, as what it says; it ends with the interest in it."""
    receiver, sender = Pipe(duplex=False)
    with receiver:
        child = os.fork()
        if not child:
            _be_apart(half, nice, receiver, sender)
        sender.close()
        try:
            yield receiver
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(child, 0)


def _be_apart(play: Half, nice: int, receiver: Connection, sender: Connection) -> None:
    """The forked process: it plays, tells, and ends without a word to anybody else."""
    try:
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        os.nice(nice)
        gc.freeze()  # to look through what is shared would copy it
        receiver.close()  # so that it notices when nobody listens any more
        _leave_connections()
        sender.send(("done", play(lambda x: sender.send(("so far", x)))))
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        if isinstance(error, Exception) and not isinstance(error, (*PASSING, BrokenPipeError)):
            report("play_failed", error)  # only here it is known where
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
    gc.set_threshold(GARBAGE, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
