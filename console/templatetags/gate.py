"""Form fields of the log-in and setup pages."""

from typing import Any

from django import template
from django.conf import settings
from django.forms import BoundField, Select

register = template.Library()


@register.inclusion_tag("account/_field.html")
def field(bound: BoundField, label: str = "", hint: bool = True) -> dict[str, Any]:
    """A field with its label, hint and errors, tied together for screen readers. `label` replaces its own."""
    if not hint:
        bound.help_text = ""
    parts = {"error": bound.errors, "hint": bound.help_text}
    described = [f"{bound.auto_id}-{what}" for what, text in parts.items() if text]
    kind = "form-select" if isinstance(bound.field.widget, Select) else "form-control"
    attributes: dict[str, Any] = {"class": f"{kind} is-invalid" if bound.errors else kind}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    bound.field.widget.attrs.pop("placeholder", None)  # the label says it, and stays when somebody types
    return {"field": bound, "label": label or bound.label, "widget": bound.as_widget(attrs=attributes)}


@register.simple_tag
def sends_mail() -> bool:
    """Whether this installation can send e-mail."""
    return bool(settings.EMAIL_CONFIGURED)
