"""The agent raised, timed out, or gave no answer."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

AGENT_ERROR = RoomSignal(
    name="agent_error",
    label=_("Agent error"),
    severity="critical",
    waits=True,
    needs={"error": {"type": "Timeout", "message": "The order system did not answer."}},
    icon="alert-octagon-f",
    happened=_("The agent could not answer."),
    quotes=("error_type", "error_message"),
)
