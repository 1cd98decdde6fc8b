"""The stand-in's own paths: `/_behaviour`, `/_tokens`, `/_receipts`, `/_log`, `/_health`. Not signed."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from demo.standins import answers, behaviour
from demo.standins.answers import Answer
from demo.standins.behaviour import Mood
from demo.standins.contract import ContractError, SsoId, as_contract_error
from demo.standins.receipts import ReceiptPoster
from demo.standins.store import Store

Tokens = dict[SsoId, Annotated[int, Meta(ge=0, le=1000)]]


class ReceiptOrder(Struct, forbid_unknown_fields=True):
    """Which receipt to post for the person's newest notification."""

    sso_id: SsoId
    state: Literal["delivered", "opened", "failed"]
    reason: Annotated[str, Meta(max_length=2000)] | None = None


class Control:
    """Handlers for whoever directs the play: a test, a bench, a person with curl."""

    def __init__(self, store: Store, mood: Mood, receipts: ReceiptPoster) -> None:
        self._store = store
        self._mood = mood
        self._receipts = receipts

    def routes(self) -> list[web.RouteDef]:
        """The paths and their methods."""
        return [
            web.get("/_behaviour", self.show_behaviour),
            web.put("/_behaviour", self.put_behaviour),
            web.put("/_tokens", self.put_tokens),
            web.put("/_receipts", self.put_receipts),
            web.get("/_log", self.log),
            web.get("/_health", self.health),
        ]

    async def show_behaviour(self, request: web.Request) -> web.Response:
        """The behaviour in force."""
        return Answer(200, msgspec.to_builtins(self._mood.current)).as_response()

    async def put_behaviour(self, request: web.Request) -> web.Response:
        """Misbehave from the next `/v1` request on."""
        return (await _judged(request, self._behave)).as_response()

    async def put_tokens(self, request: web.Request) -> web.Response:
        """`{sso_id: n}`: how many push tokens these people have."""
        return (await _judged(request, self._set_tokens)).as_response()

    async def put_receipts(self, request: web.Request) -> web.Response:
        """Post a receipt for a person's newest notification."""
        return (await _judged(request, self._order_receipt)).as_response()

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Every `/v1` request with n > since, streamed from the file as it lies there."""
        since = request.query.get("since", "0")
        if not (since.isascii() and since.isdigit() and len(since) <= 18):
            return answers.error(422, "invalid", "Expected a whole number from 0 on.", "since").as_response()
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(b'{"requests": [')
        for chunk in self._store.read_since(int(since)):
            await response.write(chunk)
        await response.write(b"]}")
        return response

    async def health(self, request: web.Request) -> web.Response:
        """Alive, and a few counts."""
        body = {
            "status": "ok",
            "mode": self._mood.current.mode,
            "requests": len(self._store),
            "notifications": len(self._store.by_key),
            "receipts": {"waiting": self._receipts.waiting, **self._receipts.counts},
        }
        return Answer(200, body).as_response()

    def _behave(self, body: Any) -> Answer:
        wanted = behaviour.parse(body)
        self._mood.set(wanted)
        return Answer(200, msgspec.to_builtins(wanted))

    def _set_tokens(self, body: Any) -> Answer:
        self._store.set_tokens(msgspec.convert(body, Tokens))
        return Answer(200, self._store.tokens)

    def _order_receipt(self, body: Any) -> Answer:
        order = msgspec.convert(body, ReceiptOrder)
        if not self._receipts.enabled:
            return answers.error(409, "no_receipts", "Give --receipts-url or BASE_URL first.")
        newest = self._store.newest_for.get(order.sso_id)
        if newest is None:
            return answers.error(404, "not_found", "This person has no notification yet.", "sso_id")
        self._receipts.queue(newest.key, order.state, order.reason)
        return Answer(202, {"idempotency_key": newest.key, "state": order.state})


async def _judged(request: web.Request, act: Callable[[Any], Answer]) -> Answer:
    """Decode, act, and turn what is wrong with the body into one error shape."""
    try:
        body = msgspec.json.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return answers.error(400, "not_json", "The body is not JSON.")
    try:
        return act(body)
    except ContractError as problem:
        return answers.error(422, "invalid", problem.message, problem.field)
    except msgspec.ValidationError as problem:
        wrong = as_contract_error(problem)
        return answers.error(422, "invalid", wrong.message, wrong.field)
