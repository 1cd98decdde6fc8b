"""The stand-in's own paths: `/_behaviour`, `/_tokens`, `/_receipts`, `/_log`, `/_health`. Not signed."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from demo.standins import answers, behaviour
from demo.standins.answers import Answer
from demo.standins.behaviour import Mood
from demo.standins.contract import UNDECODABLE, ContractError, SsoId, as_contract_error
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
            web.put("/_behaviour", _judged(self._behave)),
            web.put("/_tokens", _judged(self._set_tokens)),
            web.put("/_receipts", _judged(self._order_receipt)),
            web.get("/_log", self.log),
            web.get("/_health", self.health),
        ]

    async def show_behaviour(self, request: web.Request) -> web.Response:
        """The behaviour in force."""
        return Answer(200, msgspec.to_builtins(self._mood.current)).as_response()

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
        """Misbehave from the next `/v1` request on."""
        self._mood.current = behaviour.parse(body)
        return Answer(200, msgspec.to_builtins(self._mood.current))

    def _set_tokens(self, body: Any) -> Answer:
        """`{sso_id: n}`: how many push tokens these people have."""
        self._store.set_tokens(msgspec.convert(body, Tokens))
        return Answer(200, self._store.tokens)

    def _order_receipt(self, body: Any) -> Answer:
        """Post a receipt for a person's newest notification."""
        order = msgspec.convert(body, ReceiptOrder)
        if not self._receipts.enabled:
            return answers.error(409, "no_receipts", "Give --receipts-url or BASE_URL first.")
        newest = self._store.newest_for.get(order.sso_id)
        if newest is None:
            return answers.error(404, "not_found", "This person has no notification yet.", "sso_id")
        self._receipts.queue(newest.key, order.state, order.reason)
        return Answer(202, {"idempotency_key": newest.key, "state": order.state})


def _judged(act: Callable[[Any], Answer]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that decodes, acts, and turns what is wrong with the body into the one error shape."""

    async def handle(request: web.Request) -> web.Response:
        try:
            answer = act(msgspec.json.decode(await request.read()))
        except (ContractError, msgspec.ValidationError) as problem:
            wrong = problem if isinstance(problem, ContractError) else as_contract_error(problem)
            answer = answers.error(422, "invalid", wrong.message, wrong.field)
        except UNDECODABLE:
            answer = answers.error(400, "not_json", "The body is not JSON.")
        return answer.as_response()

    return handle
