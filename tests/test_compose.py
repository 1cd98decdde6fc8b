"""compose.yaml and the Dockerfile: what each container may do, and that what they run is really there."""

import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.conf import settings
from django.core.management import find_commands, get_commands

from console.management.commands.serve import GRACEFUL_SECONDS
from launch import valkey
from tests.launching import ROOT, short_folder, wait_for

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "live-monitoring"]
CAPABILITIES = {"caddy": ["NET_BIND_SERVICE"]}


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_only_do_what_it_must(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"] and service.get("cap_add", []) == CAPABILITIES.get(name, [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_bounded_in_memory_processes_and_logs(name: str) -> None:
    service = SERVICES[name]
    assert service["mem_limit"] and 0 < service["pids_limit"] <= 512
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("name", [name for name in OURS if "demo" not in SERVICES[name].get("profiles", [])])
def test_a_container_is_given_longer_to_stop_than_it_takes(name: str) -> None:
    assert seconds(SERVICES[name]["stop_grace_period"]) > max(GRACEFUL_SECONDS, settings.CELERY_TASK_TIME_LIMIT)


def test_nothing_begins_before_what_it_needs_is_healthy() -> None:
    for name in OURS:
        for needed, when in SERVICES[name]["depends_on"].items():
            wanted = "service_completed_successfully" if needed == "migrate" else "service_healthy"
            assert when["condition"] == wanted, name
    assert SERVICES["caddy"]["depends_on"] == {"web": {"condition": "service_healthy"}}
    assert all("test" in SERVICES[engine]["healthcheck"] for engine in ("postgres", "valkey"))


def test_every_process_runs_a_command_that_there_is() -> None:
    known = {*get_commands(), *find_commands(str(ROOT / "demo" / "management"))}
    for name in OURS:
        words = " ".join(SERVICES[name].get("command", []))
        assert set(re.findall(r"manage\.py,? (\w+)", words)) <= set(known)
        assert all((ROOT / module.replace(".", "/")).exists() for module in re.findall(r"-m (demo\.\w+)", words))


def test_stand_ins_run_only_when_a_demo_is_asked_for() -> None:
    demo = {name for name, service in SERVICES.items() if "demo" in str(service.get("command"))}
    assert demo == {"standins", "demo"}
    assert all(SERVICES[name]["profiles"] == ["demo"] for name in demo)
    assert SERVICES["standins"]["ports"] == ["127.0.0.1:9100:9100"]


@pytest.mark.parametrize("file", ["env.example", "demo.env"])
def test_every_value_that_compose_asks_for_is_in_the_file(file: str) -> None:
    required = set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text()))
    lines = dict(re.findall(r"^(\w+)=(.*)$", (ROOT / "deploy" / file).read_text(), re.MULTILINE))
    assert required <= set(lines)
    assert file == "env.example" or all(lines[name] for name in required)


@pytest.fixture
def guarded_valkey() -> Iterator[tuple[Path, int]]:
    """The command of compose.yaml with the server of this machine: its socket and its process."""
    server, _ = valkey.find(Path(sysconfig.get_path("purelib")))
    with short_folder() as folder:
        where = f"valkey-server - --port 0 --unixsocket {folder}/s "
        shell, option, script = SERVICES["valkey"]["command"]
        command = script.replace("$$", "$").replace("valkey-server - ", where)
        env = {"PATH": f"{server.parent}:{os.environ['PATH']}", "REDISCLI_AUTH": "canary-password"}
        process = subprocess.Popen([shell, option, command], env=env, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_for((folder / "s").exists, "valkey")
            yield folder / "s", process.pid
        finally:
            process.terminate()
            assert process.wait(10) == 0  # the signal reaches the server: the shell has gone


def test_valkey_wants_a_password_that_no_argument_shows(guarded_valkey: tuple[Path, int]) -> None:
    path, pid = guarded_valkey
    with redis.Redis(unix_socket_path=str(path)) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(unix_socket_path=str(path), password="canary-password") as client:
        assert client.ping() and client.config_get("save") == {"save": ""}
    assert "canary" not in Path(f"/proc/{pid}/cmdline").read_text()


def test_redis_is_asked_with_the_password() -> None:
    assert SERVICES["web"]["environment"]["REDIS_URL"].startswith("redis://:${VALKEY_PASSWORD:?")


def test_the_image_s_user_may_read_what_a_careful_umask_made() -> None:
    final = (ROOT / "Dockerfile").read_text().partition(" AS packages")[2].split("\nFROM ", 1)[1]
    copied = [line for line in final.splitlines() if line.startswith(("COPY", "ADD")) and "--from=" not in line]
    assert len(copied) == 2 and all(re.search(r"--chmod=0?[67][45][45] ", line) for line in copied)


def test_the_proxy_logs_no_address_and_no_header() -> None:
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    assert "request>uri delete" in text and "request>headers delete" in text
