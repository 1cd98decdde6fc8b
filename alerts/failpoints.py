"""Named points at which a process kills itself, for the fault tests; nothing at all without TESTING and FAILPOINT."""

import os
import signal

from django.conf import settings


def failpoint(name: str) -> None:
    """`kill -9` this process if the setting FAILPOINT is `name`."""
    if settings.FAILPOINT and name == settings.FAILPOINT:
        os.kill(os.getpid(), signal.SIGKILL)
