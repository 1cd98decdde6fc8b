"""What a line of a library and an exception look like in the logs: names, numbers and places."""

import logging
from typing import Any

import psycopg
import pytest
from celery.app.trace import log_policy_unexpected
from django.db import IntegrityError

from orgs.logs import described, said, traced
from tests.factories import OrgFactory

CANARY = "canary words"


def line(template: str, *args: Any) -> str:
    record = logging.LogRecord("library", logging.ERROR, __file__, 1, template, args, None)
    return said(record, record.args)


@pytest.mark.parametrize(
    ("template", "args", "shown"),
    [
        ("plain words", (), "plain words"),
        ("%s has %d of %.1f", (CANARY, 3, 0.5), "… has 3 of 0.5"),
        ("lost: %s", (ValueError(CANARY),), "lost: ValueError"),
        ("lost: %r", (OSError(2, "No such file", CANARY),), "lost: 'FileNotFoundError: No such file'"),
        ("first line\nfuture: <Task exception=ValueError('canary words')>", (), "first line"),
        ("%d of a library that counts wrongly", (CANARY,), "%d of a library that counts wrongly"),
    ],
)
def test_of_the_arguments_of_a_library_only_numbers_and_kinds_are_said(template: str, args: Any, shown: str) -> None:
    assert line(template, *args) == shown


def test_a_failed_task_is_named_and_what_it_was_given_is_not() -> None:
    about = {"name": "alerts.tasks.sweep", "id": "7", "exc": CANARY, "args": CANARY, "description": "raised unexpected"}
    assert line(log_policy_unexpected.format.strip(), about) == "Task alerts.tasks.sweep[7] raised unexpected: …"


def test_a_database_error_is_said_by_its_code_and_place(db: None) -> None:
    OrgFactory(external_id=CANARY)
    with pytest.raises(IntegrityError, match=CANARY) as caught:
        OrgFactory(external_id=CANARY)
    assert described(caught.value).startswith("IntegrityError 23505 orgs_org ")
    assert CANARY not in traced(caught.value)
    assert "UniqueViolation 23505" in traced(caught.value)


def test_why_there_is_no_connection_is_said() -> None:
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect("postgresql://live:canary@127.0.0.1:1/live", connect_timeout=3)
    assert "Connection refused" in described(caught.value) and "canary" not in described(caught.value)


def test_what_led_to_an_exception_is_traced_without_its_words() -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ExceptionGroup(CANARY, [ValueError(CANARY), TypeError(CANARY)]) from error
    except ExceptionGroup as error:
        told = traced(error)
    assert [name for name in told.splitlines() if not name.startswith(" ")] == [
        *("KeyError", "ValueError", "TypeError", "ExceptionGroup"),
    ]
    assert CANARY not in told


@pytest.mark.parametrize("name", ["celery.worker.strategy", "celery.app.trace", "celery.beat"])
def test_a_sweep_that_goes_well_is_not_worth_a_line(name: str) -> None:
    assert not logging.getLogger(name).isEnabledFor(logging.INFO)
    assert logging.getLogger(name).isEnabledFor(logging.WARNING)
