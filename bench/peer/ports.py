"""A free port for a peer, and how to know that it listens."""

import socket
import time

from bench.feed_setup import HOST


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def until_open(port: int, seconds: float = 20.0) -> None:
    """Wait until somebody listens there. Raises SystemExit if nobody does in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port), 1.0).close()
        except OSError:
            if time.monotonic() > deadline:
                raise SystemExit(f"The peer did not start at port {port}.") from None
            time.sleep(0.05)
        else:
            return
