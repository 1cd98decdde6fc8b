"""The launcher behind bin/: standard library only, Linux.

This file alone is written so that an old Python can read it and say what is missing.
"""

import os
import shutil
import sys

OLDEST = (3, 11)


def entry(module):
    # type: (str) -> int
    """Run main() of launch.<module> on Python 3.11 or newer and give back its exit code."""
    if sys.version_info < OLDEST:
        return _newer_python()
    import importlib

    from launch.say import guarded

    return guarded(importlib.import_module("launch." + module).main, sys.argv)


def _newer_python():
    # type: () -> int
    """Start again with a newer Python from PATH, or say in one sentence that there is none."""
    for minor in range(OLDEST[1], OLDEST[1] + 6):
        found = shutil.which("python3.{}".format(minor))  # noqa: UP032
        if found:
            os.execv(found, [found] + sys.argv)  # noqa: S606, RUF005
    here = ".".join(str(part) for part in sys.version_info[:2])
    sys.stderr.write("This needs Python 3.11 or newer, and python3 here is {}.\n".format(here))  # noqa: UP032
    return 2
