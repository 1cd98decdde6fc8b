"""Much of what a source sends is refused."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import SourceSignal

REJECTED_ITEMS = SourceSignal(
    name="rejected_items",
    label=_("Rejected items"),
    severity="warning",
    happened=_("Much of what it sends is not accepted."),
    because=_("much of what it sends is not accepted."),
    alarm=_("Much of it is not accepted for {org}: alarm since {time}."),
)
