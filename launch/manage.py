"""bin/manage: manage.py with the environment of the running instance."""

from __future__ import annotations

import os
from collections.abc import Sequence

from launch import engines
from launch.instance import Instance, default_folder
from launch.say import LaunchError
from launch.venv import ROOT, Venv, clean_environment

NEEDS_NO_DATABASE = {
    "help",
    "check",
    "check_translations",
    "collectstatic",
    "compilemessages",
    "makemessages",
    "makemigrations",
}
BELOW_HERE = {"makemessages", "compilemessages"}  # they look for their files below the current folder
HELP_FLAGS = {"--help", "-h", "--version"}


def main(arguments: Sequence[str]) -> int:
    """Becomes manage.py. Raises LaunchError if nothing runs and the command needs a database."""
    venv = Venv()
    values = _environment(arguments)
    engines.install(venv, clean_environment())
    env = clean_environment() | values
    if arguments and arguments[0] in BELOW_HERE:
        os.chdir(ROOT)  # elsewhere a file is named from where the caller stands
    os.execve(venv.python, [str(venv.python), str(ROOT / "manage.py"), *arguments], env)  # noqa: S606


def _environment(arguments: Sequence[str]) -> dict[str, str]:
    try:
        return Instance(default_folder()).environment()
    except LaunchError:
        if not needs_no_database(arguments):
            raise
    return {
        "SECRET_KEY": "no-instance-runs-" + "0123456789" * 5,
        "DATABASE_URL": "postgresql://live@/live?host=/nonexistent",
        "REDIS_URL": "unix:///nonexistent/valkey.sock",
        "DATA_DIR": str(default_folder()),
        "DJANGO_SETTINGS_MODULE": "console.settings",
    } | {name: os.environ[name] for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL") if name in os.environ}


def needs_no_database(arguments: Sequence[str]) -> bool:
    """Whether a command works without engines: help of any, checks, translations, static files."""
    return not arguments or arguments[0] in NEEDS_NO_DATABASE or bool(HELP_FLAGS & set(arguments))
