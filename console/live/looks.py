"""What decides how the row of an alert looks: two that are the same need one row."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from alerts.decide import is_flapping
from alerts.models import Alert
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


def storm_look(
    under: str, digests: Iterable[UUID], folded: object, episodes_at: Sequence[datetime], now: datetime
) -> tuple[Any, ...]:
    """What a row says of a storm, none of which changes the version of its alert."""
    return under, frozenset(digests), folded, is_flapping(episodes_at[:-1], now)


def look_of(alert: Alert, told: Iterable[Told], folded: object, now: datetime) -> Look:
    """Of an alert as `for_rows` loads it, who was told of it, and what is folded under it."""
    room = tuple(getattr(alert.room, name) if alert.room else None for name in ROOM_SHOWN)
    people = frozenset((one.user.pk, one.state, one.ended_reason, one.told_before) for one in told)
    storm = storm_look(alert.under, alert.in_digests, folded, alert.episodes_at, now)  # type: ignore[attr-defined]
    return Look(alert.version, group_of(alert.state, alert.quiet_until, now), room, people, storm)
