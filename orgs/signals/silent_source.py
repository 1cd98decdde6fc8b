"""A source that should send data sends none."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import SourceSignal

SILENT_SOURCE = SourceSignal(
    name="silent_source",
    label=_("Silent source"),
    severity="critical",
    happened=_("It sends no data: what fails now is not shown."),
    because=_("it sends no data."),
    alarm=_("It sends no data for {org}: alarm since {time}."),
)
