"""Nobody of any tier will be on duty for a production agent within a day."""

from django.utils.translation import gettext_lazy as _

from orgs.signals.kinds import OrgSignal

DUTY_GAP = OrgSignal(
    name="duty_gap",
    label=_("Duty gap"),
    severity="warning",
    icon="user-off",
    happened=_("Within a day nobody is on duty for an agent: see the page of duty."),
    because=_("within a day nobody is on duty for an agent."),
    recovered=_("Recovered: somebody is on duty, or the time has passed"),
)
