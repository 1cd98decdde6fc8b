"""The TypeScript client, installed and built once: for tests that run it or load it in a browser."""

import fcntl
import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "clients" / "typescript"
INSTALL = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
INSTALL += ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=1000"]
OLDEST = 20  # major version of node
INSTALLED, BUILT = PACKAGE / "node_modules" / ".installed", PACKAGE / "dist" / ".built"


def built_package() -> Path:
    """The folder of the package, with node_modules and dist as its sources say. Skips where it cannot be made."""
    if missing := _make():
        pytest.skip(missing)
    return PACKAGE


@lru_cache(maxsize=1)
def _make() -> str:
    """Install and build what is not of now; the reason why it cannot be done, or nothing."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "node or npm is missing"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST:
        return f"node {OLDEST} is missing: this is {version}"
    with (PACKAGE / "package.json").open() as lock:  # one process at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = _hash_of([PACKAGE / "package-lock.json"])
        if not _is(INSTALLED, wanted):
            done = subprocess.run(INSTALL, cwd=PACKAGE, capture_output=True, text=True, timeout=300)
            if done.returncode:
                told = [line for line in done.stderr.splitlines() if "failed" in line] or done.stderr.splitlines()
                return f"the npm registry is missing: {told[:1]}"
            INSTALLED.write_text(wanted)
        sources = sorted(path for path in (*PACKAGE.glob("src/*"), *PACKAGE.glob("*.json"), *PACKAGE.glob("*.ts")))
        wanted = _hash_of(sources)
        if not _is(BUILT, wanted):
            subprocess.run(["npm", "run", "--silent", "build"], cwd=PACKAGE, check=True, capture_output=True)
            BUILT.write_text(wanted)
    return ""


def _hash_of(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in paths)).hexdigest()


def _is(stamp: Path, wanted: str) -> bool:
    return stamp.exists() and stamp.read_text() == wanted
