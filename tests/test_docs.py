"""The walk of docs/integrations/qontak.md, pasted as it is into a shell, against the real service."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launching import ROOT, Up, environment, short_folder

pytestmark = [pytest.mark.launcher, pytest.mark.timeout(240)]
BLOCKS = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)


@pytest.fixture
def running() -> Iterator[Up]:
    with short_folder() as data:
        up = Up(ROOT, "--no-demo", data=data).until_live()
        yield up
        up.stop()


def test_the_walk_from_an_empty_service_to_a_human_in_the_room(running: Up, tmp_path: Path) -> None:
    (tmp_path / "bin").symlink_to(ROOT / "bin")
    blocks = BLOCKS.findall((ROOT / "docs" / "integrations" / "qontak.md").read_text())
    assert len(blocks) == 4
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=tmp_path,
        env=environment(LIVE_DATA=str(running.data)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert '"status":"created"' in done.stdout and '"status":"stored"' in done.stdout
    assert done.stdout.rstrip().endswith('"state":"intervened"')
