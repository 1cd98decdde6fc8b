"""What bench/feed.py stands on: a scratch database, a web process on it, two orgs and the people who watch them."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg
from psycopg import sql

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
SCRATCH = f"live_bench_feed_{os.getpid()}"
ORGS, LANGUAGES = ("bench-a", "bench-b"), ("en", "id")
PER_USER, PER_ADDRESS = 10, 150  # sockets; the web process allows 20 and 200


def environment(stack: ExitStack) -> None:
    """Scratch database and folder for this process and those it starts; then Django."""
    data = stack.enter_context(tempfile.TemporaryDirectory(prefix="live-bench-"))
    os.environ |= {
        "DATABASE_URL": stack.enter_context(scratch_database()),
        "DATA_DIR": data,
        "BASE_URL": f"http://{HOST}",
        "DJANGO_SETTINGS_MODULE": "console.settings",
        "INGEST_RATE_PER_MINUTE": "0",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "ERROR"),
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


@contextmanager
def scratch_database() -> Iterator[str]:
    """The URL of an empty database beside the environment's, dropped at the end."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = sql.Identifier(SCRATCH)
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield urlunsplit(url._replace(path=f"/{SCRATCH}"))
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@contextmanager
def web_process() -> Iterator[tuple[psutil.Process, int]]:
    """`manage.py serve` on a free port: the process and the port."""
    argv = [sys.executable, "manage.py", "serve", "--port", "0"]
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)\s*$", process.stdout.readline())
        if not found:
            raise SystemExit("The web process did not start.")
        yield psutil.Process(process.pid), int(found[1])
    finally:
        process.terminate()
        process.wait(60)  # thousands of sockets are told to come again


def make_people(sockets: int) -> tuple[str, list[dict[str, str]]]:
    """Two orgs and who watches them. The key of a platform source, and what each socket connects with.

    Watchers are of the second tier, so that an event tells one supervisor and not all of them.
    """
    from django.conf import settings
    from django_scopes import scopes_disabled

    from orgs.models import ApiKey, Assignment, Org, Policy, Source, SupervisorRole, User

    cookies: dict[str, list[str]] = {name: [] for name in ORGS}
    with scopes_disabled():
        key = ApiKey.objects.create_key(name="bench", source=Source.objects.create(name="bench"), scopes=["ingest"])[1]
        for name in ORGS:
            org = Org.objects.create(external_id=name, name=name)
            Policy.objects.create(org=org, limits={"budget": {"pushes": 0}, "outage": {"rooms": 0}})
            for tier, people in (1, 1), (2, -(-sockets // len(ORGS) // PER_USER)):
                role = SupervisorRole.objects.create(org=org, name=f"tier {tier}", tier=tier)
                for number in range(people):
                    user = User.objects.create(sso_id=f"{name}-{tier}-{number}", name=f"Supervisor {number}")
                    Assignment.objects.create(org=org, role=role, user=user)
                    cookies[name] += [f"{settings.SESSION_COOKIE_NAME}={signed_in(user)}"] * (tier == 2)
    return key, [_socket(n, cookies) for n in range(sockets)]


def _socket(n: int, cookies: dict[str, list[str]]) -> dict[str, str]:
    """Orgs by turns, languages by turns, at most so many of a person and of an address."""
    org, language = ORGS[n % 2], LANGUAGES[n // 2 % 2]
    return {
        "group": f"{org}-{language}",
        "org": org,
        "path": f"/ws/feed?lang={language}",
        "cookie": cookies[org][n // 2 // PER_USER],
        "address": f"127.0.0.{2 + n // PER_ADDRESS}",
    }


def signed_in(user: Any) -> str:
    """The key of a new session of this person."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)
