"""An agent that usually runs at this hour of the week does not, though its source sends."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import AgentSignal

SILENT_AGENT = AgentSignal(
    name="silent_agent",
    label=_("Silent agent"),
    severity="warning",
    icon="plug-connected-x",
    happened=_("It has run for nobody for much longer than usual."),
    because=_("it has run for nobody for much longer than usual."),
    recovered=_("Recovered: it runs again"),
)
