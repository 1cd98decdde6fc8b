"""The virtual environment in .venv: made once, kept at the locked requirements, repaired if half made."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launch.say import LaunchError, say

ROOT = Path(__file__).resolve().parent.parent
RUN = "requirements.txt"
EMBEDDED = "requirements-embedded.txt"
DEV = "requirements-dev.txt"
PIP_OPTIONS = ["--require-hashes", "--no-deps", "--disable-pip-version-check", "--no-input", "--retries", "2"]


class Venv:
    """The environment of one checkout. `.venv/installed.json` names what is wholly installed, by hash."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.python = self.folder / "bin" / "python"
        self.log = self.folder / "pip.log"
        self._marker = self.folder / "installed.json"
        self._begun = self.folder / "installing"

    @property
    def packages(self) -> Path:
        """Its site-packages folder."""
        found = sorted(self.folder.glob("lib/python3*/site-packages"))
        return found[-1] if found else self.folder / "lib"

    def ensure(self, files: Sequence[str]) -> None:
        """Install these requirement files unless they are installed; one process at a time does so.

        Raises LaunchError if Python has no venv, or pip cannot get a package.
        """
        if not self._missing(files):
            return
        with self._lock():
            missing = self._missing(files)
            if missing:
                self._create_if_needed()
                self._install(missing)

    def has(self, file: str) -> bool:
        """Whether this requirement file is installed as it stands now."""
        return not self._missing([file])

    def _missing(self, files: Sequence[str]) -> list[str]:
        installed = self._installed()
        return [file for file in files if installed.get(file) != self._digest(file)]

    def _installed(self) -> dict[str, str]:
        """File name -> hash of what is installed; nothing if the environment is not usable."""
        try:
            kept = json.loads(self._marker.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        usable = kept.get("python") == self._version() and not self._begun.exists()
        return kept["files"] if usable else {}

    def _version(self) -> str:
        """What the environment's own Python calls itself; empty if it does not start."""
        try:
            done = subprocess.run(
                [str(self.python), "-ISc", "import sys; print(sys.version)"],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return ""
        return done.stdout.strip()

    def _digest(self, file: str) -> str:
        return hashlib.sha256((self.root / file).read_bytes()).hexdigest()

    def _create_if_needed(self) -> None:
        """A broken or half made environment is made anew; a sound one, whoever made it, is kept."""
        sound = not self._begun.exists() and self._version() and self._pip("--version", quiet=True) == 0
        if sound:
            return
        if self.folder.exists() and not os.access(self.folder, os.W_OK):
            raise LaunchError(f"{self.folder} belongs to another user: remove it or run as that user.")
        say("Making the virtual environment .venv")
        shutil.rmtree(self.folder, ignore_errors=True)
        done = subprocess.run(
            [sys.executable, "-m", "venv", str(self.folder)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LaunchError(
                "This Python cannot make virtual environments: install its venv package"
                f" (Debian: apt-get install python3-venv) and start again{_last(done.stderr.strip().splitlines())}."
            )

    def _install(self, files: Sequence[str]) -> None:
        say(f"Installing {' and '.join(files)} into .venv, which needs the network this once")
        kept = self._installed()
        self._begun.touch()
        arguments = [part for file in files for part in ("-r", file)]
        if self._pip("install", *PIP_OPTIONS, *arguments) != 0:
            said = self.log.read_text("utf-8", "replace").splitlines()
            raise LaunchError(
                "The locked requirements could not be installed; the first start needs the network (pip's whole answer"
                f" is in {self.log}){_last([line for line in said if line.startswith('ERROR')])}."
            )
        kept.update({file: self._digest(file) for file in files})
        self._marker.write_text(json.dumps({"python": self._version(), "files": kept}), "utf-8")
        self._begun.unlink()

    def _pip(self, *arguments: str, quiet: bool = False) -> int:
        """Exit code of pip; what it says goes to the log of the environment."""
        where = Path(os.devnull) if quiet else self.log
        with where.open("ab" if quiet else "wb") as out:
            done = subprocess.run(
                [str(self.python), "-m", "pip", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=self.root,
                env=clean_environment(),
                check=False,
            )
        return done.returncode

    @contextmanager
    def _lock(self) -> Iterator[None]:
        try:
            file = (self.root / ".venv.lock").open("a")
        except OSError as error:
            raise LaunchError(
                f"The checkout {self.root} cannot be written to ({error.strerror}): clone it as this user."
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("Waiting for another start that is installing into .venv")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def clean_environment() -> dict[str, str]:
    """This process's environment without what would make another Python look in the wrong places.

    Nor may a Python forget what it compiled: each of the many processes would compile all of it anew.
    """
    strangers = {
        *("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"),
        "PYTHONDONTWRITEBYTECODE",
    }
    return {name: value for name, value in os.environ.items() if name not in strangers}


def _last(lines: Sequence[str]) -> str:
    return f": {lines[-1].removeprefix('ERROR: ').rstrip('.')}" if lines else ""
