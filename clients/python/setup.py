"""Builds in a folder of its own, so that `pip install` leaves nothing in the tree; the rest is in pyproject.toml."""

import atexit
import shutil
import tempfile

from setuptools import setup

folder = tempfile.mkdtemp()
atexit.register(shutil.rmtree, folder, ignore_errors=True)
setup(options={"build": {"build_base": folder}, "egg_info": {"egg_base": folder}})
