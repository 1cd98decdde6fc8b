"""The clients as packages: what is built has all files, and nothing is left in the tree."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
BUILD = """
import sys
from setuptools import build_meta
target = ["--install-dir", sys.argv[1]]
build_meta.get_requires_for_build_wheel()
sys.argv = ["setup.py", "--quiet", "install_lib", *target, "install_egg_info", *target]
exec(open("setup.py").read())
"""  # what pip has it do, without the network


def copied(name: str, folder: Path) -> Path:
    """A copy of a client without what Python leaves beside its sources."""
    return Path(shutil.copytree(CLIENTS / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")))


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_an_install_of_the_python_client_leaves_nothing_in_the_tree(tmp_path: Path) -> None:
    source, target = copied("python", tmp_path), tmp_path / "target"
    before = files(source)
    subprocess.run([sys.executable, "-c", BUILD, str(target)], cwd=source, check=True, capture_output=True)
    assert files(source) == before
    wanted = {path.name for path in (source / "agent_live_monitoring").iterdir()}
    assert {path.name for path in (target / "agent_live_monitoring").iterdir()} - {"__pycache__"} == wanted
    assert list(target.glob("agent_live_monitoring-*.egg-info"))


@pytest.mark.ruby
def test_the_ruby_client_is_a_gem(tmp_path: Path) -> None:
    source, gem, home = copied("ruby", tmp_path), tmp_path / "made.gem", tmp_path / "home"
    before = files(source)
    build = ["gem", "build", "live_monitoring.gemspec", "--output", str(gem)]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    assert files(source) == before
    with tarfile.open(gem) as made, tarfile.open(fileobj=made.extractfile("data.tar.gz")) as data:
        assert set(data.getnames()) == {path for path in before if path.endswith((".rb", ".md"))}
    install = ["gem", "install", "--local", "--no-document", "--install-dir", str(home), str(gem)]
    subprocess.run(install, check=True, capture_output=True)
    use = ["ruby", "-e", 'require "live_monitoring"; LiveMonitoring.new("http://127.0.0.1:1", "k")']
    subprocess.run(use, env={"GEM_HOME": str(home), "PATH": "/usr/bin:/bin"}, check=True, capture_output=True)
