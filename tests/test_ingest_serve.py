"""`manage.py serve`: it says where it listens, ends with 0 when told to, and says plainly what is wrong."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from console.entry import run_command
from tests.standins import ROOT


@contextmanager
def serve(*options: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "serve", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.mark.parametrize(
    ("number", "options"), [(signal.SIGTERM, ()), (signal.SIGINT, ()), (signal.SIGTERM, ("--workers", "2"))]
)
def test_it_serves_and_ends_with_0(number: int, options: tuple[str, ...]) -> None:
    with serve("--port", "0", *options) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://127.0.0.1:")
        port = int(line.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /api/failure-events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 405 ") and b"server:" not in answer.lower()
        process.send_signal(number)
        assert process.wait(30) == 0


def test_a_taken_port_is_one_sentence_and_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serve("--port", port) as process:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 2
    assert errors.strip() == f"CommandError: Cannot listen on 127.0.0.1 port {port}: Address already in use."


@pytest.mark.django_db
@pytest.mark.parametrize("options", [("--port", "99999"), ("--host", "192.0.2.1"), ("--port", "x"), ("--wrong",)])
def test_a_wrong_option_is_one_sentence_and_2(options: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """As manage.py runs it, in this process."""
    with pytest.raises(SystemExit) as end:
        run_command(["manage.py", "serve", *options])
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
