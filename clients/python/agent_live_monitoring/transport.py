"""One request over http.client: one deadline for all of it, an answer of bounded size, no redirect followed."""

from __future__ import annotations

# Looked up by socket when it first connects: were that import cut in two by a fork, its lock would hold the child.
import encodings.idna  # noqa: F401
import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agent_live_monitoring.version import VERSION

ANSWER_LIMIT = 1024 * 1024  # bytes; the answer to a full batch is some 100 kB
IDLE_SECONDS = 3.0  # servers close an idle connection, uvicorn after 5 s: ours is closed before


class NoAnswer(Exception):
    """Nobody answered, or not in HTTP; the message names the kind of fault."""


class TooSlow(NoAnswer):
    """The answer was not whole in time."""


class Answer(NamedTuple):
    """An answer, whatever it says."""

    status: int
    retry_after: str | None
    body: bytes
    location: str | None = None


class Transport:
    """One keep-alive connection to the service; used by one thread."""

    def __init__(self, base_url: str, key: str, timeout: float) -> None:
        """`timeout` in seconds for a whole request. Raises ValueError for an address or a key that cannot be one."""
        parts = urlsplit(base_url.strip() if isinstance(base_url, str) else "")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or "@" in parts.netloc:
            raise ValueError("base_url must be an http or https address without a user, such as https://host")
        key = _checked(key)
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            "User-Agent": f"agent-live-monitoring-python/{VERSION}",
        }
        self._timeout = timeout
        self._connection: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def post(self, path: str, body: bytes, packed: bool, counted: Mapping[str, str]) -> Answer:
        """Send a JSON body (`packed`: with gzip; `counted`: headers of whose count it is). Raises NoAnswer, TooSlow."""
        headers = {**self._headers, **counted, **({"Content-Encoding": "gzip"} if packed else {})}
        return self._asked("POST", path, body, headers)

    def get(self, path: str) -> Answer:
        """Ask for something. Raises NoAnswer, TooSlow."""
        return self._asked("GET", path, None, self._headers)

    def _asked(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        try:
            return self._exchange(method, self._prefix + path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            # Before Python 3.10 a socket's timeout is no TimeoutError.
            slow = isinstance(error, (TimeoutError, socket.timeout))
            raise (TooSlow if slow else NoAnswer)(type(error).__name__) from error

    def close(self) -> None:
        """Close the connection; the next POST opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """After a fork, in the child: close our copy of the socket and touch nothing else.

        The parent's thread may be reading just now, and then http.client's buffer is locked for ever here.
        """
        if self._connection is not None and self._connection.sock is not None:
            self._connection.sock.close()
        self._connection = None

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        deadline = time.monotonic() + self._timeout
        connection = self._connected(deadline)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read(ANSWER_LIMIT + 1)
        if len(content) > ANSWER_LIMIT:
            raise ValueError("too long an answer")
        if response.will_close:
            self.close()
        self._used_at = time.monotonic()
        return Answer(response.status, response.getheader("Retry-After"), content, response.getheader("Location"))

    def _connected(self, deadline: float) -> http.client.HTTPConnection:
        if self._connection is None or time.monotonic() - self._used_at > IDLE_SECONDS:
            self.close()
            self._connection = self._connect()
        assert isinstance(self._connection.sock, _Timed)
        self._connection.sock.deadline = deadline
        return self._connection

    def _connect(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection
        if self._tls is None:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        else:
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        connection.connect()
        connection.sock = _Timed(connection.sock)
        return connection


def _checked(key: object) -> str:
    """The key without the line break that a file or a secret store leaves at its end. Raises ValueError, which says
    what is wrong and nothing of the key."""
    if not isinstance(key, str):
        raise ValueError(f"key is {key if key is None else type(key).__name__}: is the variable set that holds it?")
    key = key.strip()
    if not key:
        raise ValueError("key is empty: is the variable set that holds it?")
    odd = next((at for at, letter in enumerate(key) if not "!" <= letter <= "~"), None)
    if odd is not None:
        raise ValueError(f"key has characters that no key has: the one at place {odd + 1} is no plain letter or digit")
    return key


class _Timed:
    """The part of a socket that http.client uses; every wait counts against one deadline.

    A plain timeout is of each read: one byte a second would hold the worker for ever.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.deadline = 0.0

    def sendall(self, data: Any) -> None:
        view = memoryview(data)
        while view:
            view = view[self.armed().send(view) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def armed(self) -> socket.socket:
        """The socket, with what is left of the deadline as its timeout. Raises TimeoutError."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock

    def close(self) -> None:
        self._sock.close()


class _Reader(io.RawIOBase):
    """What is read from such a socket."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._timed.armed().recv_into(buffer)
