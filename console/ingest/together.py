"""The group committer: what comes while a group is worked goes into the next, one transaction for all of it.

A flood of small requests then costs one transaction for many of them and one thread, not every thread of a pool: eight
threads that each wait for the interpreter between two statements would hold up everybody else's requests. Senders take
turns, so that one who sends much waits for himself; while a group of many requests of one sender is at work, what comes
from others is a group of its own beside it, and then the crowd rests as long as it worked. A group that fails is worked
again, each request alone and beside the next groups: who is at fault, or waits for a lock, holds up the others once.
"""

import asyncio
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from console.ingest.decode import Refusal

HEAVY = 256 * 1024  # bytes of a group; who sends more than that goes alone
PATIENCE = 10.0  # seconds that a request may wait: senders give up, and what they send again comes on top
AT_WORK, BULKY = 2, 32 * 1024  # groups at work; the second only where so many bytes wait: small ones are better one
SHARE = 0.75  # of the places, for one sender: a flood finds no place before others do
LITTLE = 8  # requests in a group: who has more there is a crowd, and others do not wait for it
AMONG_OTHERS = 1.0  # seconds since somebody else came, in which a crowd leaves half of the time to others
GATHER = 0.002  # seconds after a group of several, in which those it answered come again: sixteen, not one and fifteen
ALONE = 2  # threads for the requests of groups that failed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Waiting(Generic[T, R]):
    """One request: whose it is, its size in bytes, when it came on the loop's clock, and who waits for its result."""

    item: T
    sender: Hashable
    size: int
    since: float
    future: "asyncio.Future[R]"


class Together(Generic[T, R]):
    """Gathers items for `step`, which gives a result or a Refusal for each, in their order."""

    def __init__(
        self, name: str, step: Callable[[Sequence[T]], Sequence[R | Refusal]], most: int, waiting: int
    ) -> None:
        """`most` items in a group; of more than `waiting` items that are not answered the newest is refused."""
        self._step, self._most, self._waiting = step, most, waiting
        self.held = 0  # requests that are not answered
        self._threads = ThreadPoolExecutor(AT_WORK, thread_name_prefix=name)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix=f"{name}-beside")
        self._alone = ThreadPoolExecutor(ALONE, thread_name_prefix=f"{name}-alone")
        self._queues: OrderedDict[Hashable, deque[Waiting[T, R]]] = OrderedDict()  # by sender, the next one first
        self._bytes = 0  # that wait
        self._working = 0  # groups at work
        self._crowds: Counter[Hashable] = Counter()  # senders of whom a group at work has many requests
        self._passing = False  # a group beside them is at work
        self._others_at = -math.inf  # when somebody else last came while a crowd was at work
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, item: T, sender: Hashable = None, size: int = 0) -> R:
        """The item's result, once its group is through, even if the caller leaves. Raises Refusal, or what it raised.

        `sender`: who takes turns with the others; `size`: bytes.
        """
        if self._crowds and sender not in self._crowds:
            self._others_at = self._now()
        of_sender = len(self._queues.get(sender, ()))
        if self.held >= self._waiting or of_sender >= self._waiting * SHARE:
            raise _overloaded()
        self.held += 1
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        one = Waiting(item, sender, size, self._now(), future)
        self._queues.setdefault(sender, deque()).append(one)
        self._bytes += size
        if not self._working or (self._working < AT_WORK and self._bytes >= BULKY):
            self._working += 1
            self._begin(self._work())
        elif self._crowds and sender not in self._crowds and not self._passing:
            self._passing = True
            self._begin(self._pass())
        return await one.future

    async def _work(self) -> None:
        try:
            while (self._working == 1 or self._bytes >= BULKY) and (group := self._next(self._queues)):
                self._crowds.update(crowd := _crowd(group))
                begun = self._now()
                try:
                    await self._run(group, self._threads)
                    if crowd and self._others_at > begun - AMONG_OTHERS:
                        await asyncio.sleep(self._now() - begun)
                    elif len(group) > 1:
                        await asyncio.sleep(GATHER)
                finally:
                    self._crowds -= Counter(crowd)
        finally:
            self._working -= 1

    async def _pass(self) -> None:
        """Beside a crowd at work: what waits of others, as long as it is little."""
        try:
            while self._crowds and (group := self._next(self._little())):
                await self._run(group, self._beside)
        finally:
            self._passing = False

    def _little(self) -> list[Hashable]:
        """Who has little waiting, and is no crowd."""
        return [one for one, queue in self._queues.items() if one not in self._crowds and len(queue) <= LITTLE]

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        self._tasks.add(task := asyncio.create_task(work))  # a task that nobody holds may vanish
        task.add_done_callback(self._tasks.discard)

    def _next(self, senders: Iterable[Hashable]) -> list[Waiting[T, R]]:
        """The next group: of each sender in turn the oldest, as long as there is room. Who waited too long is told."""
        turns = deque(senders)
        group: list[Waiting[T, R]] = []
        size, latest = 0, self._now() - PATIENCE
        while turns and len(group) < self._most:
            sender = turns.popleft()
            queue = self._queues[sender]
            if group and size + queue[0].size > HEAVY:
                break
            one = queue.popleft()
            self._bytes -= one.size
            self._queues.move_to_end(sender)
            if queue:
                turns.append(sender)
            else:
                del self._queues[sender]
            if one.since < latest:
                self._end(one, _overloaded())
                continue
            group.append(one)
            size += one.size
        return group

    async def _run(self, group: list[Waiting[T, R]], threads: Executor) -> None:
        results: Sequence[R | Exception]
        try:
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(threads, self._step, [one.item for one in group])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, each of them
            if len(group) > 1 and not isinstance(error, Refusal):
                for one in group:
                    self._begin(self._run([one], self._alone))
                return
            results = [error] * len(group)
        for one, result in zip(group, results, strict=True):
            self._end(one, result)

    def _end(self, one: Waiting[T, R], result: R | Exception) -> None:
        self.held -= 1
        if one.future.done():  # its sender left
            return
        if isinstance(result, Exception):
            one.future.set_exception(result)
        else:
            one.future.set_result(result)

    def close(self) -> None:
        """Let what runs end."""
        for threads in (self._threads, self._beside, self._alone):
            threads.shutdown(wait=True)


def _crowd(group: Sequence[Waiting[Any, Any]]) -> set[Hashable]:
    """The senders of whom so much is in the group that nobody else should wait for it."""
    requests = Counter(one.sender for one in group)
    size: Counter[Hashable] = Counter()
    for one in group:
        size[one.sender] += one.size
    return {sender for sender, n in requests.items() if n > LITTLE or size[sender] >= BULKY}


def _overloaded() -> Refusal:
    return Refusal(503, "overloaded", "Too many requests wait. Send this one again.", retry_after=1)
