"""What an instance runs, with which options and environment."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from launch import ports
from launch.engines import Engines
from launch.instance import SECRETS, Instance
from launch.supervise import Program
from launch.venv import ROOT, RUN


def environment(instance: Instance, own: Engines, given: Mapping[str, str], port: int, demo: bool) -> dict[str, str]:
    """The variables that every program gets; secrets and notification-service may come from outside."""
    made = instance.secret_values()
    outside = given.get("NOTIFICATION_SERVICE_URL", "")
    standins = "" if outside else f"http://{ports.LOOPBACK}:{ports.kept_free(instance.folder / 'standins-port')}"
    values = {name: given.get(name) or made[name] for name in SECRETS}
    return values | {
        "DATABASE_URL": own.database_url,
        "REDIS_URL": own.redis_url,
        "BASE_URL": f"http://{ports.LOOPBACK}:{port}",
        "DEMO": "1" if demo else "0",
        "STATIC_COMPRESS": "gzip",
        "NOTIFICATION_SERVICE_URL": outside or standins,
        "STANDINS_URL": standins,
        # In the demo the phones are invented too, and shown as a real service would show them.
        "NOTIFICATION_SERVICE_IS_STANDIN": "1" if standins and not demo else "0",
        "DATA_DIR": str(instance.folder),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "console.settings",
    }


@dataclass(frozen=True)
class Maker:
    """Makes the programs of one instance from its Python, its environment and its data folder."""

    python: Path
    env: Mapping[str, str]
    data: Path

    def setup_steps(self) -> list[Program]:
        """What runs to its end before anything serves, all of it at once."""
        steps = [self._manage("migrate", "migrate", "--noinput", "--skip-checks")]
        stamp = self.data / "static.stamp"
        if not stamp.exists() or stamp.read_text("utf-8") != self._static_stamp():
            steps.append(self._manage("collectstatic", "collectstatic", "--noinput"))
        return steps

    def note_setup(self) -> None:
        """Keep that the static files are collected as they stand now, so that the next start need not."""
        (self.data / "static.stamp").write_text(self._static_stamp(), "utf-8")

    def _static_stamp(self) -> str:
        """A hash of the names, sizes and times of our static files, and of the packages that bring theirs."""
        files = sorted(path for path in (ROOT / "static").rglob("*") if path.is_file())
        seen = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
        packages = (ROOT / RUN).read_bytes()
        return hashlib.sha256(repr(seen).encode() + packages).hexdigest()

    def services(self, port: int) -> list[Program]:
        """The four processes of the service."""
        return [
            self._manage("web", "serve", "--host", ports.LOOPBACK, "--port", str(port)),
            self._manage("worker", "worker"),
            self._manage("beat", "beat", "--schedule", str(self.data / "beat-schedule")),
            self._manage("dispatcher", "dispatcher"),
        ]

    def standins(self, url: str) -> Program:
        """The stand-in for notification-service: `manage.py standins` without waiting for Django."""
        port = str(urlsplit(url).port)
        return self._program("standins", "-m", "demo.standins", "--port", port, "--data", str(self.data / "standins"))

    def demo_setup(self) -> Program:
        """Demo org, people and keys; run again it changes nothing."""
        return self._manage("demo-setup", "demo_setup")

    def simulator(self) -> Program:
        """Calm traffic that fails now and then: `manage.py simulate` without waiting for Django."""
        calm = ("--rate", "0.2", "--runs", "2", "--rooms", "60", "--agents", "6", "--scenario", "calm")
        return self._program("simulator", "-m", "demo.simulator", *calm)

    def _manage(self, name: str, *arguments: str) -> Program:
        return self._program(name, "manage.py", *arguments)

    def _program(self, name: str, *arguments: str) -> Program:
        return Program(name, [str(self.python), *arguments], self.env, stop=signal.SIGTERM)
