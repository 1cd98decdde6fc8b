"""Starts each process: looks at settings, database and schema, and says in one sentence what is wrong."""

import sys
from collections.abc import Sequence

import django
import structlog
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

from orgs.database import Unusable, look

RUNS = frozenset({"serve", "worker", "beat", "dispatcher", "migrate"})
HELP = frozenset({"-h", "--help"})
AHEAD = "The database is of a newer version than this code (it has {}): run the newer code, or restore a backup."

log = structlog.get_logger(__name__)


def run_command(argv: Sequence[str]) -> int:
    """Run one management command; 2 with one sentence if it cannot begin."""
    command = argv[1] if len(argv) > 1 else ""
    try:
        if command in RUNS and not HELP & set(argv):
            django.setup()
            _look_at_schema(command)
        execute_from_command_line(list(argv))
    except (ImproperlyConfigured, Unusable) as error:
        return _refuse(command, str(error))
    except (OperationalError, InterfaceError):
        try:
            look()
        except Unusable as error:
            return _refuse(command, str(error))
        raise
    return 0


def _look_at_schema(command: str) -> None:
    """Stop old code on new tables: it would write what they no longer mean. Raises Unusable."""
    schema = look()
    if schema.ahead:
        raise Unusable(AHEAD.format(", ".join(schema.ahead)))
    if schema.pending and command not in ("migrate", "serve"):  # serve says it at /readyz until they are there
        log.warning("migrations_pending", newest=schema.pending)


def _refuse(command: str, sentence: str) -> int:
    sys.stderr.write(f"{command}: {sentence}\n" if command else f"{sentence}\n")
    return 2
