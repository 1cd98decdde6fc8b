"""The stand-in's `/v1` paths: notification-service as `docs/contracts/notification-service.yaml` has it."""

import asyncio
import hashlib
import socket
import struct
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import msgspec
from aiohttp import web

from demo.standins import answers, contract, signature
from demo.standins.answers import Answer
from demo.standins.behaviour import Behaviour, Mood
from demo.standins.config import Config
from demo.standins.receipts import ReceiptPoster
from demo.standins.store import Row, Store, accepted_from

NOTIFICATIONS = "/v1/notifications"
PUSH_TOKENS, REVOCATIONS = "/v1/push-tokens", "/v1/revocations"
GARBAGE = "<!doctype html><title>Bad gateway</title><h1>It works, but this is not what you asked for</h1>"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class NotificationService:
    """Answers every request below `/v1`, logs it first, and misbehaves as told."""

    def __init__(self, config: Config, store: Store, mood: Mood, receipts: ReceiptPoster) -> None:
        self._config = config
        self._store = store
        self._mood = mood
        self._receipts = receipts

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The one aiohttp handler: judge, log, then answer."""
        arrived = datetime.now(UTC)
        behaviour = self._mood.for_next_request(request.path)
        raw, refusal = b"", None
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            refusal = answers.error(413, "too_large", "The body is larger than 64 KiB.")
        row = self._row(request, raw, arrived, behaviour)
        answer = self._answer(request, row, behaviour, refusal)
        row.answer = None if answer is None else answer.as_logged()
        fresh = accepted_from(row) if row.accepted else None
        try:
            self._store.append(row, fresh)
        except OSError:
            return answers.error(503, "log_unavailable", "The request could not be logged.").as_response()
        if fresh is not None and fresh.answer["push"] == "queued" and self._config.auto_delivered:
            self._receipts.queue(fresh.key, "delivered", None, self._config.receipt_delay_seconds)
        return await _deliver(request, answer, behaviour)

    def _row(self, request: web.Request, raw: bytes, arrived: datetime, behaviour: Behaviour) -> Row:
        request_line = f"{request.method} {request.raw_path} HTTP/1.1"
        config = self._config
        problem = signature.problem(request.headers, request_line, config.client_id, config.client_secret, arrived)
        return Row(
            n=len(self._store) + 1,
            at=arrived.isoformat(timespec="microseconds"),
            method=request.method,
            path=_printable(request.raw_path),
            headers={name: _printable(value) for name, value in request.headers.items()},
            body=_decoded(raw),
            body_sha256=hashlib.sha256(raw).hexdigest(),
            signature_ok=problem is None,
            duplicate=False,
            mode=behaviour.mode,
            answer=None,
        )

    def _answer(self, request: web.Request, row: Row, behaviour: Behaviour, refusal: Answer | None) -> Answer | None:
        if behaviour.mode == "down":
            return None
        if behaviour.mode == "garbage":
            return Answer(200, GARBAGE)
        if behaviour.mode == "status" and behaviour.status is not None:
            return _status_answer(behaviour.status, behaviour, request.raw_path)
        if refusal is not None:
            return refusal
        if not row.signature_ok:
            return answers.error(401, "unauthorized", "The signature, its date or the client is not valid.")
        return self._serve(request, row, behaviour)

    def _serve(self, request: web.Request, row: Row, behaviour: Behaviour) -> Answer:
        served = {NOTIFICATIONS: "POST", REVOCATIONS: "POST", PUSH_TOKENS: "GET"}.get(request.path)
        if served is None:
            return answers.error(404, "not_found", "There is no such path.")
        if request.method != served:
            return answers.error(405, "method_not_allowed", f"Only {served} is served here.", headers={"Allow": served})
        if request.path == REVOCATIONS:
            return self._revoke(request, row)
        return self._notify(request, row, behaviour) if served == "POST" else self._push_tokens(request)

    def _revoke(self, request: web.Request, row: Row) -> Answer:
        """What it replaces may be gone, or replaced before: the same answer each time."""
        refused = _refused(request, row)
        if refused is not None:
            return refused
        try:
            contract.parse_revocation(row.body)
        except contract.ContractError as problem:
            return answers.error(422, "invalid", problem.message, problem.field)
        return Answer(202, {"revocation": "stored"})

    def _notify(self, request: web.Request, row: Row, behaviour: Behaviour) -> Answer:
        key = request.headers.get("Idempotency-Key", "")
        if (known := self._store.by_key.get(key)) is not None:
            if known.body_sha256 != row.body_sha256:
                message = "This key was used with another body."
                return answers.error(422, "idempotency_conflict", message, "Idempotency-Key")
            row.duplicate = True
            return Answer(202, known.answer)
        refused = _refused(request, row)
        if refused is not None:
            return refused
        if (unknown := _unknown_field(row.body, behaviour)) is not None:
            return answers.error(422, "invalid", f"Object contains unknown field `{unknown}`.", unknown)
        try:
            notification = contract.parse(row.body)
        except contract.ContractError as problem:
            return answers.error(422, "invalid", problem.message, problem.field)
        row.accepted = True
        tokens = self._store.tokens_of(notification.recipient.sso_id)
        body = {
            "notification_id": f"ntf_{uuid5(NAMESPACE_URL, key).hex}",
            "in_app": "stored",
            "push": "queued" if tokens else "no_token",
        }
        return Answer(202, body)

    def _push_tokens(self, request: web.Request) -> Answer:
        if request.query.get("user_source") != "chat":
            return answers.error(422, "invalid", "user_source must be chat.", "user_source")
        people = request.query.getall("sso_id", [])
        if not people or not all(people):
            return answers.error(422, "invalid", "At least one sso_id, none of them empty.", "sso_id")
        tokens = [{"sso_id": sso_id, "tokens": self._store.tokens_of(sso_id)} for sso_id in people]
        return Answer(200, {"data": tokens})


def _refused(request: web.Request, row: Row) -> Answer | None:
    """What is wrong with a request whatever its body says."""
    if not 1 <= len(request.headers.get("Idempotency-Key", "")) <= 255:
        return answers.error(422, "invalid", "Idempotency-Key must have 1 to 255 characters.", "Idempotency-Key")
    if request.content_type != "application/json":
        return answers.error(415, "unsupported_type", "Content-Type must be application/json.")
    if row.body is None or isinstance(row.body, str):
        return answers.error(400, "not_json", "The body is not a JSON object.")
    return None


def _unknown_field(body: Any, behaviour: Behaviour) -> str | None:
    """A field that it is told not to know yet."""
    newer = {"priority", "replaces"} - set(behaviour.knows if behaviour.knows is not None else ("priority", "replaces"))
    return next((name for name in sorted(newer) if isinstance(body, dict) and name in body), None)


def _decoded(raw: bytes) -> Any:
    """The body as JSON; as text where it is none; None where there is no body."""
    if not raw:
        return None
    try:
        return msgspec.json.decode(raw)
    except contract.UNDECODABLE:
        return raw.decode("utf-8", "replace")


def _printable(text: str) -> str:
    """Header bytes that are no UTF-8 arrive as lone surrogates, which JSON cannot carry."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _status_answer(status: int, behaviour: Behaviour, path: str) -> Answer:
    headers = {}
    if behaviour.retry_after is not None:
        headers["Retry-After"] = str(behaviour.retry_after)
    if 300 <= status < 400:
        headers["Location"] = path  # a sender that follows it shows up in the log once more
    return answers.error(status, "told_to", f"The stand-in was told to answer {status}.", headers=headers)


async def _deliver(request: web.Request, answer: Answer | None, behaviour: Behaviour) -> web.StreamResponse:
    if delay := behaviour.delay_seconds:
        await asyncio.sleep(delay)
    if answer is None:
        # Cut the connection without an answer, with RST where the system lets us.
        if request.transport is not None:
            if connection := request.transport.get_extra_info("socket"):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            request.transport.abort()
        return web.Response(status=500)  # goes nowhere: the connection is gone
    if behaviour.mode == "drip":
        return await _drip(request, answer.as_response())
    return answer.as_response()


async def _drip(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """The right answer at one byte a second."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    response = web.StreamResponse(status=whole.status, headers={"Content-Type": "application/json"})
    response.content_length = len(body)
    await response.prepare(request)
    for at in range(len(body)):
        await response.write(body[at : at + 1])
        await asyncio.sleep(1)
    return response
