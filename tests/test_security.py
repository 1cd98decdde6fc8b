"""Lines of the security checklist that hold of the whole service: headers, cookies, what no code of ours says."""

import csv
import hmac
import inspect
import io
import json
import logging
import logging.config
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from console.celery import app
from orgs import clock, duty_feeds, spreadsheet, walls, webhooks
from orgs.models import ApiKey, DutyFeed, Org, User
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import UserFactory
from tests.tenants import MARK, tenant
from tests.test_login import LOGIN, PASSWORD, with_password
from tests.test_sessions import LEFT_OUT, _address
from tests.test_tenancy import ALL, admin_path, is_admin

ROOT = Path(settings.BASE_DIR)
OURS = ("orgs", "alerts", "runs", "console")
SAFE_SOURCES = re.compile(r"'self'|'none'|'nonce-[\w+/=-]+'")


def source(folder: str, pattern: str) -> dict[str, str]:
    """Our files there, by name; tests and what others wrote are not among them."""
    return {
        str(path.relative_to(ROOT)): path.read_text("utf-8")
        for path in sorted((ROOT / folder).rglob(pattern))
        if "vendor" not in path.parts
    }


def python() -> dict[str, str]:
    return {name: text for folder in OURS for name, text in source(folder, "*.py").items()}


# --- headers (3.3, 3.4) ----------------------------------------------------------------------------------------------


def answers_of_every_kind(org: Org) -> list[Any]:
    """Pages signed in and out, of errors, of the API and its errors, of the admin, a file."""
    person, specialist = signed_in(supervisor_of(org)), signed_in(UserFactory(is_specialist=True))
    return [
        *(Client().get(path) for path in (LOGIN, "/", "/no-such-page", "/api/agents", "/api/no-such-thing")),
        *(person.get(path) for path in ("/", "/kpis", "/success", "/success.csv", "/reach", "/no-such-page")),
        *(specialist.get(path) for path in ("/admin/", "/admin/orgs/org/", "/api/docs")),
        with_key(org, "read").get("/api/alerts"),
        person.post("/alerts/00000000-0000-0000-0000-000000000000/take"),
    ]


def test_every_answer_forbids_frames_sniffing_and_what_is_inline(org: Org) -> None:
    for answer in answers_of_every_kind(org):
        where = answer.request["PATH_INFO"]
        assert answer["X-Content-Type-Options"] == "nosniff", where
        assert answer["Referrer-Policy"] == "same-origin", where
        assert answer["X-Frame-Options"] == "DENY", where
        policy = dict(part.strip().partition(" ")[::2] for part in answer["Content-Security-Policy"].split(";"))
        assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'", where
        assert {"default-src", "script-src", "style-src", "connect-src", "form-action"} <= policy.keys(), where
        for name, sources in policy.items():
            left = [one for one in sources.split() if not SAFE_SOURCES.fullmatch(one)]
            assert left == (["data:"] if name == "img-src" else []), (where, name)


