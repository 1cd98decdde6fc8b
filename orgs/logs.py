"""What logs and error reports may say: names, numbers and places in the code; never what somebody sent.

Paths, queries, arguments and the texts of exceptions hold links, search words, keys and customers' words. Our own
lines name their fields; the lines of libraries are cut down here, whatever library it is.
"""

import logging
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import structlog
from django import db
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from structlog.typing import EventDict

UNKNOWN = "unknown"
LEFT_OUT = "…"
PLACES = ("table_name", "column_name", "constraint_name")
REPORTED = (
    "event_id", "timestamp", "level", "logger", "platform", "release", "environment", "server_name", "sdk", "modules",
    "exception",
)  # fmt: skip
# Of what Celery says about a task; the rest quotes arguments and exceptions.
TASK_FACTS = frozenset({"name", "id", "description"})


def route(request: HttpRequest) -> str:
    """The pattern of the address, such as `/invite/<str:uid>/<str:token>`; `unknown` if there is none."""
    try:
        return f"/{(request.resolver_match or resolve(request.path_info)).route}"
    except Resolver404:
        return UNKNOWN


def described(error: BaseException) -> str:
    """The class of an exception. Of a database error also its code and place, or why there is no connection."""
    name = type(error).__name__
    cause = error.__cause__ if isinstance(error, db.Error) and error.__cause__ else error
    diag = getattr(cause, "diag", None)
    if diag is not None and diag.sqlstate:
        return " ".join([name, diag.sqlstate, *filter(None, (getattr(diag, place) for place in PLACES))])
    if isinstance(error, db.OperationalError | psycopg.OperationalError):
        return f"{name}: {str(error).partition(chr(10))[0]}"
    reason = error.strerror if isinstance(error, OSError) else None
    return f"{name}: {reason}" if reason else name


def traced(error: BaseException) -> str:
    """The traceback of an exception and of those behind it, the first one first; each of them only described."""
    return "\n".join(
        f"{''.join(traceback.format_tb(one.__traceback__))}{described(one)}" for one in _behind(error, set())
    )


def _behind(error: BaseException, seen: set[int]) -> Iterator[BaseException]:
    if id(error) in seen:
        return
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for other in (before, *getattr(error, "exceptions", ())):
        if isinstance(other, BaseException):
            yield from _behind(other, seen)
    yield error


def said(record: logging.LogRecord, args: Any) -> str:
    """A library's line: its template, of the arguments only numbers and exceptions, and the names of tasks."""
    if isinstance(getattr(record, "request", None), HttpRequest):
        return record.name  # Django's own texts quote the address; the exception and the route say it
    template = str(record.msg)
    if not args:
        return template.partition("\n")[0]
    try:
        if isinstance(args, Mapping):
            return template % {name: value if name in TASK_FACTS else _told(value) for name, value in args.items()}
        return template % tuple(_told(value) for value in args)
    except (TypeError, ValueError):
        return template


def _told(value: Any) -> Any:
    if isinstance(value, BaseException):
        return described(value)
    return value if isinstance(value, int | float) else LEFT_OUT


def cut(logger: Any, method: str, event: EventDict) -> EventDict:
    """structlog processor for the lines of libraries: `said`, and which route a request was for."""
    record, args = event["_record"], event.pop("positional_args", ())
    event["event"] = said(record, args)
    request = getattr(record, "request", None)
    if isinstance(request, HttpRequest):
        event.update(code=getattr(record, "status_code", None), request=f"{request.method} {route(request)}")
    return event


told_exceptions = structlog.processors.ExceptionRenderer(lambda exc_info: traced(exc_info[1]))


def error_report(event: Any, hint: dict[str, Any]) -> Any:
    """Sentry's `before_send`, event in, event out: only fields named here leave us, exceptions without texts."""
    kept = {name: event[name] for name in REPORTED if name in event}
    if (event.get("transaction_info") or {}).get("source") == "route":
        kept["transaction"] = event["transaction"]
    if record := hint.get("log_record"):
        own = record.msg if isinstance(record.msg, dict) else {"event": said(record, record.args)}
        kept["logentry"] = {"message": own["event"]}
        kept["extra"] = {name: str(value) for name, value in own.items()}
    error = (hint.get("exc_info") or (None, None))[1]
    texts = {type(one).__name__: described(one) for one in _behind(error, set())} if error else {}
    for value in kept.get("exception", {}).get("values", ()):
        value["value"] = texts.get(value["type"], "")
        value.pop("mechanism", None)
    return kept
