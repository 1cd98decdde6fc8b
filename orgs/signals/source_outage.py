"""Rooms of several agents of one source fail critically at once: what is broken lies behind the agents."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import SourceSignal

SOURCE_OUTAGE = SourceSignal(
    name="source_outage",
    label=_("Source outage"),
    severity="critical",
    happened=_("Rooms of several of its agents fail at once."),
    because=_("rooms of several of its agents fail at once."),
    alarm=_("Rooms of several agents of {org} fail at once: alarm since {time}."),
)