def production(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The settings of a service behind TLS."""
    for name in ("DEMO", "DEBUG", "TESTING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BASE_URL", "https://monitor.example.com")
    return runpy.run_path(str(ROOT / "console" / "settings.py"))


def test_behind_tls_cookies_are_bound_to_the_host_and_the_browser_stays_on_https(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = production(monkeypatch)
    for cookie in ("SESSION_COOKIE", "CSRF_COOKIE"):
        assert found[f"{cookie}_NAME"].startswith("__Host-")
        assert found[f"{cookie}_SECURE"] is found[f"{cookie}_HTTPONLY"] is True
        assert found[f"{cookie}_SAMESITE"] in ("Lax", "Strict")
        assert not found.get(f"{cookie}_DOMAIN")
        assert found.get(f"{cookie}_PATH", "/") == "/"
    assert found["SECURE_SSL_REDIRECT"] is True
    assert found["SECURE_HSTS_SECONDS"] >= 365 * 86400
    assert (found["DEBUG"], found["DEMO"], found["FAILPOINT"]) == (False, False, "")
    assert found["ALLOWED_HOSTS"] == ["monitor.example.com"]


# --- looking changes nothing (3.5) -----------------------------------------------------------------------------------

WRITES = re.compile(r"\s*(?:WITH\b.*\b)?(INSERT INTO|UPDATE|DELETE FROM) \"?(\w+)", re.IGNORECASE | re.DOTALL)
OF_THE_SESSION = {"django_session", "cache"}


def test_no_get_changes_anything(db: None) -> None:
    """Every route, as a browser asks that fetches ahead: a person who enters a room is the one exception."""
    ours = tenant(MARK)
    lead, boss = signed_in(ours.lead), signed_in(UserFactory(is_specialist=True))
    changed = {}
    for route in (route for route in ALL if route.name not in LEFT_OUT):
        client, address = (boss, admin_path(route, ours)) if is_admin(route) else (lead, _address(route, ours))
        with CaptureQueriesContext(connection) as asked:
            client.get(address, headers={"Sec-Purpose": "prefetch"})
        written = {found[2] for one in asked.captured_queries if (found := WRITES.match(one["sql"]))}
        if written - OF_THE_SESSION:
            changed[address] = written
    assert not changed


# --- what is written into pages (1.2, 3.2.2) -------------------------------------------------------------------------


def test_nothing_that_was_said_is_called_safe() -> None:
    """A row that our template made is made the reader's own, and stays what it was: console/text/reader.py."""
    assert {name for name, text in python().items() if "mark_safe(" in text} == {"console/text/reader.py"}
    for name, text in source("templates", "*.html").items():
        assert not re.search(r"\|\s*safe\b|safeseq|autoescape off", text), name


def test_scripts_put_nothing_but_our_own_answers_into_a_page_as_html() -> None:
    """Each of these is the text of an answer that our templates made."""
    scripts = source("static/js", "*.js")
    writes = {name for name, text in scripts.items() if re.search(r"\.innerHTML\s*\+?=|insertAdjacentHTML", text)}
    assert writes == {f"static/js/{name}.js" for name in ("drawer", "list", "palette", "select", "views")}
    for name, text in scripts.items():
        assert not re.search(r"outerHTML\s*=|document\.write|\beval\(|new Function|setHTMLUnsafe", text)
        assert "javascript:" not in text, name


# --- tasks, accounts, keys -------------------------------------------------------------------------------------------


def test_tasks_are_json_and_hold_nothing() -> None:
    """1.5.2. Of a message in anything else the worker reads nothing."""
    app.loader.import_default_modules()
    assert app.conf.task_serializer == "json"
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result is True
    ours = [task for name, task in app.tasks.items() if name.split(".")[0] in OURS]
    assert len(ours) > 5
    for task in ours:
        assert not inspect.signature(task.run).parameters, task.name


def test_a_new_service_knows_nobody_and_no_key(db: None) -> None:
    """6.3: no default accounts."""
    assert not User.objects.exists()
    assert not ApiKey.objects.exists()


@pytest.mark.usefixtures("system")
def test_40_secrets_of_addresses_are_compared_in_constant_time_whether_there_is_one_or_not(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, compared, compare = tenant(MARK), list[int](), hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(len(one))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    feed = DutyFeed.objects.get()
    for find, known in (
        (lambda segment: webhooks.find("qontak", segment, clock.now()), ours.endpoint.public_id),
        (walls.find_wall, ours.wall.public_id),
        (duty_feeds.find_feed, feed.public_id),
    ):
        for public_id in (known, "nobody"):
            compared.clear()
            with pytest.raises((webhooks.UnknownEndpoint, walls.UnknownWall, duty_feeds.UnknownFeed)):
                find(f"{public_id}.wrong")
            assert compared == [32], public_id


# --- files (37) ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\0"])
def test_37_a_cell_that_a_spreadsheet_would_calculate_is_a_text(begin: str) -> None:
    evil = f"{begin}cmd|' /C calc'!A1"
    ((first, second, third),) = csv.reader(io.StringIO(spreadsheet.line(["org", evil, None]), newline=""))
    assert (first, second, third) == ("org", f"'{evil}", "")
    assert spreadsheet.as_typed(second) == evil.strip(" ")


def test_37_every_file_is_written_by_that_one_writer() -> None:
    assert {name for name, text in python().items() if "csv.writer" in text} == {"orgs/spreadsheet.py"}


# --- logs (16.3, 16.4) -----------------------------------------------------------------------------------------------


def test_who_logs_in_and_who_fails_to_is_logged_without_what_was_typed(db: None) -> None:
    rina = with_password(UserFactory(email="rina@example.com"))
    for password, event in ((f"{PASSWORD}x", "log_in_failed"), (PASSWORD, "logged_in")):
        with structlog.testing.capture_logs() as logged:
            Client().post(LOGIN, {"login": "rina@example.com", "password": password})
        (line,) = [one for one in logged if one["event"] in ("log_in_failed", "logged_in")]
        assert line["event"] == event
        assert line.get("person") == (rina.pk if event == "logged_in" else None)
        assert PASSWORD not in str(logged)
        assert "rina@" not in str(logged)


def test_who_is_refused_is_logged_with_the_status(org: Org) -> None:
    for client, path, status in (
        (Client(), "/api/agents", 401),
        (with_key(org, "ingest"), "/api/agents", 403),
        (signed_in(supervisor_of(org)), "/admin/orgs/org/", 302),
        (Client(REMOTE_ADDR="203.0.113.9"), "/metrics", 403),
    ):
        with structlog.testing.capture_logs() as logged:
            client.get(path)
        assert status in [one.get("code") for one in logged], (path, logged)


def test_a_line_of_the_log_is_one_line_whatever_it_says() -> None:
    """16.4: what somebody sent cannot look like another line."""
    handler = logging.config.DictConfigurator(settings.LOGGING).configure_formatter(
        dict(settings.LOGGING["formatters"]["json"])
    )
    record = logging.LogRecord("library", logging.ERROR, __file__, 1, "odd\r\n{}\u2028 %d", (3,), None)
    event = {"event": "ours", "agent": 'Bot\r\n{"event": "forged"}\u2028'}
    ours = logging.LogRecord("ours", logging.INFO, __file__, 1, event, (), None)
    ours.__dict__.update(_logger=None, _name="info")
    for one in (record, ours):
        said = handler.format(one)
        assert len(said.splitlines()) == 1
        assert "forged" not in json.loads(said)["event"]
