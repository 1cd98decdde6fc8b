"""Weekly hours in a form of the admin: one line of text, as in a CSV file."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy

from orgs.duty.hours import HoursInvalid
from orgs.duty.written import read_hours, written_hours
from orgs.texts import TEXT_LENGTH


class HoursField(forms.CharField):
    """`1-5 08:00-17:00; 6,7 22:00-06:00`; empty: always."""

    def __init__(self, **more: Any) -> None:
        said = gettext_lazy("Such as 1-5 08:00-17:00; 6,7 22:00-06:00 holidays off. 1 is Monday. Empty: always.")
        super().__init__(required=False, max_length=TEXT_LENGTH, help_text=said, **more)
        self.widget.attrs["size"] = 60

    def prepare_value(self, value: Any) -> Any:
        return written_hours(value) if isinstance(value, list) and value else value or ""

    def to_python(self, value: Any) -> Any:
        try:
            return read_hours(super().to_python(value) or "")
        except HoursInvalid as wrong:
            raise ValidationError(str(wrong)) from None

    def run_validators(self, value: Any) -> None:
        """They are of texts; this is a list by now."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return self.to_python(data) != (initial or [])
        except ValidationError:
            return True
