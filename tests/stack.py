"""The service as real processes on the test database, to be killed; and the oracle that says what must hold."""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import redis
from django.db import connection
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, Push, Transition
from alerts.policy import DEFAULT_POLICY
from launch import valkey
from orgs.models import Assignment
from tests.standins import CLIENT_ID, CLIENT_SECRET, RECEIPT_SECRET, ROOT, Standins

PATIENCE = 30.0
APART = "apart from the test process"  # how PostgreSQL knows the connections of other processes
COMMANDS = {
    "web": ["manage.py", "serve"],
    "worker": ["manage.py", "worker", "--concurrency", "1"],
    "dispatcher": ["manage.py", "dispatcher"],
}
READY = {"web": r"listening on (\S+)", "worker": r"ready\.", "dispatcher": r"dispatcher_started"}


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true answer of `condition`; fails when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)  # a poll of a condition, not a guess at how long something takes
    return found


def database_url() -> str:
    """The test database as a libpq URI, for other processes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_database(), current_user")
        name, user = cursor.fetchone()
    params = connection.get_connection_params()
    return f"postgresql://{user}@/{name}?host={quote(str(params.get('host', '')), safe='')}"


class Process:
    """One process in a session of its own, its output in a file."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        env: dict[str, str],
        folder: Path,
        become: Callable[[], None] | None = None,
    ) -> None:
        self.log = folder / f"{name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as out:
            self.popen = subprocess.Popen(
                argv,
                cwd="/" if become else ROOT,
                env=env,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=become,
            )

    def says(self, pattern: str) -> re.Match[str]:
        """Wait for a line that matches."""

        def look() -> re.Match[str] | None:
            found = re.search(pattern, self.log.read_text(errors="replace"))
            assert found or self.popen.poll() is None, f"it ended: {self.log.read_text(errors='replace')[-3000:]}"
            return found

        return until(look)

    def died(self) -> int:
        """Wait for its end; the exit code."""
        return self.popen.wait(PATIENCE)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the whole session; after KILL and TERM wait for the end."""
        try:
            os.killpg(self.popen.pid, number)
        except ProcessLookupError:
            return
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.popen.wait(PATIENCE)


class Stack:
    """Processes of the service by name, with a Valkey and a stand-in of their own."""

    def __init__(self, folder: Path, standins: Standins, db_url: str) -> None:
        self.folder, self.standins = folder, standins
        self.running: dict[str, Process] = {}
        server, origin = valkey.find(Path(sysconfig.get_path("purelib")))
        self.cache = valkey.Cache(server, folder / "valkey.sock", origin)
        self.env = os.environ | {
            "DATABASE_URL": db_url,
            "REDIS_URL": self.cache.url,
            "NOTIFICATION_SERVICE_URL": standins.url,
            "NOTIFICATION_SERVICE_CLIENT_ID": CLIENT_ID,
            "NOTIFICATION_SERVICE_CLIENT_SECRET": CLIENT_SECRET,
            "NOTIFICATION_SERVICE_RECEIPT_SECRET": RECEIPT_SECRET,
            "PGAPPNAME": APART,
            "TESTING": "1",
            "WEB_HEARTBEAT": "0",  # others' tests jump with the clock: each jump would be a time when nobody was there
            "DJANGO_SETTINGS_MODULE": "console.settings",
        }
        self.url = ""
        self.port = self.proxy_port = 0  # of web, and of a proxy that a test puts in front; 0: any

    def start(self, name: str, failpoint: str = "", **env: str) -> Process:
        """Start web, worker, dispatcher or valkey and wait until it is ready."""
        if name == "valkey":
            program = self.cache.program()
            process = self.running[name] = Process(name, program.argv, dict(program.env), self.folder)
            until(self.cache.is_ready)
            return process
        environ = self.env | {"FAILPOINT": failpoint} | env
        port = ["--port", str(self.port)] if name == "web" else []
        process = self.running[name] = Process(name, [sys.executable, *COMMANDS[name], *port], environ, self.folder)
        said = process.says(READY[name])
        if name == "web":
            self.url = said[1]
        return process

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()

    def post(self, path: str, key: str, content: Any, timeout: float = 20.0) -> tuple[int, Any]:
        """POST JSON to the lane: status and body; status 0 if no answer came."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(content).encode(),
            {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")
        except OSError:
            return 0, None


class WarmStack(Stack):
    """A stack for one test after another: a web process without a failpoint serves them all."""

    web: Process | None = None
    web_url = ""

    def start(self, name: str, failpoint: str = "", **env: str) -> Process:
        if name == "web" and not failpoint and not env:
            if self.web is None or self.web.popen.poll() is not None:
                self.web = super().start(name)
                self.web_url = self.url
            self.running[name], self.url = self.web, self.web_url
            return self.web
        if name == "valkey" and name in self.running:  # it was killed: this web process has missed it
            self.web = None
        return super().start(name, failpoint, **env)

    def rest(self) -> None:
        """After a test: what it alone started ends, and Valkey forgets what it was told."""
        valkey = self.running.pop("valkey")
        for process in self.running.values():
            if process is not self.web:
                process.kill()
        self.running = {"valkey": valkey} | ({"web": self.web} if self.web else {})
        with redis.from_url(self.cache.url) as client:
            client.flushall()


@contextmanager
def stack(standins: Standins, db_url: str | None = None, kind: type[Any] = Stack) -> Iterator[Any]:
    """A stack with nothing started but its Valkey."""
    with tempfile.TemporaryDirectory(prefix="live-", dir="/tmp") as folder:
        made = kind(Path(folder), standins, db_url or database_url())
        try:
            made.start("valkey")
            yield made
        finally:
            made.stop()


class Oracle:
    """What must hold after every fault run."""

    def __init__(self) -> None:
        self.acknowledged: set[str] = set()  # event ids a client got a 2xx for

    def saw(self, status: int, body: Any) -> None:
        """Remember what one answer promised."""
        results = body["results"] if status == 207 else [body] if status in (200, 201) else []
        self.acknowledged |= {row["id"] for row in results if row["status"] in ("created", "duplicate")}

    def check(self, standins: Standins) -> None:
        """Nothing lost, everything explained, nobody told twice."""
        with scopes_disabled():
            stored = set(FailureEvent.objects.values_list("event_id", flat=True))
            assert self.acknowledged <= stored
            arrived = {row["headers"]["Idempotency-Key"] for row in accepted(standins)}
            check_every_choice_is_accounted_for(arrived)
            check_one_accepted_push_per_window(arrived)


def accepted(standins: Standins) -> list[dict[str, Any]]:
    """The pushes the stand-in accepted, repeats left out."""
    rows = [row for row in standins.log() if row["method"] == "POST"]
    return [row for row in rows if row["answer"]["status"] == 202 and not row["duplicate"]]


def check_every_choice_is_accounted_for(arrived: set[str]) -> None:
    """Each person of the tiers that were told has a row: who is chosen is a tier, whole."""
    people: dict[tuple[int, int], set[int]] = defaultdict(set)
    for org, tier, user in Assignment.objects.values_list("org", "role__tier", "user"):
        people[org, tier].add(user)
    for transition in Transition.objects.filter(occurrence__gt=0).exclude(reason="unroutable"):
        told = Push.objects.filter(alert=transition.alert_id, occurrence=transition.occurrence)
        rows = list(told.values_list("supervisor", "tier"))
        assert rows
        for tier in {tier for _, tier in rows if tier}:
            assert people[transition.org_id, tier] <= {person for person, _ in rows}
    for push in Push.objects.all():
        assert push.state in ("pending", "sending") or push.state == "sent" or push.ended_reason
        assert push.state != "sent" or str(push.idempotency_key) in arrived


def check_one_accepted_push_per_window(arrived: set[str]) -> None:
    last: dict[tuple[Any, ...], Any] = {}
    pushes = Push.objects.filter(kind="alert", idempotency_key__in=arrived).order_by("planned_at", "occurrence")
    for push in pushes:
        pair = (push.room_id, push.supervisor_id)
        assert pair not in last or push.reason == "worsened" or push.planned_at - last[pair] >= DEFAULT_POLICY.throttle
        last[pair] = push.planned_at
    doubled = Alert.objects.exclude(state="resolved").values_list("room", flat=True)
    assert len(doubled) == len(set(doubled))
