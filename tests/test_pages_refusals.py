"""Sources says in words why items and deliveries were refused: every code that the lane can give has some."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import translation

import console.ingest
from console.pages.sources.words import REASONS
from tests.api_client import signed_in
from tests.factories import RejectedItemFactory, SourceFactory, UserFactory
from tests.standins import ROOT
from tests.test_pages import text

RAISED = {"InvalidItem", "BadTime", "BadJson", "_NotUnderstood"}
PLACES = ("console/ingest", "alerts/sources", "alerts/times.py", "orgs/strict_json.py")


def codes() -> Iterator[str]:
    """Those of items, as the lane lists them, and every one that is written where items and deliveries are read."""
    listed = (console.ingest.__doc__ or "").split("Item errors")[1]
    yield from re.findall(r"`(\w+)`", listed.split("):", 1)[1])
    for place in PLACES:
        path = ROOT / place
        for file in path.rglob("*.py") if path.is_dir() else [path]:
            yield from _written(file)


def _written(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, ast.Call):
            continue
        named = [one.value for one in node.keywords if one.arg == "reason"]
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        for one in [*named, *(node.args[:1] if called in RAISED else [])]:
            if isinstance(one, ast.Constant) and isinstance(one.value, str) and one.value:
                yield one.value


def test_every_code_of_a_refusal_has_words() -> None:
    found = set(codes())
    assert {"secret", "too_old", "no_room", "not_an_object", "bad_text"} <= found, "they are found at all"
    assert found - REASONS.keys() == set()


@pytest.mark.parametrize("locale", ["en", "id"])
def test_a_secret_and_a_run_of_long_ago_are_said_in_words(db: None, locale: str) -> None:
    source = SourceFactory()
    RejectedItemFactory(org=source.org, source=source, code="secret", field="metadata.password")
    RejectedItemFactory(org=source.org, source=source, code="too_old", field="started_at")
    client: Client = signed_in(UserFactory(is_specialist=True, locale=locale))
    page = text(client.get("/sources"))
    with translation.override(locale):
        for code in ("secret", "too_old"):
            assert f"1× {REASONS[code]}" in page
    assert "1× secret" not in page
    assert "2000" in page, "30 days is not the rule of runs"
