"""The agent answered, and is less sure than the threshold asks."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import RoomSignal


def _note(event: Any) -> str:
    if event.confidence is None:
        return ""
    limit = event.threshold or 0.5
    return gettext("{confidence}, limit {threshold}").format(
        confidence=f"{event.confidence:.2f}", threshold=f"{limit:.2f}"
    )


LOW_CONFIDENCE = RoomSignal(
    name="low_confidence",
    label=_("Low confidence"),
    severity="info",
    needs={"confidence": 0.2},
    icon="help-circle",
    happened=_("The agent is not sure of its answer."),
    note=_note,
)
