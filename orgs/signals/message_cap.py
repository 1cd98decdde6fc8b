"""The agent has used all the messages it may write."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

MESSAGE_CAP = RoomSignal(
    name="message_cap",
    label=_("Message cap"),
    severity="warning",
    needs={"message_count": 20, "message_cap": 20},
    icon="message-2-off",
    happened=_("The agent reached its message limit."),
    note=lambda event: (
        _("{count} of {cap} messages used").format(count=event.message_count or 0, cap=event.message_cap)
        if event.message_cap
        else ""
    ),
)
