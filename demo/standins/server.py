"""The stand-ins' HTTP server: `manage.py standins` and `python -m demo.standins`."""

import argparse
import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop
from aiohttp import web

from demo.commandline import Parser, Refused, run_guarded, say
from demo.standins.behaviour import Mood
from demo.standins.config import Config, from_environment
from demo.standins.control import Control
from demo.standins.notification_service import NotificationService
from demo.standins.pages import Pages
from demo.standins.receipts import ReceiptPoster
from demo.standins.store import Store

HELP = "Run the external services (notification-service) as one real HTTP server that keeps what it got."
PROG = "standins"
BODY_LIMIT = 64 * 1024
SHUTDOWN_SECONDS = 0.5


def build_app(config: Config) -> web.Application:
    """The whole server for one data folder; raises `Refused` where the folder cannot be used."""
    store, mood, receipts = Store(config.data_dir), Mood(), ReceiptPoster(config)
    service = NotificationService(config, store, mood, receipts)
    app = web.Application(client_max_size=BODY_LIMIT)
    app.router.add_route("*", "/v1/{rest:.*}", service.handle)
    app.router.add_routes(Control(store, mood, receipts).routes())
    app.router.add_routes(Pages(store, mood).routes())

    async def life(app: web.Application) -> AsyncIterator[None]:
        receipts.start()
        yield
        await receipts.stop()
        store.close()

    app.cleanup_ctx.append(life)
    return app


def main(argv: list[str]) -> int:
    """Parse, run until INT or TERM, return the exit code (2 = refused, with one sentence on stderr)."""
    parser = Parser(prog=PROG, description=HELP)
    parser.add_argument("--port", type=_port, required=True, help="TCP port; 0 takes a free one and says which")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of its own store")
    parser.add_argument("--receipts-url", metavar="URL", help="where receipts go (default $BASE_URL/api/push-receipts)")
    parser.add_argument(
        "--no-delivered",
        action="store_true",
        help="post no 'delivered' receipt by itself; PUT /_receipts still does",
    )
    options = parser.parse_args(argv)
    return run_guarded(PROG, lambda: _run(options))


def _run(options: argparse.Namespace) -> None:
    config = from_environment(options.data, options.receipts_url, auto_delivered=not options.no_delivered)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(config, options.host, options.port))


async def _serve(config: Config, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(build_app(config), access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, backlog=1024).start()
        except OSError as problem:
            raise Refused(f"Cannot listen on {host}:{port}: {problem.strerror}.") from problem
        address, bound = runner.addresses[0][:2]
        say(f"Stand-ins ready on http://{address}:{bound}")
        await stop.wait()
    finally:
        await runner.cleanup()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port number")
    return int(text)
