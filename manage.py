#!/usr/bin/env python
"""Django's command line for the console; `bin/manage` runs it against the running instance."""

import os
import sys


def main() -> int:
    """Run one management command with `console.settings`; gives its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    from console.entry import run_command

    return run_command(sys.argv)


if __name__ == "__main__":
    sys.exit(main())
