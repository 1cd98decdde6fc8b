"""What decides how the row of an alert looks: two that are the same need one row."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from alerts.decide import is_flapping
from console.live.counts import group_of
from console.text.sentences import Told

ROOM_SHOWN = ("label", "channel", "human_id", "human_since", "handed_off_at", "last_customer_text")

ToldLook = frozenset[tuple[int, str, str, datetime | None]]


class Look(NamedTuple):
    """What decides how the row of an alert looks, besides names and the time."""

    version: int
    group: str
    room: tuple[Any, ...]  # as ROOM_SHOWN
    told: ToldLook  # (user pk, state, why it ended, when told before) of the present occasion, while it is open
    storm: tuple[
        Any, ...
    ] = ()  # the outage it is under, the digests it is in, the rooms folded under it, whether it flaps


def told_look(told: Iterable[Told]) -> ToldLook:
    return frozenset((one.user.pk, one.state, one.ended_reason, one.told_before) for one in told)


def look_of(alert: Any, told: ToldLook, folded: object, now: datetime) -> Look:
    """Of an alert with its room, the outage it is under and its digests, who was told of it, and what is folded there.

    The last part is what a row says of a storm, none of which changes the version of its alert.
    """
    room = tuple(getattr(alert.room, name) if alert.room else None for name in ROOM_SHOWN)
    storm = (alert.under, frozenset(alert.in_digests), folded, is_flapping(alert.episodes_at[:-1], now))
    return Look(alert.version, group_of(alert.state, alert.quiet_until, now), room, told, storm)
