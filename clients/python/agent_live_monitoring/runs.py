"""A run around a piece of code: started when it is entered, ended when it is left, whichever way."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

from agent_live_monitoring.prose import as_text

if TYPE_CHECKING:
    from typing_extensions import Self


def name_of_run(fields: Mapping[str, Any]) -> str:
    """The `run_id` that was given, or a new one; what can be none is left to the service to refuse."""
    given = fields.get("run_id")
    return str(uuid.uuid4()) if given is None else as_text(given)


class RunInHand:
    """What `with monitor.run(...) as run` gives.

    `run.fields` are added to what is said at its end: `run.fields["tokens_input"] = 812`. It ends `resolved`, after
    `escalate()` `escalated`, after `fail()` or an exception `failed`; the exception goes on.
    """

    def __init__(self, log: Callable[[str, dict[str, Any]], object], fields: dict[str, Any]) -> None:
        self._log = log
        self._resolution = "resolved"
        self.run_id = name_of_run(fields)
        self.fields: dict[str, Any] = {}
        self._start = {**fields, "run_id": self.run_id}

    def escalate(self, **fields: Any) -> None:
        """It ends with a human; say `handoff_expected=True` where that is how it should be."""
        self._resolution = "escalated"
        self.fields.update(fields)

    def fail(self, **fields: Any) -> None:
        """It ends without what it was for, though nothing was raised."""
        self._resolution = "failed"
        self.fields.update(fields)

    def __enter__(self) -> Self:
        self._start.setdefault("started_at", datetime.now(timezone.utc))
        self._log("started_at", self._start)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it. Its end says all of it once more: it is whole also where its start was lost.

        A task that is cancelled and a process that is stopped did not resolve it either.
        """
        more = self.fields if isinstance(self.fields, dict) else {}  # whatever somebody put in its place
        said = {**self._start, "resolution": self._resolution, **more, "run_id": self.run_id}
        self._log("ended_at", said if kind is None else {**said, "resolution": "failed"})

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)
