"""One batch at a time: what comes while a batch is worked goes into the next, in one thread of its own.

A flood of small requests then costs one transaction for many of them and one thread, not every thread of the pool:
eight threads that each wait for the interpreter between two statements would hold up everybody else's requests.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from console.ingest.decode import Refusal

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Gathers items for `step`, which gives a result or a Refusal for each, in their order."""

    def __init__(
        self, name: str, step: Callable[[Sequence[T]], Sequence[R | Refusal]], most: int, waiting: int
    ) -> None:
        """`most` items in a batch; of more than `waiting` items the newest is refused."""
        self._step, self._most, self._room = step, most, waiting
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._working: asyncio.Task[None] | None = None

    async def run(self, item: T) -> R:
        """The item's result, once its batch is through, even if the caller leaves. Raises Refusal."""
        if len(self._waiting) >= self._room:
            raise Refusal(503, "overloaded", "Too many requests wait. Send this one again.", retry_after=1)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._batch(batch)
        finally:
            self._working = None

    async def _batch(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        loop = asyncio.get_running_loop()
        results: Sequence[R | Exception]
        try:
            results = await loop.run_in_executor(self._thread, self._step, [item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told, each of them
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():  # its sender left
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def close(self) -> None:
        """Let the batch that runs end."""
        self._thread.shutdown(wait=True)
