"""Reports what AI agents do, where they fail a customer, and what happens in the room, to AI Agent Live Monitoring.

    monitor = Client("https://monitor.example.com", key)
    monitor.report_failure(
        signal="agent_error", agent_name="Billing Bot", room_id="r-7", error={"type": "Timeout"}
    )
    with monitor.run(agent_name="Billing Bot", input_kind="faq") as run:
        answer = ask_the_model(message)
        run.fields["tokens_output"] = answer.tokens

Reporting never raises, never blocks and needs nothing but the standard library.
"""

import logging

from agent_live_monitoring.availability import Availability
from agent_live_monitoring.client import Client
from agent_live_monitoring.items import AgentQc, AgentRun, FailureEvent, RoomActivity
from agent_live_monitoring.problems import Problem
from agent_live_monitoring.runs import RunInHand
from agent_live_monitoring.version import VERSION as __version__
from agent_live_monitoring.worker import Flushed, Stats

__all__ = [
    "AgentQc",
    "AgentRun",
    "Availability",
    "Client",
    "FailureEvent",
    "Flushed",
    "Problem",
    "RoomActivity",
    "RunInHand",
    "Stats",
    "__version__",
]

logging.getLogger("agent_live_monitoring").addHandler(logging.NullHandler())  # a library is quiet until told otherwise
