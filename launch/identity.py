"""As whom PostgreSQL runs: it refuses to run as root.

A plain user runs it as itself. Root drops to `nobody` where nobody can reach the folder and the program, else
it enters a user namespace in which root's own files belong to an ordinary user.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CLONE_NEWUSER = 0x10000000
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """`become` runs in the child before the program does; `owner` is who its files must belong to."""

    label: str
    owner: tuple[int, int] | None
    become: Callable[[], None]


def candidates() -> list[Identity]:
    """The identities to try on this machine, best first."""
    if os.geteuid() != 0:
        return [Identity("", None, lambda: None)]
    nobody = pwd.getpwnam("nobody")
    return [
        Identity("as user nobody", (nobody.pw_uid, nobody.pw_gid), lambda: _drop(nobody.pw_uid, nobody.pw_gid)),
        Identity("in a user namespace", (0, 0), lambda: _enter_namespace(nobody.pw_uid, nobody.pw_gid)),
    ]


def give(identity: Identity, folder: Path) -> None:
    """Make a private folder (mode 0700) and all in it belong to the identity. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if identity.owner is None:
        return
    found = folder.stat()
    if (found.st_uid, found.st_gid) != identity.owner:
        for path in folder.rglob("*"):
            os.chown(path, *identity.owner, follow_symlinks=False)
        os.chown(folder, *identity.owner)
    folder.chmod(0o700)


def can_use(identity: Identity, folder: Path, program: Path) -> bool:
    """Whether this identity can write into the folder and run the program, tried for real."""

    def enter() -> None:
        identity.become()
        os.chdir(folder)
        if not os.access(folder, os.W_OK):
            raise PermissionError(str(folder))

    try:
        give(identity, folder)
        done = subprocess.run(
            [str(program), "--version"], preexec_fn=enter, capture_output=True, check=False, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _drop(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def _enter_namespace(uid: int, gid: int) -> None:
    """Map root to `uid` in a new user namespace; root's files then look like that user's own."""
    outer_uid, outer_gid = os.getuid(), os.getgid()
    if LIBC.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {outer_gid} 1")
