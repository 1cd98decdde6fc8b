"""Whether a bot may promise a human, and whether one comes in this play."""

from agent_live_monitoring import Availability

LONG_SECONDS = 600.0  # nobody stays in a chat for longer
ENOUGH = 5  # conversations of this hour of the week, before their wait says anything


def may_promise(there: Availability | None) -> bool:
    """What an honest bot asks itself before it hands a room over. None ("nobody knows") is no reason to keep it.

    With enough conversations and no median, too often nobody came.
    """
    if there is None:
        return True
    if there.n < ENOUGH:
        return there.on_duty > 0
    wait = there.expected_wait_seconds
    return there.on_duty > 0 and wait is not None and wait <= LONG_SECONDS


def somebody_comes(there: Availability | None) -> bool:
    """People come to a room that was handed over while one of them is on duty, however long it usually takes."""
    return there is None or there.on_duty > 0
