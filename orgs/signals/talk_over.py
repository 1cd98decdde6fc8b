"""The bot writes in a room that a human has: two voices to one customer. Found here, in what is said in the room."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

TALK_OVER = RoomSignal(
    name="talk_over",
    label=_("Talk-over"),
    severity="info",
    sent=False,
    to_holder=True,
    icon="messages",
    happened=_("The bot still speaks here, beside a human."),
    because=_("the bot still speaks in a room that a human has."),
)
