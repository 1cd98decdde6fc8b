"""What can go wrong: the signals, a file each. Here they are registered, in the order in which they are offered."""

from collections.abc import Mapping

from django.utils.functional import Promise

from orgs.signals.agent_error import AGENT_ERROR
from orgs.signals.help_requested import HELP_REQUESTED
from orgs.signals.kinds import RoomSignal, Signal, SourceSignal
from orgs.signals.low_confidence import LOW_CONFIDENCE
from orgs.signals.message_cap import MESSAGE_CAP
from orgs.signals.rejected_items import REJECTED_ITEMS
from orgs.signals.silent_source import SILENT_SOURCE
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

_ROOMS = (
    AGENT_ERROR,
    UNEXPECTED_HANDOFF,
    MESSAGE_CAP,
    LOW_CONFIDENCE,
    HELP_REQUESTED,
)
_SOURCES = (SILENT_SOURCE, REJECTED_ITEMS)

ROOM_SIGNALS: Mapping[str, RoomSignal] = {one.name: one for one in _ROOMS}
SOURCE_SIGNALS: Mapping[str, SourceSignal] = {one.name: one for one in _SOURCES}
SIGNALS: Mapping[str, Signal] = {**ROOM_SIGNALS, **SOURCE_SIGNALS}
SENT = tuple(one.name for one in _ROOMS if one.sent)


def signal_name(signal: str) -> str:
    """The signal in words; an unknown one as it is."""
    return str(SIGNALS[signal].label) if signal in SIGNALS else signal


def signal_choices() -> list[tuple[str, str | Promise]]:
    """For a field or a filter. Columns name this function: a signal that is added needs no migration."""
    return [(one.name, one.label) for one in SIGNALS.values()]
