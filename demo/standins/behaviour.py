"""How the stand-in misbehaves on its `/v1` paths when it is told to."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from demo.standins.contract import ContractError, as_contract_error

Mode = Literal["ok", "slow", "down", "status", "garbage", "drip"]
DEFAULT_SLOW_MS = 5_000


class Behaviour(Struct, forbid_unknown_fields=True, kw_only=True):
    """`status` only with mode `status`; `retry_after` is sent as is; `for_requests` null = until changed.

    `path`: only requests to it, all others are answered as they should be; null = all. `knows`: the fields beyond those
    that every service has which this one accepts in a notification; null = all.
    """

    mode: Mode
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    retry_after: int | float | Annotated[str, Meta(max_length=200, pattern=r"^[\x20-\x7e]*$")] | None = None
    delay_ms: Annotated[int, Meta(ge=0, le=600_000)] | None = None
    for_requests: Annotated[int, Meta(ge=1)] | None = None
    path: Annotated[str, Meta(max_length=200)] | None = None
    knows: list[Literal["priority", "replaces"]] | None = None

    @property
    def delay_seconds(self) -> float:
        """How long each answer waits."""
        default = DEFAULT_SLOW_MS if self.mode == "slow" else 0
        return (default if self.delay_ms is None else self.delay_ms) / 1000


def parse(body: Any) -> Behaviour:
    """Check decoded JSON; raises `ContractError` naming the field."""
    try:
        behaviour = msgspec.convert(body, Behaviour)
    except msgspec.ValidationError as problem:
        raise as_contract_error(problem) from problem
    if (behaviour.mode == "status") != (behaviour.status is not None):
        raise ContractError("status", "Mode status needs a status, and no other mode takes one.")
    return behaviour


class Mood:
    """The behaviour in force; counts requests down and returns to ok."""

    def __init__(self) -> None:
        self.current = Behaviour(mode="ok")

    def for_next_request(self, path: str) -> Behaviour:
        """The behaviour this request meets."""
        behaviour = self.current
        if behaviour.path not in (None, path):
            return Behaviour(mode="ok")
        left = behaviour.for_requests
        if left == 1:
            self.current = Behaviour(mode="ok")
        elif left is not None:
            self.current = msgspec.structs.replace(behaviour, for_requests=left - 1)
        return behaviour
