"""`manage.py simulate` and `python -m demo.simulator`: options, pace and progress."""

import argparse
import asyncio
import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import get_args
from urllib.parse import urlsplit

from demo.commandline import Parser, Refused, run_guarded, say
from demo.simulator.cast import choose, read_demo
from demo.simulator.chat import Chat
from demo.simulator.runs import RunTraffic
from demo.simulator.story import FAILURE_EVENTS, Scenario, Step, Story
from demo.simulator.wire import Wire

HELP = "Send conversations that fail over HTTP, the way any chatbot back end would."
PROG = "simulate"
SCENARIOS = "in handoff bots promise a human to everybody, in honest they ask first who is there (default %(default)s)"
TICK_SECONDS = 0.1
PROGRESS_SECONDS = 10.0
RUNS_SECONDS = 0.5  # how often runs that ended are told
BEHIND_AT_MOST_SECONDS = 1.0
EVENTS_AT_ONCE = 200  # with their room activity well below what the client queues


def main(argv: list[str]) -> int:
    """Parse, run until INT, TERM or --count, return the exit code (2 = refused, one sentence on stderr)."""
    parser = Parser(prog=PROG, description=HELP)
    parser.add_argument("--rate", type=_rate, default=0.5, help="failure events a second (default %(default)s)")
    parser.add_argument("--runs", type=_rate, help="runs a second of the demo's agents (default: none)")
    parser.add_argument("--rooms", type=_whole, default=40, help="rooms alive at a time (default %(default)s)")
    parser.add_argument("--agents", type=_whole, help="how many agents play (default: all of the demo)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story")
    parser.add_argument("--scenario", choices=get_args(Scenario), default="calm", help=SCENARIOS)
    parser.add_argument("--base-url", metavar="URL", help="the service (default $BASE_URL)")
    parser.add_argument("--key", help="API key with the scope ingest (default: the demo's)")
    parser.add_argument("--org", action="append", default=[], metavar="EXT_ID", help="only these orgs")
    parser.add_argument("--count", type=_whole, help="stop after this many failure events")
    options = parser.parse_args(argv)
    return run_guarded(PROG, lambda: asyncio.run(_play(options)))


async def _play(options: argparse.Namespace) -> None:
    base_url = _base_url(options.base_url or os.environ.get("BASE_URL", ""))
    demo_file = Path(os.environ.get("DATA_DIR", ".run")) / "demo.json"
    demo = read_demo(demo_file)
    key = demo.source_key if options.key is None else options.key
    if not key:
        empty = "--key is empty." if options.key is not None else f"{demo_file} has none."
        raise Refused(f"No API key: give --key, or set the demo up first. {empty}")
    run = f"{int(time.time()):x}{os.urandom(2).hex()}"
    wire, chat = Wire(base_url, key), Chat(base_url)
    story = Story(
        seed=options.seed,
        run=run,
        players=choose(demo, options.org, options.agents),
        rooms=options.rooms,
        scenario=options.scenario,
        who_is_there=wire.who_is_there,
    )
    runs = RunTraffic(seed=options.seed, run=run, orgs=options.org or demo.orgs, rate=options.runs or 0)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        whole = await Simulation(story, runs, wire, chat, stop, options.rate, options.count, options.seed).run()
    finally:
        await wire.close()
    if not whole:
        say("Stopped while the service was away.")
    say(f"Ended. {summary(wire, chat)}")
    if gave_up := story.handoffs:
        say(f"Bots gave up in {gave_up.total():,} rooms: {outcomes(gave_up)}.")


class Simulation:
    """Sends the story at a pace. While the service is away it waits, and does not catch up afterwards."""

    def __init__(
        self,
        story: Story,
        runs: RunTraffic,
        wire: Wire,
        chat: Chat,
        stop: asyncio.Event,
        rate: float,
        count: int | None,
        seed: int,
    ) -> None:
        """`rate` in failure events a second; room activity comes on top, as the story has it, and the runs."""
        self._steps = story.steps()
        self._runs = runs
        self._wire = wire
        self._chat = chat
        self._stop = stop
        self._rate = rate
        self._left = math.inf if count is None else count
        self._pace = Random(seed)  # noqa: S311 - apart from the story's, which must not hang on the clock
        self._due = time.monotonic()
        self._said = time.monotonic()

    async def run(self) -> bool:
        """Until stopped or out of events: False if what was sent last got no answer. Raises `Refused`."""
        answered = True
        while answered and self._left > 0 and not self._stop.is_set():
            told = []
            for step, moment in self._due_steps():
                if step.by_webhook:
                    told.append((step.path, step.at(moment)))
                else:
                    self._wire.send(step, moment)
            for run, ended in self._runs.due(datetime.now(UTC)):
                self._wire.log(run, ended)
            answered = await self._wire.settle(self._stop.is_set)
            if answered:
                await self._chat.post(told)
            if time.monotonic() - self._said >= PROGRESS_SECONDS:
                self._said = time.monotonic()
                say(summary(self._wire, self._chat))
            if self._left > 0:
                await self._rest()
        return answered

    def _due_steps(self) -> Iterator[tuple[Step, datetime]]:
        now, wall = time.monotonic(), datetime.now(UTC)
        self._due = max(self._due, now - BEHIND_AT_MOST_SECONDS)
        at_most = EVENTS_AT_ONCE
        while self._due <= now and self._left > 0 and at_most > 0:
            step = next(self._steps)
            yield step, wall - timedelta(seconds=now - self._due)
            if step.path == FAILURE_EVENTS:
                self._due += self._pace.expovariate(self._rate)
                self._left -= 1
                at_most -= 1

    async def _rest(self) -> None:
        ahead = self._due - time.monotonic()
        longest = RUNS_SECONDS if self._runs else PROGRESS_SECONDS
        seconds = min(max(ahead, TICK_SECONDS), longest) if ahead > 0 else 0
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return


def summary(wire: Wire, chat: Chat) -> str:
    """One line: `14:02:11Z 120 delivered, 1 failed in 98 requests, 40 told by webhook`."""
    told = f", {chat.counts['told']:,} told by webhook" if chat.counts["told"] else ""
    lost = f", {chat.counts['lost']:,} lost" if chat.counts["lost"] else ""
    return f"{datetime.now(UTC):%H:%M:%S}Z {wire.summary()}{told}{lost}"


def outcomes(handoffs: Counter[str]) -> str:
    """What came of it that bots gave up: `12 met a human, 9 waited for nobody, 0 kept by their bot`."""
    said = {"met": "met a human", "alone": "waited for nobody", "kept": "kept by their bot"}
    return ", ".join(f"{handoffs[how]:,} {words}" for how, words in said.items())


def _base_url(text: str) -> str:
    if not text:
        raise Refused("No address: give --base-url or set BASE_URL.")
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise Refused(f"{text} is not an http or https address.")
    return text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate above 0 and up to 100,000 a second")
    return rate


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= 10_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10,000,000")
    return int(text)
