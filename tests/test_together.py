"""Many small requests share a batch, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from console.ingest import together as module
from console.ingest.decode import Refusal
from console.ingest.together import BULKY, HEAVY, Together


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


async def test_those_who_were_answered_together_come_together_again() -> None:
    """Mutation: without GATHER whoever is back first has a group of their own, each time."""
    groups: list[int] = []

    def step(items: Sequence[int]) -> list[int | Refusal]:
        groups.append(len(items))
        return list(items)

    async def come_back(n: int) -> None:
        for _ in range(20):
            await together.run(n)
            for _ in range(n):  # each a little later than the one before
                await asyncio.sleep(0)

    together = Together("test", step, most=10, waiting=10)
    await asyncio.gather(*(come_back(n) for n in range(4)))
    assert sum(groups) == 80
    assert len(groups) < 30
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


class Held:
    """A step that waits until it may go on, and keeps what it was given."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items: Sequence[str]) -> list[str | Refusal]:
        self.groups.append(list(items))
        self.begun.set()
        assert self.go_on.wait(10)
        return list(items)


async def test_senders_take_turns_so_that_a_flood_waits_for_itself() -> None:
    step = Held()
    together = Together("test", step, most=4, waiting=100)
    sent = [asyncio.create_task(together.run("first", sender="loud"))]
    await asyncio.to_thread(step.begun.wait, 10)
    sent += [asyncio.create_task(together.run(f"loud-{n}", sender="loud")) for n in range(8)]
    sent += [asyncio.create_task(together.run(name, sender=name)) for name in ("quiet", "calm")]
    await asyncio.sleep(0)
    step.go_on.set()
    await asyncio.gather(*sent)
    assert step.groups[1] == ["loud-0", "quiet", "calm", "loud-1"]
    assert [item for group in step.groups[2:] for item in group] == [f"loud-{n}" for n in range(2, 8)]
    together.close()


async def test_a_flood_leaves_places_for_others() -> None:
    step = Held()
    together = Together("test", step, most=1, waiting=8)
    sent = [asyncio.create_task(together.run(f"loud-{n}", sender="loud")) for n in range(20)]
    await asyncio.to_thread(step.begun.wait, 10)
    sent.append(asyncio.create_task(together.run("quiet", sender="quiet")))
    await asyncio.sleep(0)
    step.go_on.set()
    answers = await asyncio.gather(*sent, return_exceptions=True)
    assert answers[-1] == "quiet"
    assert [isinstance(answer, Refusal) for answer in answers[:20]].count(False) == 6
    together.close()


