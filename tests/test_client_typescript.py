"""The TypeScript client: its own tests against the real lane, what they left there, and the package as it is."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from console.openapi.document import document
from tests.ingest_server import Sender, activities, alerts, events
from tests.typescript import PACKAGE, built_package

pytestmark = pytest.mark.node


@pytest.fixture(scope="module")
def package() -> Path:
    return built_package()


def node(package: Path, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run something in the package's folder."""
    return subprocess.run(
        command, cwd=package, env=os.environ | env, capture_output=True, text=True, timeout=110, check=False
    )


def test_its_own_tests_pass_and_what_they_sent_is_stored(package: Path, sender: Sender) -> None:
    env = {"LIVE_MONITORING_URL": f"http://127.0.0.1:{sender.port}", "LIVE_MONITORING_KEY": sender.key}
    done = node(package, "npm", "test", **env)
    assert done.returncode == 0, re.findall(r"(?ms)^not ok .*?^  \.\.\.$", done.stdout)
    assert "# skipped 0" in done.stdout
    stored = {event.event_id for event in events()}
    assert {"by-token", "twice", *(f"many-{n}" for n in range(300) if n != 7)} <= stored
    assert "many-7" not in stored
    assert {event.signal for event in events()} == {
        *("agent_error", "unexpected_handoff", "message_cap", "low_confidence", "help_requested"),
    }
    assert [activity.kind for activity in activities()] == ["human_message"]
    assert {alert.room.room_id for alert in alerts()} == {"ts-1"}


def test_its_types_are_those_of_the_document(package: Path, tmp_path: Path) -> None:
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(document()))
    done = node(package, "npm", "run", "--silent", "types", "--", "--check", str(written))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("build", ["browser.js", "browser.cjs"])
def test_the_browsers_build_knows_nothing_of_node(package: Path, build: str) -> None:
    source = (package / "dist" / build).read_text()
    assert not re.search(r"""require\(|\bfrom ["']|\bprocess\.\w|\bBuffer\b|node:""", source)


def test_nothing_is_needed_to_run_it() -> None:
    described: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & set(described)
    assert described["engines"] == {"node": ">=20"}


def test_the_lock_names_no_registry() -> None:
    lock = (PACKAGE / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert not re.findall(r"https?://[^\"]*registr[^\"]*", lock)
