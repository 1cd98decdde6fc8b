"""The agent handed the room over, and nobody had planned it. One that no human took is always critical."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal


def _note(event: Any) -> str:
    return gettext("nobody took over") if event.handoff_completed is False else gettext("handed over")


UNEXPECTED_HANDOFF = RoomSignal(
    name="unexpected_handoff",
    label=_("Unexpected handoff"),
    in_policy=_("Unexpected handoff, completed"),
    severity="warning",
    waits=True,
    needs={"handoff": {"completed": True}},
    icon="arrows-right-left",
    happened=_("Nobody is in the room."),
    note=_note,
    quotes=("handoff_reason",),
)
