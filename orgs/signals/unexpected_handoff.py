"""The agent handed the room over, and nobody had planned it. One that no human took is always critical."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

UNEXPECTED_HANDOFF = RoomSignal(
    name="unexpected_handoff",
    label=_("Unexpected handoff"),
    in_policy=_("Unexpected handoff, completed"),
    severity="warning",
    waits=True,
    needs={"handoff": {"completed": True}},
    icon="arrows-right-left",
    happened=_("Nobody is in the room."),
    note=lambda event: _("nobody took over") if event.handoff_completed is False else _("handed over"),
    quotes=("handoff_reason",),
)
