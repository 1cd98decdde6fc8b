"""The HTTP side: posts until an answer came, and keeps count of what the service said."""

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from demo.commandline import Refused, say

DEADLINE = aiohttp.ClientTimeout(total=15)
TRIED_AGAIN = {408, 425, 429, 500, 502, 503, 504}
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.25, 5.0
LONGEST_RETRY_AFTER_SECONDS = 60.0
REFUSALS = {
    401: "The service does not know this key, or it has expired.",
    403: "This key may not write: it lacks the scope ingest.",
    404: "There is no such service at this address; check --base-url.",
}


class Stopped(Exception):
    """The person asked to stop while a post was being tried again."""


class Wire:
    """One key against one service. `counts` has requests, tries again, and items by status."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, key: str, stop: asyncio.Event) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._stop = stop
        self._complaints: set[str] = set()
        self.counts: Counter[str] = Counter()

    async def post(self, path: str, items: list[dict[str, Any]]) -> None:
        """Send one object, or many as `{"items": [...]}`, the same bytes until the service answered for them.

        Raises `Refused` where trying again cannot help, `Stopped` on the way out.
        """
        body = json.dumps(items[0] if len(items) == 1 else {"items": items}, ensure_ascii=False).encode()
        pause = FIRST_PAUSE_SECONDS
        while True:
            status, headers, answer = await self._attempt(path, body)
            if status is not None and status not in TRIED_AGAIN:
                self._judge(status, answer)
                return
            self.counts["tried again"] += 1
            asked = retry_after(headers, datetime.now(UTC))
            await self._pause(pause if asked is None else asked)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _attempt(self, path: str, body: bytes) -> tuple[int | None, Mapping[str, str], bytes]:
        url = self._base_url + path
        try:
            async with self._session.post(url, data=body, headers=self._headers, allow_redirects=False) as response:
                content = await response.read()
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as problem:
            self._say_once("unreachable", f"No answer from {self._base_url} ({type(problem).__name__}); trying again.")
            return None, {}, b""
        self._complaints.discard("unreachable")
        return response.status, response.headers, content

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    def _judge(self, status: int, answer: bytes) -> None:
        if status in REFUSALS:
            raise Refused(REFUSALS[status])
        self.counts["requests"] += 1
        try:
            content = json.loads(answer)
            results = content["results"] if status == 207 else [content]
            for result in results:
                self._count(status, result)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise Refused(f"The answer (status {status}) is not the contract's; check --base-url.") from problem

    def _count(self, status: int, result: dict[str, Any]) -> None:
        problem = result.get("error") or {}
        if "status" not in result and status >= 300:
            raise Refused(f"The service refused the request: {problem.get('message', status)}")
        kind = result["status"]
        self.counts[kind] += 1
        if kind in {"invalid", "conflict"}:
            code = str(problem.get("code", kind))
            self._say_once(code, f"An item was refused: {code}: {problem.get('message', '')}")

    def _say_once(self, topic: str, sentence: str) -> None:
        if topic not in self._complaints:
            self._complaints.add(topic)
            say(sentence)


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the service asked us to wait, as a number or a date, within reason; None where it did not."""
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value).astimezone(UTC) - now).total_seconds()
        except ValueError:
            return None
    if seconds != seconds:  # NaN
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_SECONDS)
