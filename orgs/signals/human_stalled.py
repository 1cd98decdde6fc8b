"""A human has the room, the customer wrote, and nobody answers. Found here, in what is said in the room."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

HUMAN_STALLED = RoomSignal(
    name="human_stalled",
    label=_("Human stalled"),
    severity="warning",
    sent=False,
    to_holder=True,
    icon="user-pause",
    happened=_("A human has the room, and the customer still waits for an answer."),
    because=_("a human has the room and does not answer."),
)
