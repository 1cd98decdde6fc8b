"""Ports on the loopback address."""

from __future__ import annotations

import argparse
import http.client
import socket
from pathlib import Path

from launch.say import LaunchError

LOOPBACK = "127.0.0.1"


def port(text: str) -> int:
    """A port number from the command line."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def require_free(number: int) -> None:
    """Raises LaunchError if nobody could listen on this port."""
    try:
        _bind(number)
    except PermissionError as error:
        raise LaunchError(f"Port {number} needs root: choose one above 1023 with --port.") from error
    except OSError as error:
        raise LaunchError(f"Port {number} is taken: choose another one with --port.") from error


def kept_free(file: Path) -> int:
    """The port kept in this file if it is free, else another free one, which is kept then."""
    try:
        number = int(file.read_text("utf-8"))
        _bind(number)
    except (OSError, ValueError, OverflowError):
        number = _bind(0)
        file.write_text(f"{number}\n", "utf-8")
    return number


def answers(number: int, path: str) -> bool:
    """Whether GET path answers 200 within two seconds."""
    connection = http.client.HTTPConnection(LOOPBACK, number, timeout=2.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _bind(number: int) -> int:
    """Bind for a moment; gives the port. One left in TIME_WAIT counts as free, as it does for the server."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, number))
        bound: int = probe.getsockname()[1]
        return bound
