"""Many rooms of one agent fail critically at once: one problem, whatever the number of rooms."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import AgentSignal

AGENT_OUTAGE = AgentSignal(
    name="agent_outage",
    label=_("Agent outage"),
    severity="critical",
    icon="activity-heartbeat",
    happened=_("Many of its rooms fail at once."),
    because=_("many of its rooms fail at once."),
    recovered=_("Recovered: no further room failed"),
)
