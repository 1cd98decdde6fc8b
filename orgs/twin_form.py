"""Forms that name what a new identifier is nearly the same as, before it is made."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext as _

from orgs.identifiers import Twins, spelled


class TwinForm(forms.ModelForm):
    """A near twin is an error the first time; the same form sent again makes it all the same."""

    identifying: ClassVar[str]
    seen_twin = forms.CharField(required=False, widget=forms.HiddenInput)

    def known(self) -> Iterable[str]:
        """The identifiers that are there, but for the form's own."""
        raise AssertionError("each form says which")

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        value = self.cleaned_data.get(self.identifying)
        if value and self.identifying in self.changed_data:
            twin, name = Twins(self.known()).of(spelled(value)), self.add_prefix("seen_twin")
            if twin and self.data.get(name) != twin:
                self.data = made = self.data.copy()  # type: ignore[attr-defined]
                made[name] = twin
                said = _(
                    "%(twin)s is there already and nearly the same. Send the form again to make this one beside it."
                )
                self.add_error(self.identifying, said % {"twin": f"“{twin}”"})
        return cleaned
