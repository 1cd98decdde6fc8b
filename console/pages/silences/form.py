"""The form for a new silence: what it covers, and when."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from alerts import actions
from alerts.models import Silence
from console.text.org_names import org_choices
from orgs.models import NAME, Agent, Org
from orgs.signals import signal_name
from orgs.texts import TEXT_LENGTH

LOCAL = "%Y-%m-%dT%H:%M"
FIELD_OF = {"agent_name": "agent", "whole_org": None}  # of the API, and of this form; None: of the form as a whole


class LocalTime(forms.DateTimeField):
    """A time in the reader's zone, as a browser's own picker writes it."""

    widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format=LOCAL)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=[LOCAL, "%Y-%m-%dT%H:%M:%S"], **kwargs)


class SilenceForm(forms.Form):
    """Times are in the reader's zone; one that recurs does so by the wall clock of its org."""

    org = forms.ChoiceField(label=_("Org"))
    agent = forms.ChoiceField(label=_("Agent"), required=False)
    signal = forms.ChoiceField(label=_("Signal"), required=False)
    channel = forms.CharField(label=_("Channel"), max_length=NAME, required=False)
    room_id = forms.CharField(label=_("Room id"), max_length=NAME, required=False)
    whole_org = forms.BooleanField(label=_("The whole org"), required=False)
    starts_at = LocalTime(label=_("Begin"), required=False, help_text=_("Empty: now."))
    ends_at = LocalTime(label=_("End"), help_text=_("At most 31 days after the begin."))
    recurrence = forms.ChoiceField(
        label=_("Again"), required=False, choices=[("", _("Once")), *Silence.Recurrence.choices]
    )
    until = LocalTime(label=_("Again until"), required=False, help_text=_("At most a year ahead."))
    until_idle_minutes = forms.IntegerField(
        label=_("Ends after so many minutes without a failure"),
        required=False,
        min_value=1,
        max_value=31 * 24 * 60,
    )
    note = forms.CharField(label=_("Why"), max_length=TEXT_LENGTH, required=False)

    def __init__(self, orgs: list[Org], now: datetime, *args: Any, **kwargs: Any) -> None:
        kwargs["initial"] = {"ends_at": timezone.localtime(now + timedelta(hours=1))} | kwargs.get("initial", {})
        super().__init__(*args, **kwargs)
        self.orgs, self.now = orgs, now
        names = Agent.objects.filter(org__in=orgs).order_by("name").values_list("name", flat=True)
        self._offer("org", org_choices(orgs))
        self._offer("agent", [("", _("Any agent")), *((name, name) for name in dict.fromkeys(names))])
        self._offer("signal", [("", _("Any signal")), *((name, signal_name(name)) for name in actions.SILENCEABLE)])

    def _offer(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def asked(self) -> actions.AskedSilence:
        """What is asked for; the form is valid."""
        values = dict(self.cleaned_data)
        org_id = values.pop("org")
        org = next(org for org in self.orgs if org.external_id == org_id)
        return actions.AskedSilence(org, agent_name=values.pop("agent"), **values)

    def refuse(self, error: actions.ActInvalid) -> None:
        """Show beside its field what cannot be."""
        name = FIELD_OF.get(error.field, error.field)
        self.add_error(name if name in self.fields else None, error.message)
