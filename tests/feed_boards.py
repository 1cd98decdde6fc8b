"""Boards on the live feed: the web process in a thread of this one, and the sockets a browser might open."""

import json
import socket
import threading
from contextlib import ExitStack
from typing import Any

import pytest
import uvicorn
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from alerts.models import Alert
from console.live import sockets
from console.live.hub import Hub
from console.management.commands.serve import _config
from orgs.models import User
from tests.stack import PATIENCE


class Board:
    """A browser's socket. `chain` and `counts` are what the page keeps: org -> checksum, org -> figures."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.chain: dict[str, str] = {}
        self.counts: dict[str, Any] = {}
        self.seen: set[str] = set()  # ids of alerts whose rows came
        self.hello = self.next("hello")

    def next(self, kind: str) -> dict[str, Any]:
        """The next frame of a kind; fails after PATIENCE."""
        while True:
            frame = json.loads(self.connection.recv(PATIENCE))
            self.counts = self.counts | frame["counts"] if frame["type"] == "rows" else frame["counts"]
            if frame["type"] == "rows":
                self.chain |= {org: link["checksum"] for org, link in frame["orgs"].items()}
            elif frame["type"] == "hello":
                self.chain = frame["orgs"]
            if frame["type"] == kind:
                return frame

    def row(self, alert: Alert) -> str:
        """Read until the row of this alert comes: its HTML."""
        while True:
            rows = {row["id"]: row["html"] for row in self.next("rows")["rows"]}
            self.seen |= rows.keys()
            if html := rows.get(str(alert.pk)):
                return html

    def closed(self) -> int | None:
        """The close code, once everything before it is read; fails after PATIENCE without a frame."""
        try:
            while True:
                self.connection.recv(PATIENCE)
        except ConnectionClosed as error:
            return error.rcvd.code if error.rcvd else None


class Served:
    """The web process's server in a thread, with a hub and a watch of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ws: Any = None) -> None:
        self.hub, self.watch = Hub(), sockets.Watch()
        for name, value in (("hub.hub", self.hub), ("sockets.hub", self.hub), ("sockets.watch", self.watch)):
            monkeypatch.setattr(f"console.live.{name}", value)
        config = _config(workers=1)
        config.lifespan = "off"
        config.ws = ws or config.ws
        self.server = uvicorn.Server(config)
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listening]}, daemon=True)
        self.thread.start()
        self.open = ExitStack()

    def board(self, user: User, language: str = "en", **options: Any) -> Board:
        """Open the feed as this person's browser does."""
        return Board(self.connect(session_of(user), language, **options))

    def connect(
        self, session: str, language: str = "en", address: str = "127.0.0.1", **options: Any
    ) -> ClientConnection:
        made: ClientConnection = connect(
            f"ws://127.0.0.1:{self.port}/ws/feed?lang={language}",
            origin=Origin(settings.BASE_URL),
            additional_headers={"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"},
            **{"source_address": (address, 0), "max_size": None, "close_timeout": 1, **options},
        )
        return self.open.enter_context(made)

    def slow(self, user: User) -> Board:
        """A browser that reads no more than it is asked to."""
        return self.board(user, max_queue=1)

    def stop(self) -> None:
        self.open.close()
        self.server.should_exit = True
        self.thread.join(10)
        self.hub._thread.shutdown()
        sockets.sockets_per_user.clear()
        sockets.sockets_per_address.clear()


def session_of(user: User) -> str:
    """The key of a new session."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
