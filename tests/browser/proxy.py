"""A TCP proxy in user space, to cut the way between a browser and the service."""

import contextlib
import socket
import threading
from typing import Self
from urllib.parse import urlsplit


class Proxy:
    """Listens on loopback and passes everything on, until it is cut or stalled."""

    def __init__(self, target: str, port: int = 0) -> None:
        parts = urlsplit(target)
        self.target = (parts.hostname or "127.0.0.1", parts.port or 80)
        self.passing = True
        self.flowing = threading.Event()
        self.flowing.set()
        self.pairs: set[socket.socket] = set()
        self.lock = threading.Lock()
        self.server = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.accepting = threading.Thread(target=self._accept, daemon=True)
        self.accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.flowing.set()
        self.cut()
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)  # who waits in `accept` would keep the port
        self.server.close()

    def cut(self) -> None:
        """End every connection at once and refuse new ones."""
        self.passing = False
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        for end in pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def stall(self) -> None:
        """Keep every connection, and pass nothing on until it is mended."""
        self.flowing.clear()

    def mend(self) -> None:
        """Pass again."""
        self.passing = True
        self.flowing.set()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            if not self.passing:
                near.close()
                continue
            try:
                far = socket.create_connection(self.target, 5)
            except OSError:
                near.close()
                continue
            with self.lock:
                self.pairs |= {near, far}
            for start, end in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(start, end), daemon=True).start()

    def _pass(self, start: socket.socket, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := start.recv(65536):
                self.flowing.wait()
                end.sendall(data)
        for side in (start, end):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
