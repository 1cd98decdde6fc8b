"""What a process loaded at its start is looked through by no garbage collection: each would stop the process."""

import os
import subprocess
import sys

import pytest

WEB = """
import asyncio
from console.http.asgi import application

async def start():
    messages = [{"type": "lifespan.startup"}]
    async def receive():
        return messages.pop() if messages else await asyncio.Event().wait()
    async def send(message):
        raise SystemExit(0 if kept() else f"{len(gc.get_objects())} of {gc.get_freeze_count()}")
    await application({"type": "lifespan"}, receive, send)

asyncio.run(start())
"""
WORKER = """
import os
from celery.signals import worker_before_create_process
from console import celery_app

worker_before_create_process.send(sender=None)
if not os.fork():  # what the fork shares stays shared only if it was kept before
    os._exit(not kept())
raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
KEPT = """
import gc, django
django.setup()

def kept():
    return gc.get_freeze_count() > 10 * len(gc.get_objects()) and gc.get_threshold()[0] >= 10_000
"""


@pytest.mark.parametrize("process", [WEB, WORKER], ids=["web", "worker"])
def test_what_a_process_loads_at_its_start_is_collected_by_nothing(process: str) -> None:
    env = {**os.environ, "WEB_HEARTBEAT": "0"}
    ran = subprocess.run(
        [sys.executable, "-c", KEPT + process], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert ran.returncode == 0, ran.stderr[-2000:]