async def test_a_group_holds_only_so_many_bytes_and_who_is_larger_goes_alone() -> None:
    step = Held()
    together = Together("test", step, most=10, waiting=100)
    sent = [asyncio.create_task(together.run("first"))]
    await asyncio.to_thread(step.begun.wait, 10)
    sizes = {"a": HEAVY // 2, "b": HEAVY // 2, "c": 1, "huge": 2 * HEAVY, "d": 1}
    sent += [asyncio.create_task(together.run(name, size=size)) for name, size in sizes.items()]
    await asyncio.sleep(0)
    step.go_on.set()
    await asyncio.gather(*sent)
    assert sorted(step.groups) == [["a", "b"], ["c"], ["d"], ["first"], ["huge"]]
    together.close()


async def test_a_second_group_begins_beside_the_first_only_where_much_waits() -> None:
    step = Held()
    together = Together("test", step, most=10, waiting=100)
    sent = [asyncio.create_task(together.run("first"))]
    await asyncio.to_thread(step.begun.wait, 10)
    step.begun.clear()
    sent.append(asyncio.create_task(together.run("small", size=BULKY - 1)))
    await asyncio.sleep(0.05)
    assert step.groups == [["first"]]
    sent.append(asyncio.create_task(together.run("more", size=1)))
    assert await asyncio.to_thread(step.begun.wait, 10)
    assert step.groups == [["first"], ["small", "more"]]
    step.go_on.set()
    await asyncio.gather(*sent)
    together.close()


async def test_who_spoils_a_group_costs_the_others_one_try_and_holds_up_nobody_who_comes_later() -> None:
    calls: list[list[str]] = []
    go_on = threading.Event()

    def step(items: Sequence[str]) -> list[str | Refusal]:
        calls.append(list(items))
        if list(items) == ["bad"]:
            assert go_on.wait(10)
        if "bad" in items:
            raise ValueError("poisoned")
        return list(items)

    together = Together("test", step, most=10, waiting=10)
    good, bad, fine = (asyncio.create_task(together.run(name)) for name in ("good", "bad", "fine"))
    assert await asyncio.gather(good, fine) == ["good", "fine"]
    assert await together.run("later") == "later"
    assert not bad.done()
    go_on.set()
    with pytest.raises(ValueError, match="poisoned"):
        await bad
    assert calls[0] == ["good", "bad", "fine"]
    assert sorted(calls[1:]) == [["bad"], ["fine"], ["good"], ["later"]]
    together.close()


async def test_who_waited_too_long_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Held()
    together = Together("test", step, most=10, waiting=10)
    first = asyncio.create_task(together.run("first"))
    await asyncio.to_thread(step.begun.wait, 10)
    late = asyncio.create_task(together.run("late"))
    await asyncio.sleep(0)
    monkeypatch.setattr(module, "PATIENCE", -1.0)
    step.go_on.set()
    with pytest.raises(Refusal) as refused:
        await late
    assert (refused.value.status, refused.value.retry_after, await first) == (503, 1, "first")
    assert step.groups == [["first"]]
    together.close()


async def test_every_place_is_free_again_whatever_became_of_the_request() -> None:
    def step(items: Sequence[str]) -> list[str | Refusal]:
        if "bad" in items:
            raise ValueError("poisoned")
        return [Refusal(401, "unauthenticated", "no") if item == "no" else item for item in items]

    together = Together("test", step, most=10, waiting=3)
    for _ in range(20):
        sent = [asyncio.create_task(together.run(name)) for name in ("good", "bad", "no")]
        await asyncio.sleep(0)
        sent[0].cancel()
        await asyncio.gather(*sent, return_exceptions=True)
        while together.held:
            await asyncio.sleep(0.001)
    together.close()


async def test_who_sends_little_does_not_wait_for_a_crowd_at_work() -> None:
    groups: list[list[str]] = []
    begun, first, crowd = threading.Event(), threading.Event(), threading.Event()

    def step(items: Sequence[str]) -> list[str | Refusal]:
        groups.append(list(items))
        begun.set()
        holds = {"first": first, "loud-0": crowd}.get(items[0])
        assert holds is None or holds.wait(10)
        return list(items)

    together = Together("test", step, most=32, waiting=100)
    sent = [asyncio.create_task(together.run("first", sender="loud"))]
    await asyncio.to_thread(begun.wait, 10)
    sent += [asyncio.create_task(together.run(f"loud-{n}", sender="loud")) for n in range(30)]
    await asyncio.sleep(0)
    begun.clear()
    first.set()
    await sent[0]
    await asyncio.to_thread(begun.wait, 10)
    late = asyncio.create_task(together.run("late", sender="loud"))
    quiet = [asyncio.create_task(together.run(name, sender=name)) for name in ("quiet", "calm")]
    assert await asyncio.gather(*quiet) == ["quiet", "calm"]
    assert (len(groups[1]), groups[2:], late.done()) == (30, [["quiet", "calm"]], False)
    crowd.set()
    await asyncio.gather(*sent, late)
    assert groups[3:] == [["late"]]
    together.close()


async def test_nobody_passes_a_group_of_many_senders() -> None:
    step = Held()
    together = Together("test", step, most=32, waiting=100)
    sent = [asyncio.create_task(together.run("first"))]
    await asyncio.to_thread(step.begun.wait, 10)
    sent += [asyncio.create_task(together.run(f"one-{n}", sender=n)) for n in range(20)]
    await asyncio.sleep(0.05)
    assert step.groups == [["first"]]
    step.go_on.set()
    await asyncio.gather(*sent)
    assert step.groups[1:] == [[f"one-{n}" for n in range(20)]]
    together.close()


async def test_a_crowd_rests_as_long_as_it_worked_where_others_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: without its rest a flood has the processor, and others take four times as long."""
    now = 0.0
    monkeypatch.setattr(Together, "_now", staticmethod(lambda: now))
    step, crowd = Held(), Held()

    def work(items: Sequence[str]) -> list[str | Refusal]:
        return (crowd if len(items) == 12 else step)(items)

    together = Together("test", work, most=32, waiting=100)

    def send(name: str, sender: str) -> "asyncio.Task[str]":
        return asyncio.create_task(together.run(name, sender=sender))

    first = send("first", "loud")
    await asyncio.to_thread(step.begun.wait, 10)
    sent = [send(f"loud-{n}", "loud") for n in range(12)]
    await asyncio.sleep(0)
    step.go_on.set()
    await asyncio.to_thread(crowd.begun.wait, 10)
    late = send("late", "loud")
    assert await send("quiet", "quiet") == "quiet"
    now = 30.0  # so long did the crowd take
    crowd.go_on.set()
    await asyncio.gather(first, *sent)
    assert await send("calm", "calm") == "calm"  # nobody else rests
    assert not late.done()
    for task in (late, *together._tasks):
        task.cancel()
    together.close()


async def test_a_crowd_among_itself_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(Together, "_now", staticmethod(lambda: now))
    step = Held()
    together = Together("test", step, most=32, waiting=100)
    first = asyncio.create_task(together.run("first", sender="loud"))
    await asyncio.to_thread(step.begun.wait, 10)
    sent = [asyncio.create_task(together.run(f"loud-{n}", sender="loud")) for n in range(40)]
    await asyncio.sleep(0)
    now = 8.0
    step.go_on.set()
    await asyncio.wait_for(asyncio.gather(first, *sent), 30)
    assert [len(group) for group in step.groups] == [1, 32, 8]
    together.close()
