"""A real HTTP server that answers as the lane would, and misbehaves as it is told: for those who send to it."""

import gzip
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

EVENTS, ACTIVITY = "/api/failure-events", "/api/room-activity"
IDS = {EVENTS: "event_id", ACTIVITY: "activity_id", "/api/agent-runs": "run_id", "/api/agent-qc": "review_id"}


def failure(name: str = "e-1", **fields: Any) -> dict[str, Any]:
    """The fields of a good failure event."""
    made = {"event_id": name, "signal": "agent_error", "agent_name": "Bot", "room_id": "r-7", "error": {"type": "T"}}
    return made | fields


@dataclass
class Told:
    """One answer that is not the usual one. `drip`: seconds between bytes; `hang_up`: close without a word."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": {"code": "told_to", "message": "Told to."}}'
    drip: float = 0.0
    hang_up: bool = False


@dataclass
class Request:
    """One POST as it came."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def items(self) -> list[dict[str, Any]]:
        packed = self.headers.get("Content-Encoding") == "gzip"
        return json.loads(gzip.decompress(self.raw) if packed else self.raw)


class LaneDouble:
    """`scripted` answers come first, then `whole(items)` if it gives one, then a result for each by `judge(item)`."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.scripted: list[Told] = []
        self.whole: Callable[[list[dict[str, Any]]], Told | None] = lambda items: None
        self.judge: Callable[[dict[str, Any]], dict[str, Any]] = lambda item: {"status": "created"}
        self.let_go = threading.Event()  # cleared, every request waits for it
        self.let_go.set()
        self._lock = threading.Lock()
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                raw = self.rfile.read(length)
                if len(raw) < length:
                    return  # the sender was killed
                request = Request(self.path, dict(self.headers), raw)
                with double._lock:
                    double.requests.append(request)
                    told = double.scripted.pop(0) if double.scripted else double.whole(request.items)
                double.let_go.wait(60)
                self.answer(told or double._usual(request))

            def do_GET(self) -> None:
                with double._lock:
                    double.requests.append(Request(self.path, dict(self.headers), b"[]"))
                    told = double.scripted.pop(0) if double.scripted else Told(404)
                double.let_go.wait(60)
                self.answer(told)

            def answer(self, told: Told) -> None:
                self.close_connection = told.hang_up or told.headers.get("Connection") == "close"
                if told.hang_up:
                    return
                head = f"HTTP/1.1 {told.status} Told\r\n"
                headers = {"Content-Length": str(len(told.body))} | told.headers
                content = (head + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode() + told.body
                if not told.drip:
                    self.wfile.write(content)
                    return
                for byte in content:
                    self.wfile.write(bytes([byte]))
                    threading.Event().wait(told.drip)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """A sender that left is nothing to speak of."""

        self.server = Server(("127.0.0.1", port), Handler)
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        scheme = "http" if tls is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.server.server_port}"

    def items(self, path: str = EVENTS) -> list[dict[str, Any]]:
        """All items that came on a path, repeats included."""
        return [item for request in list(self.requests) if request.path == path for item in request.items]

    def stop(self) -> None:
        self.let_go.set()
        self.server.shutdown()
        self.server.server_close()

    def _usual(self, request: Request) -> Told:
        items = request.items
        results = [
            {"index": index, "id": item.get(IDS[request.path])} | self.judge(item) for index, item in enumerate(items)
        ]
        return Told(207, {}, json.dumps({"results": results}).encode())
