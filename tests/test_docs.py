"""The walks of docs/, pasted as they are into a shell, against the real service."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.management.commands.demo_setup import SOURCE
from tests.launching import ROOT, Up, environment, short_folder
from tests.typescript import built_package

pytestmark = pytest.mark.launcher
BLOCKS = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    with short_folder() as data:
        up = Up(ROOT, "--no-demo", data=data).until_live()
        # What the demo has too: the pages say that either will do.
        manage = [str(ROOT / "bin" / "manage"), "source", "create", "--platform", "--name", SOURCE]
        subprocess.run(manage, env=environment(LIVE_DATA=str(data)), check=True, capture_output=True, timeout=60)
        yield up
        up.stop()


def walk(running: Up, folder: Path, name: str, blocks: int) -> str:
    """What all blocks of a page print, pasted into one shell in a checkout."""
    for part in ("bin", "clients", "examples"):
        (folder / part).symlink_to(ROOT / part)
    found = BLOCKS.findall((ROOT / "docs" / f"{name}.md").read_text())
    assert len(found) == blocks
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(found)],
        cwd=folder,
        env=environment(LIVE_DATA=str(running.data), HOME=os.environ.get("HOME", str(folder))),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip()


def test_the_walk_from_an_empty_service_to_a_human_in_the_room(running: Up, tmp_path: Path) -> None:
    said = walk(running, tmp_path, "integrations/qontak", 4)
    assert '"status":"created"' in said and '"status":"stored"' in said
    assert said.endswith('"state":"intervened"')


@pytest.mark.node
def test_the_walk_of_the_typescript_client(running: Up, tmp_path: Path) -> None:
    built_package()
    said = walk(running, tmp_path, "integrations/typescript", 6)
    assert '{"delivered":5,"failed":0,"dropped":0}\n"state":"intervened"\n403\n' in said
    assert "access-control-allow-origin: http://127.0.0.1:8123" in said
    assert '"status":"created"' in said


def test_the_walk_of_the_python_client(running: Up, tmp_path: Path) -> None:
    said = walk(running, tmp_path, "integrations/python", 5)
    assert 'Flushed(delivered=9, failed=0, dropped=0, waiting=0)\n"state":"intervened"' in said
    assert "\npaid\n" in said
    promised, asked = re.findall(r"Bots gave up in [0-9]+ rooms: .*", said)
    assert " 0 kept by their bot." in promised, promised
    assert " 0 waited for nobody, " in asked, asked


@pytest.mark.ruby
def test_the_walk_of_the_ruby_client(running: Up, tmp_path: Path) -> None:
    said = walk(running, tmp_path, "integrations/ruby", 3)
    assert said.endswith('delivered=7 failed=0 dropped=0 waiting=0\n"state":"intervened"')


def test_the_tour_rings_each_phone_once(running: Up, tmp_path: Path) -> None:
    said = walk(running, tmp_path, "tour", 3)
    assert '"created":7' in said
    assert said.endswith('"reason":"agent_outage"\n"reason":"agent_outage"')
    assert said.count('"reason"') == 2
