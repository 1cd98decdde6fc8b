"""Receipts: what became of a push, posted back as Standard Webhooks, never in an answer's way."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp
import msgspec
from standardwebhooks import Webhook

from demo.standins.config import Config

WAITING_LIMIT = 20_000
POSTERS = 4
PAUSES_SECONDS = (0.5, 1, 2, 4, 8)
RETRIED = {408, 425, 429}
DEADLINE = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True)
class Receipt:
    """One receipt; `due` on the loop's clock, in seconds."""

    due: float
    payload: dict[str, str]


class ReceiptPoster:
    """A bounded queue and a few posters. A full queue drops and counts: a slow receiver costs no memory."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._webhook = Webhook(config.receipt_secret) if config.receipts_url else None
        self._waiting: asyncio.Queue[Receipt] = asyncio.Queue(WAITING_LIMIT)
        self._session: aiohttp.ClientSession | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.counts: Counter[str] = Counter(sent=0, gave_up=0, dropped=0)

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to tell."""
        return self._webhook is not None

    @property
    def waiting(self) -> int:
        """Receipts not posted yet."""
        return self._waiting.qsize()

    def start(self) -> None:
        """Start the posters on the running loop."""
        if self.enabled:
            self._session = aiohttp.ClientSession(timeout=DEADLINE)
            self._tasks = [asyncio.create_task(self._post_forever()) for _ in range(POSTERS)]

    async def stop(self) -> None:
        """Stop the posters; what waits is lost, as it would be with the real service's process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def queue(self, idempotency_key: str, state: str, reason: str | None, delay_seconds: float = 0) -> None:
        """Put one receipt in line, to be posted after the delay."""
        if not self.enabled:
            return
        payload = {"idempotency_key": idempotency_key, "state": state}
        if reason is not None:
            payload["reason"] = reason
        due = asyncio.get_running_loop().time() + delay_seconds
        try:
            self._waiting.put_nowait(Receipt(due, payload))
        except asyncio.QueueFull:
            self.counts["dropped"] += 1

    async def _post_forever(self) -> None:
        while True:
            receipt = await self._waiting.get()
            await asyncio.sleep(receipt.due - asyncio.get_running_loop().time())
            self.counts["sent" if await self._post(receipt.payload) else "gave_up"] += 1

    async def _post(self, payload: dict[str, str]) -> bool:
        message_id = f"msg_{uuid4().hex}"
        body = msgspec.json.encode(payload | {"at": datetime.now(UTC).isoformat()})
        for pause in (*PAUSES_SECONDS, None):
            status = await self._attempt(message_id, body)
            if status is not None and status < 300:
                return True
            if status is not None and status < 500 and status not in RETRIED:
                return False
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    async def _attempt(self, message_id: str, body: bytes) -> int | None:
        """One post; its status, or None where no answer came. The id stays, time and signature are fresh."""
        assert self._session is not None and self._webhook is not None and self._config.receipts_url
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(message_id, now, body.decode()),
        }
        try:
            async with self._session.post(
                self._config.receipts_url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
