"""What a source sends comes so late that nobody could act on it."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import SourceSignal

LAGGING_SOURCE = SourceSignal(
    name="lagging_source",
    label=_("Lagging source"),
    severity="warning",
    happened=_("What it sends is minutes old when it comes."),
    because=_("what it sends is minutes old when it comes."),
    alarm=_("What it sends for {org} is over 5 min old when it comes: alarm since {time}."),
)
