"""A run that began and did not end in time: the agent owed an answer and gave none. Found here, by the watchdog."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

STALLED_RUN = RoomSignal(
    name="stalled_run",
    label=_("Stalled run"),
    severity="critical",
    waits=True,
    sent=False,
    icon="clock",
    happened=_("The agent owes an answer and gave none in time."),
)
