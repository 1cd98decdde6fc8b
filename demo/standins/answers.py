"""The answers of the stand-in as plain data, so that the log and the wire carry the same."""

from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web


@dataclass(frozen=True)
class Answer:
    """A JSON (or, where `body` is a string, HTML) answer."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    def as_logged(self) -> dict[str, Any]:
        """The shape of `answer` in `GET /_log`."""
        return {"status": self.status, "headers": self.headers, "body": self.body}

    def as_response(self) -> web.Response:
        """The shape on the wire."""
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, content_type="text/html", headers=self.headers)
        body = b"" if self.body is None else msgspec.json.encode(self.body)
        return web.Response(status=self.status, body=body, content_type="application/json", headers=self.headers)


def error(status: int, code: str, message: str, field_name: str = "", headers: dict[str, str] | None = None) -> Answer:
    """The one error shape: `{"error": {"code", "message", "field"?}}`."""
    detail = {"code": code, "message": message} | ({"field": field_name} if field_name else {})
    return Answer(status, {"error": detail}, headers or {})
