"""The agent asks for a human itself, in time."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

HELP_REQUESTED = RoomSignal(
    name="help_requested",
    label=_("Help requested"),
    severity="critical",
    waits=True,
    icon="hand-stop",
    happened=_("The agent asks for a human."),
)
