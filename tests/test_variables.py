"""A wrong value of a variable is one sentence that names it, before anything starts, and never quotes a password."""

import os
import runpy
import subprocess
import sys
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.launching import ROOT

SECRET = "canarypassword"
# Each was an endless restart, a service that answers 503 to all, a push that never goes, or a switch that stays off.
WRONG = {
    "REDIS_URL": (f"http://:{SECRET}@h", "localhost:6379", f"redis://:{SECRET}/x@h:1/0", "redis://h:port", "unix://x"),
    "BASE_URL": ("monitor", "ftp://h", "https://h/sub", "https://h:0", "https://somebody@h", "https://a b"),
    "NOTIFICATION_SERVICE_URL": ("foo", "ftp://h", f"http://u:{SECRET}@service.example"),
    "EMAIL_URL": ("mail", f"smtp+tls://u:{SECRET}/x@h:587", "smtp://h:port"),
    "SENTRY_DSN": ("foo", f"https://{SECRET}@h", "https://h/1"),
    "LOG_LEVEL": ("loud", "10"),
    **dict.fromkeys(("DJANGO_SLOTS", "INGEST_THREADS", "INGEST_WAITING"), ("0", "-1", "x", "1.5", "9" * 12)),
    **dict.fromkeys(("INGEST_RATE_PER_MINUTE", "TRUSTED_PROXIES", "DB_POOL_MAX"), ("-1", "all", "٣")),
    **dict.fromkeys(("PUSH_RATE_PER_SECOND", "PUSH_BURST"), ("0", "-1", "x", "nan", "inf")),
    **dict.fromkeys(("DEMO", "DEBUG", "BEHIND_PROXY", "WEB_HEARTBEAT"), ("maybe", "2", "treu")),
    **dict.fromkeys(("DB_PREPARED_STATEMENTS", "NOTIFICATION_SERVICE_IS_STANDIN"), ("nein",)),
}
RIGHT = {
    "REDIS_URL": ("redis://h", "redis://:p%2Fw@h:6379/0", "rediss://u:p@h:6380/1", "unix:///a b/v.sock", " redis://h "),
    "BASE_URL": ("https://monitor.example.com", "http://[::1]:8000/", "http://localhost:8000"),
    "NOTIFICATION_SERVICE_URL": ("https://h/base", "http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9"),
    "EMAIL_URL": ("smtp+tls://user:pass%2Fword@host:587",),
    "LOG_LEVEL": ("debug", "Warning"),
    "DEMO": ("1", "off", "TRUE"),
    "PUSH_RATE_PER_SECOND": ("0.5", "1000000"),
    "INGEST_RATE_PER_MINUTE": ("0",),
}  # fmt: skip


def settings_with(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> dict[str, Any]:
    """What console/settings.py makes of the environment with this variable."""
    monkeypatch.setenv("DEMO", "0")
    monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "console" / "settings.py"))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_sentence(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        settings_with(monkeypatch, name, value)
    said = str(caught.value)
    assert said.startswith(f"{name} must be ") and said.endswith(".") and "\n" not in said
    assert SECRET not in said


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in RIGHT.items() for value in values])
def test_a_right_value_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_with(monkeypatch, name, value)


@pytest.mark.parametrize("name", [name for name in WRONG if name != "NOTIFICATION_SERVICE_URL"])
def test_an_empty_one_counts_as_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose passes all of them on, `.env` or not."""
    empty = settings_with(monkeypatch, name, "")
    monkeypatch.delenv(name)
    unset = runpy.run_path(str(ROOT / "console" / "settings.py"))
    assert empty.get(name) == unset.get(name)


def test_plain_http_to_a_service_far_away_is_for_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFICATION_SERVICE_URL", "http://standins:9100")
    monkeypatch.setenv("DEMO", "1")
    assert runpy.run_path(str(ROOT / "console" / "settings.py"))["NOTIFICATION_SERVICE_URL"] == "http://standins:9100"


@pytest.mark.slow
@pytest.mark.parametrize("process", ["serve", "worker", "beat", "dispatcher", "migrate"])
def test_each_process_ends_with_the_sentence(process: str) -> None:
    given = os.environ | {"REDIS_URL": f"http://:{SECRET}@h"}
    command = [sys.executable, "manage.py", process]
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{process}: REDIS_URL must be ") and len(ended.stderr.splitlines()) == 1
    assert SECRET not in ended.stderr


def test_no_setting_is_read_past_the_check() -> None:
    """`env.int` and its like end in a traceback, and `env.bool` takes every misspelt word for off."""
    source = (ROOT / "console" / "settings.py").read_text("utf-8")
    assert not [one for one in ("env.int(", "env.bool(", "env.float(", "env.email(", "env.url(") if one in source]
