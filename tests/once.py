"""What every test process needs and one of them makes."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that all processes of this run have in common."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[], object]) -> None:
    """Afterwards `make` has run, here or in another process of this run."""
    made = shared(tmp_path_factory) / f"{name}-made"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make()
            made.touch()
