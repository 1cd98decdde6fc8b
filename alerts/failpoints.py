"""Named points at which a process kills itself, for the fault tests; nothing at all without TESTING and FAILPOINT."""

import os
import signal
from functools import lru_cache

from django.conf import settings


@lru_cache(maxsize=1)
def _chosen() -> str:
    """The setting, which stays: every transaction asks."""
    return str(settings.FAILPOINT)


def failpoint(name: str) -> None:
    """`kill -9` this process if the setting FAILPOINT is `name`."""
    if name == _chosen():
        os.kill(os.getpid(), signal.SIGKILL)
