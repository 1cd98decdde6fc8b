"""The agent answered, and is less sure than the threshold asks."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal

LOW_CONFIDENCE = RoomSignal(
    name="low_confidence",
    label=_("Low confidence"),
    severity="info",
    needs={"confidence": 0.2},
    icon="help-circle",
    happened=_("The agent is not sure of its answer."),
    note=lambda event: (
        ""
        if event.confidence is None
        else _("{confidence}, limit {threshold}").format(
            confidence=f"{event.confidence:.2f}", threshold=f"{event.threshold or 0.5:.2f}"
        )
    ),
)
