"""What can go wrong: the signals, a file each. Here they are registered, in the order in which they are offered."""

from collections.abc import Mapping

from django.utils.functional import Promise

from orgs.signals.agent_error import AGENT_ERROR
from orgs.signals.agent_outage import AGENT_OUTAGE
from orgs.signals.duty_gap import DUTY_GAP
from orgs.signals.help_requested import HELP_REQUESTED
from orgs.signals.human_stalled import HUMAN_STALLED
from orgs.signals.kinds import AgentSignal, OrgSignal, RoomSignal, Signal, SourceSignal
from orgs.signals.lagging_source import LAGGING_SOURCE
from orgs.signals.low_confidence import LOW_CONFIDENCE
from orgs.signals.message_cap import MESSAGE_CAP
from orgs.signals.rejected_items import REJECTED_ITEMS
from orgs.signals.silent_agent import SILENT_AGENT
from orgs.signals.silent_source import SILENT_SOURCE
from orgs.signals.source_outage import SOURCE_OUTAGE
from orgs.signals.stalled_run import STALLED_RUN
from orgs.signals.talk_over import TALK_OVER
from orgs.signals.unexpected_handoff import UNEXPECTED_HANDOFF

_ROOMS = (
    AGENT_ERROR,
    UNEXPECTED_HANDOFF,
    MESSAGE_CAP,
    LOW_CONFIDENCE,
    HELP_REQUESTED,
    STALLED_RUN,
    TALK_OVER,
    HUMAN_STALLED,
)
_AGENTS = (AGENT_OUTAGE, SILENT_AGENT)
_SOURCES = (SILENT_SOURCE, REJECTED_ITEMS, LAGGING_SOURCE, SOURCE_OUTAGE)

_ORGS = (DUTY_GAP,)

ROOM_SIGNALS: Mapping[str, RoomSignal] = {one.name: one for one in _ROOMS}
AGENT_SIGNALS: Mapping[str, AgentSignal] = {one.name: one for one in _AGENTS}
SOURCE_SIGNALS: Mapping[str, SourceSignal] = {one.name: one for one in _SOURCES}
ORG_SIGNALS: Mapping[str, OrgSignal] = {one.name: one for one in _ORGS}
WIDE_SIGNALS: Mapping[str, AgentSignal] = {**AGENT_SIGNALS, **ORG_SIGNALS}
SIGNALS: Mapping[str, Signal] = {**ROOM_SIGNALS, **AGENT_SIGNALS, **SOURCE_SIGNALS, **ORG_SIGNALS}
SENT = tuple(one.name for one in _ROOMS if one.sent)


def signal_name(signal: str) -> str:
    """The signal in words; an unknown one as it is."""
    return str(SIGNALS[signal].label) if signal in SIGNALS else signal


def signal_choices() -> list[tuple[str, str | Promise]]:
    """For a field or a filter. Columns name this function: a signal that is added needs no migration."""
    return [(one.name, one.label) for one in SIGNALS.values()]
