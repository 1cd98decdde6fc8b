"""The lane under test: the whole ASGI application behind a real uvicorn on a real port, in a thread of this process."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import uvicorn
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, RoomActivity
from console.http.door import Door
from orgs.models import ApiKey, Source
from runs.models import AgentQc, AgentRun

EVENTS = "/api/failure-events"
ACTIVITY = "/api/room-activity"
RECEIPTS = "/api/push-receipts"
RUNS = "/api/agent-runs"
REVIEWS = "/api/agent-qc"


@dataclass
class Answer:
    """An answer; `json` is its decoded body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, str]:
        return self.json["error"]

    @property
    def statuses(self) -> list[str]:
        return [result["status"] for result in self.json["results"]]


@contextmanager
def serving(app: Any = None) -> Iterator[int]:
    """Serve console.http.asgi, or another app, on a free port of loopback; gives the port."""
    from console.http.asgi import application

    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    options: dict[str, Any] = {"log_config": None, "access_log": False, "lifespan": "off", "loop": "uvloop"}
    config = uvicorn.Config(app or application, http=Door, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@dataclass
class Sender:
    """A source with a key, and one connection's worth of requests."""

    port: int
    source: Source
    key: str
    row: ApiKey
    headers: dict[str, str] = field(default_factory=dict)

    def send(
        self, path: str, body: bytes, *, method: str = "POST", headers: dict[str, str | None] | None = None
    ) -> Answer:
        """One request on a connection of its own; a header given as None is left out."""
        sent: dict[str, str | None] = {
            "Authorization": f"Bearer {self.key}",
            "Content-Type": "application/json",
            **self.headers,
            **(headers or {}),
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, {name: value for name, value in sent.items() if value})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, content: Any, path: str = EVENTS, **headers: str | None) -> Answer:
        """Post something as JSON; header names with _ for -."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send(path, json.dumps(content).encode(), headers=named)

    def post_gzip(self, body: bytes, path: str = EVENTS) -> Answer:
        """Post bytes that are gzip, or claim to be."""
        return self.send(path, body, headers={"Content-Encoding": "gzip"})


def make_key(source: Source, scopes: tuple[str, ...] = ("ingest",), **fields: Any) -> tuple[ApiKey, str]:
    """A key of a source and its secret text."""
    return ApiKey.objects.create_key(name="test", source=source, scopes=list(scopes), **fields)


def event(**fields: Any) -> dict[str, Any]:
    """A good failure event; a field given as None is left out."""
    made = {
        "event_id": f"event-{uuid4().hex}",
        "agent_name": "Billing Bot",
        "room_id": "room-1",
        "signal": "agent_error",
        "occurred_at": datetime.now(UTC).isoformat(),
        "error": {"type": "timeout", "message": "no answer within 30 s"},
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def activity(**fields: Any) -> dict[str, Any]:
    """A good room activity; a field given as None is left out."""
    made = {
        "activity_id": f"activity-{uuid4().hex}",
        "room_id": "room-1",
        "kind": "human_message",
        "at": datetime.now(UTC).isoformat(),
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def run(**fields: Any) -> dict[str, Any]:
    """A good run that was resolved in 42 s; a field given as None is left out."""
    made = {
        "run_id": str(uuid4()),
        "agent_name": "Billing Bot",
        "input_kind": "ticket",
        "started_at": ago(minutes=5),
        "ended_at": ago(minutes=5, seconds=-42),
        "resolution": "resolved",
        **fields,
    }
    return {name: value for name, value in made.items() if value is not None}


def review(**fields: Any) -> dict[str, Any]:
    """A good review; a field given as None is left out."""
    made = {"run_id": str(uuid4()), "quality_score": 4, "reviewer": "rina", **fields}
    return {name: value for name, value in made.items() if value is not None}


def ago(**parts: float) -> str:
    """A time in the past as RFC 3339; negative parts lie ahead."""
    return (datetime.now(UTC) - timedelta(**parts)).isoformat()


def pack(content: Any) -> bytes:
    """JSON, packed with gzip."""
    return gzip.compress(json.dumps(content).encode())


def events() -> list[FailureEvent]:
    """All failure events stored, in order of arrival."""
    with scopes_disabled():
        return list(FailureEvent.objects.select_related("org", "room", "agent").order_by("pk"))


def activities() -> list[RoomActivity]:
    """All room activity stored, in order of arrival."""
    with scopes_disabled():
        return list(RoomActivity.objects.select_related("org", "room").order_by("pk"))


def runs() -> list[AgentRun]:
    """All runs stored, in order of arrival."""
    with scopes_disabled():
        return list(AgentRun.objects.select_related("org", "agent").order_by("pk"))


def reviews() -> list[AgentQc]:
    """All reviews stored, replaced ones too, in order of arrival."""
    with scopes_disabled():
        return list(AgentQc.objects.order_by("pk"))


def alerts() -> list[Alert]:
    """All alerts."""
    with scopes_disabled():
        return list(Alert.objects.select_related("room"))
