"""The web process: pages, sockets and the ingest lane, served by uvicorn."""

import os
import signal
import socket
import sys
from argparse import ArgumentParser
from types import FrameType
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandError
from uvicorn.supervisors import Multiprocess

from console.http.door import Door
from console.live.wire import Wire

GRACEFUL_SECONDS = 10
BACKLOG = 2048


class Command(BaseCommand):
    help = "Serve pages, the live feed and the ingest lane."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000, help="0: any free one, which is printed")
        parser.add_argument("--workers", type=int, default=1, help="processes")

    def handle(self, *args: Any, **options: Any) -> None:
        listening = _listen(options["host"], options["port"])
        host, port = listening.getsockname()[:2]
        self.stdout.write(f"listening on http://{f'[{host}]' if ':' in host else host}:{port}")
        self.stdout.flush()
        config = _config(options["workers"])
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, _leave)
        if options["workers"] > 1:
            Multiprocess(config, sockets=[listening]).run()
        else:
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0  # negative: the host was not found
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or str(error)
        raise CommandError(f"Cannot listen on {host} port {port}: {reason}.", returncode=2) from error
    listening.set_inheritable(True)
    return listening


def _leave(number: int, frame: FrameType | None) -> None:
    """uvicorn has ended its requests and raises the signal again: end with 0."""
    sys.exit(0)


def _config(workers: int) -> uvicorn.Config:
    """The wire knows who does not read; deflate would cost each socket more memory than it saves."""
    return uvicorn.Config(
        "console.http.asgi:application",
        workers=workers,
        loop="uvloop",
        http=Door,
        ws=Wire,
        ws_max_size=64 * 1024,
        ws_ping_interval=20.0,
        ws_ping_timeout=20.0,
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # console/http/proxies.py reads them
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
