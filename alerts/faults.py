"""When one item of a sweep fails: the others go on, and the log says which it was, with nothing of its content."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from django.db import InterfaceError, OperationalError

from orgs.logs import described

# The database is away, or two transactions met: nothing is wrong with the item, and the next sweep finds it again.
PASSING = (OperationalError, InterfaceError)

log = structlog.get_logger(__name__)


def report(event: str, error: Exception, **ids: object) -> None:
    """Log that an item failed: its ids, the kind of error and the line that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    log.error(event, error=described(error), where=where, **ids)


@contextmanager
def contained(event: str, **ids: object) -> Iterator[None]:
    """Report what fails in this block and go on behind it. Raises what PASSING names."""
    try:
        yield
    except PASSING:
        raise
    except Exception as error:  # noqa: BLE001 - logged with its ids; the others go on
        report(event, error, **ids)
