"""The HTTP side: the Python client, and what is said of what the service answers."""

from collections.abc import Callable
from datetime import datetime

from agent_live_monitoring import Availability, Client, Problem
from demo.commandline import Refused, say
from demo.simulator.cast import Player
from demo.simulator.runs import DrawnRun
from demo.simulator.story import FAILURE_EVENTS, Step

LOOKS_SECONDS = 0.2  # how often it looks whether it was stopped while the service is away
REFUSALS = {
    401: "The service does not know this key, or it has expired.",
    403: "This key may not write: it lacks the scope ingest.",
    404: "There is no such service at this address; check --base-url.",
}


class Wire:
    """One key against one service. What cannot be helped by trying again ends the simulation."""

    def __init__(self, base_url: str, key: str) -> None:
        """Raises Refused for an address or key that cannot be one."""
        self._base_url = base_url
        self._complaints: set[str] = set()
        self._refusal = ""
        try:
            self._client = Client(base_url, key, on_error=self._hear, exit_timeout=0)
        except ValueError as problem:
            raise Refused(f"{problem}.") from problem

    def send(self, step: Step, moment: datetime) -> None:
        """Queue a step that happened at `moment`; a room's steps go out in the order they came."""
        if step.path == FAILURE_EVENTS:
            self._client.report_failure(**step.at(moment))
        else:
            self._client.report_room_activity(**step.at(moment))

    def log(self, run: DrawnRun, ended: datetime) -> None:
        """Queue a run that ended just now, and its review if it has one; of one that never ends its start."""
        log = self._client.log_agent_run_start if run.stalls else self._client.log_agent_run
        log(**run.at(ended))
        if run.score is not None:
            self._client.log_agent_qc(**run.review())

    def who_is_there(self, player: Player) -> Availability | None:
        """Who could come to a room of this agent now, at most 15 s old; None: nobody knows. Waits at most 1.5 s."""
        return self._client.availability(player.agent_name, org_id=player.org_id)

    async def settle(self, stopped: Callable[[], bool]) -> bool:
        """Wait until the service answered for all that was sent: False if `stopped` came first. Raises Refused."""
        while (await self._client.aflush(LOOKS_SECONDS)).waiting and not self._refusal:
            if stopped():
                return False
        if self._refusal:
            raise Refused(self._refusal)
        return True

    async def close(self) -> None:
        """Drop what is left."""
        await self._client.aclose(0)

    def summary(self) -> str:
        """What became of the items: `120 delivered, 1 failed in 98 requests, 3 tried again`."""
        stats = self._client.stats()
        known = {"delivered": stats.delivered, "failed": stats.failed}
        items = ", ".join(f"{count:,} {kind}" for kind, count in known.items() if count)
        again = f", {stats.retries:,} tried again" if stats.retries else ""
        return f"{items or 'nothing'} in {stats.requests:,} requests{again}"

    def _hear(self, problem: Problem) -> None:
        """Called in the client's thread."""
        if problem.status in REFUSALS:
            self._refusal = REFUSALS[problem.status]
        elif problem.status is not None and problem.lost:
            self._refusal = f"The service refused the request: {problem.message}"
        elif problem.code == "not_the_contract":
            self._refusal = f"The answer (status {problem.status}) is not the contract's; check --base-url."
        elif problem.code == "unreachable":
            say(f"{problem.message} Trying {self._base_url} again.")
        elif problem.lost and problem.code not in self._complaints:
            self._complaints.add(problem.code)
            say(f"An item was refused: {problem.code}: {problem.message}")
