"""Many small requests share a batch, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from console.ingest.decode import Refusal
from console.ingest.together import Together


async def test_what_comes_while_a_batch_is_worked_goes_into_the_next() -> None:
    batches: list[list[int]] = []
    first, go_on = threading.Event(), threading.Event()

    def step(items: Sequence[int]) -> list[int | Refusal]:
        batches.append(list(items))
        first.set()
        go_on.wait(10)
        return [item * 10 for item in items]

    together = Together("test", step, most=3, waiting=100)
    begun = asyncio.create_task(together.run(1))
    await asyncio.to_thread(first.wait, 10)
    rest = [asyncio.create_task(together.run(n)) for n in range(2, 7)]
    await asyncio.sleep(0)
    go_on.set()
    assert await asyncio.gather(begun, *rest) == [10, 20, 30, 40, 50, 60]
    assert batches == [[1], [2, 3, 4], [5, 6]]
    together.close()


async def test_one_refusal_is_that_items_alone() -> None:
    def step(items: Sequence[int]) -> list[int | Refusal]:
        return [Refusal(401, "unauthenticated", "no") if item == 2 else item for item in items]

    together = Together("test", step, most=10, waiting=10)
    answers = await asyncio.gather(*(together.run(n) for n in (1, 2, 3)), return_exceptions=True)
    assert [getattr(answer, "status", answer) for answer in answers] == [1, 401, 3]
    together.close()


async def test_a_batch_that_fails_is_told_to_everybody_in_it_and_the_next_goes_on() -> None:
    calls = 0

    def step(items: Sequence[int]) -> list[int | Refusal]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise Refusal(503, "unavailable", "away", retry_after=2)
        return list(items)

    together = Together("test", step, most=10, waiting=10)
    answers = await asyncio.gather(*(together.run(n) for n in (1, 2)), return_exceptions=True)
    assert [getattr(answer, "status", None) for answer in answers] == [503, 503]
    assert await together.run(3) == 3
    together.close()


async def test_more_than_may_wait_are_refused_at_once() -> None:
    go_on = threading.Event()

    def step(items: Sequence[int]) -> list[int | Refusal]:
        go_on.wait(10)
        return list(items)

    together = Together("test", step, most=1, waiting=2)
    waiting = [asyncio.create_task(together.run(n)) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refusal) as refused:
        await together.run(3)
    assert refused.value.status == 503
    go_on.set()
    assert await asyncio.gather(*waiting) == [0, 1]
    together.close()


async def test_a_sender_that_leaves_holds_up_nobody() -> None:
    go_on = threading.Event()

    def step(items: Sequence[int]) -> list[int | Refusal]:
        go_on.wait(10)
        return list(items)

    together = Together("test", step, most=10, waiting=10)
    leaves, stays = (asyncio.create_task(together.run(n)) for n in (1, 2))
    await asyncio.sleep(0)
    leaves.cancel()
    go_on.set()
    assert await stays == 2
    together.close()
