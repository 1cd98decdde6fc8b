"""Reports where an AI agent fails a customer, and what happens in the room, to AI Agent Live Monitoring.

    monitor = Client("https://monitor.example.com", key)
    monitor.report_failure(
        signal="agent_error", agent_name="Billing Bot", room_id="r-7", error={"type": "Timeout"}
    )

Reporting never raises, never blocks and needs nothing but the standard library.
"""

import logging

from agent_live_monitoring.client import Client
from agent_live_monitoring.items import FailureEvent, RoomActivity
from agent_live_monitoring.problems import Problem
from agent_live_monitoring.version import VERSION as __version__
from agent_live_monitoring.worker import Flushed, Stats

__all__ = ["Client", "FailureEvent", "Flushed", "Problem", "RoomActivity", "Stats", "__version__"]

logging.getLogger("agent_live_monitoring").addHandler(logging.NullHandler())  # a library is quiet until told otherwise
