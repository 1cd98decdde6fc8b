"""docs/data.md knows every table, and says of each how long it is kept."""

import re

import pytest
from django.apps import apps

from alerts.retention.registry import everything_kept
from orgs.models import Retention
from tests.launching import ROOT

ROWS = [line for line in (ROOT / "docs" / "data.md").read_text("utf-8").splitlines() if line.startswith("| `")]


def tables(line: str) -> set[str]:
    """The tables that a line is about."""
    return set(re.findall(r"`(\w+)`", line.split("|")[1]))


def test_every_table_is_in_it() -> None:
    models = [model._meta for model in apps.get_models(include_auto_created=True)]
    known = {model.db_table for model in models if model.managed and not model.proxy}
    assert known - set().union(*map(tables, ROWS)) == set()


def test_nothing_is_in_it_that_is_no_table() -> None:
    known = {model._meta.db_table for model in apps.get_models(include_auto_created=True)} | {"cache"}
    assert set().union(*map(tables, ROWS)) - known == set()


@pytest.mark.parametrize("line", ROWS)
def test_each_line_says_everything(line: str) -> None:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert len(cells) == 5 and all(cells)


@pytest.mark.parametrize("field", [field for field in Retention._meta.get_fields() if field.name.endswith("_days")])
def test_each_default_is_said_where_it_is_used(field) -> None:
    used = {entry.table for entry in everything_kept() if entry.days == field.name}
    for table in used:
        said = [line for line in ROWS if table in tables(line) and field.name in line]
        assert any(f"{field.default} days" in line for line in said), table
