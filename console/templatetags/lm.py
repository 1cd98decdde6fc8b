"""Small pieces of markup that every page uses."""

import json
from datetime import datetime
from functools import cache, lru_cache
from typing import Any
from uuid import UUID

from django import template
from django.template.base import Node, Parser, Token
from django.template.defaulttags import URLNode
from django.template.defaulttags import url as do_url
from django.template.loader import render_to_string
from django.templatetags.i18n import TranslateNode, do_translate
from django.urls import get_script_prefix, get_urlconf, reverse
from django.utils import timezone
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext, gettext_lazy

from alerts.models import Alert
from console.live.rows import ICONS, TONES
from console.text import wording
from console.text.amounts import whole
from console.text.sentences import severity_name
from orgs.models import Org

register = template.Library()
register.filter("bdi", wording.bdi)
register.filter("initials", wording.initials)
register.filter("whole", whole)
register.simple_tag(name="took")(wording.duration)


class PlainText(Node):
    """`{% translate "a text" %}` and no more: a page has hundreds, and Django's own takes five times as long."""

    child_nodelists = ()

    def __init__(self, text: str) -> None:
        self.text = text.replace("%", "%%")  # as makemessages writes it

    def render(self, context: template.Context) -> str:
        return _plain(self.text, get_language())


@cache  # there are as many as templates say: gettext asks eight catalogs for each
def _plain(text: str, language: str | None) -> str:
    return gettext(text).replace("%%", "%")


@register.tag("translate")
def translate_tag(parser: Parser, token: Token) -> Node:
    """Django's `translate`; a text alone is quicker."""
    node = do_translate(parser, token)
    assert isinstance(node, TranslateNode)
    said = node.filter_expression
    alone = said.var.lookups is None and not (said.filters or node.noop or node.asvar or node.message_context)
    return PlainText(said.var.literal) if alone else node


class PlainUrl(Node):
    """`{% url "name" %}` and no more: the menu of a page alone has forty."""

    child_nodelists = ()

    def __init__(self, name: str) -> None:
        self.name = name

    def render(self, context: template.Context) -> str:
        return _address(self.name, get_urlconf(), get_script_prefix())


@lru_cache(maxsize=1000)
def _address(name: str, urlconf: str | None, prefix: str) -> str:
    return escape(reverse(name))


class KeyUrl(Node):
    """`{% url "name" one.pk %}` and no more: a table has hundreds, which differ in the key alone if that is a UUID."""

    child_nodelists = ()

    def __init__(self, name: str, plain: URLNode) -> None:
        self.name, self.plain = name, plain

    def render(self, context: template.Context) -> str:
        key = self.plain.args[0].resolve(context)
        if type(key) is not UUID:
            return self.plain.render(context)
        before, after = _around(self.name, get_urlconf(), get_script_prefix())
        return f"{before}{key}{after}"


ANY_KEY = UUID(int=2**128 - 1)


@lru_cache(maxsize=1000)
def _around(name: str, urlconf: str | None, prefix: str) -> tuple[str, str]:
    before, _, after = reverse(name, args=[ANY_KEY]).partition(str(ANY_KEY))
    return escape(before), escape(after)


@register.tag("url")
def url_tag(parser: Parser, token: Token) -> Node:
    """Django's `url`; the name of a page of ours alone, or with one key, is quicker."""
    node = do_url(parser, token)
    assert isinstance(node, URLNode)
    name = node.view_name.var
    if not isinstance(name, str) or ":" in name or node.kwargs or node.asvar or len(node.args) > 1:
        return node
    return KeyUrl(name, node) if node.args else PlainUrl(name)


@register.simple_tag
def still(part: str) -> SafeString:
    """A template that says the same on every page, without an address in it: rendered once for each language."""
    return _still(part, get_language())


@cache
def _still(part: str, language: str | None) -> SafeString:
    return render_to_string(part)


@register.simple_tag
@lru_cache(maxsize=1000, typed=True)  # typed: a label that is safe is not one that only reads the same
def icon(name: str, size: str = "", label: str = "") -> SafeString:
    """An icon of templates/_sprite.html; decoration unless it has a label."""
    classes = f"icon {size}".strip()
    if label:
        return format_html('<svg class="{}" role="img" aria-label="{}"><use href="#i-{}"/></svg>', classes, label, name)
    return format_html('<svg class="{}" aria-hidden="true"><use href="#i-{}"/></svg>', classes, name)


@register.simple_tag(name="clock")
def clock_tag(at: datetime | None, seconds: bool = False) -> SafeString:
    """A time of day in the reader's zone; nothing for None."""
    zone = timezone.get_current_timezone_name()
    return wording.clock(at, zone, seconds=seconds) if at is not None else SafeString("")


@register.simple_tag(name="moment")
def moment_tag(at: datetime, now: datetime, seconds: bool = False) -> SafeString:
    """A time of day in the reader's zone, with its day unless that is today."""
    return wording.moment(at, timezone.get_current_timezone_name(), now, seconds=seconds)


@register.simple_tag
def day(at: datetime | None) -> SafeString:
    """Day and time in the reader's zone; nothing for None."""
    return wording.day_clock(at, timezone.get_current_timezone_name()) if at is not None else SafeString("")


@register.simple_tag
def date_of(at: datetime) -> str:
    """The day of a time in the reader's zone, `14 Nov`."""
    return wording.day_of(timezone.localtime(at).date())


@register.simple_tag(name="ago")
def ago_tag(at: datetime | None, now: datetime) -> SafeString:
    """How long ago; nothing for None."""
    return wording.ago(at, now) if at is not None else SafeString("")


@register.simple_tag
def wait(since: datetime | None, now: datetime) -> str:
    """A wait as on a clock, `04:38`; nothing for None."""
    return wording.duration((now - since).total_seconds()) if since is not None else ""


@register.simple_tag
def length(seconds: float | None) -> str:
    """A length of time, `5 min`; nothing for None."""
    return wording.span(seconds) if seconds is not None else ""


@register.simple_tag
def length_since(since: datetime | None, now: datetime) -> str:
    """How long it has lasted, `14 min`; nothing for None."""
    return wording.span((now - since).total_seconds()) if since is not None else ""


ACTS = {
    "take": gettext_lazy("Take it"),
    "acknowledge": gettext_lazy("Acknowledge"),
    "release": gettext_lazy("Release"),
    "resolve": gettext_lazy("Resolve"),
    "reopen": gettext_lazy("Reopen"),
    "wake": gettext_lazy("Wake"),
}
TAKE_ALL = gettext_lazy("Take all")  # an outage, with its rooms


@register.simple_tag(takes_context=True)
def org_name(context: template.Context, org: Org) -> str:
    """The org's name, with its external id where the reader sees another org of that name."""
    return org_called(context, org.external_id, org.name)


@register.simple_tag(takes_context=True)
def org_called(context: template.Context, external_id: str, name: str) -> str:
    """The same of an org that is not loaded."""
    shell = context.get("shell")  # an error page has none
    return shell.twins.get(external_id, name) if shell else name


@register.simple_tag(takes_context=True)
def act(context: template.Context, alert: Alert, verb: str, place: str = "") -> SafeString:
    """A form with one button that does `verb` to the alert, on the alert's page."""
    parts = {
        "url": reverse("alert_act", args=[alert.pk, verb]),
        "csrf_token": context.get("csrf_token", ""),
        "name": TAKE_ALL if verb == "take" and alert.is_outage else ACTS[verb],
        "verb": verb,
        "in_menu": place == "menu",
        "place": f"{context.get('place', '')}{place}",  # part of the form's id: a refresh must find the same form
    }
    return render_to_string("pages/frame/_act.html", parts)


@register.simple_tag
def severity(value: str) -> SafeString:
    """A severity as icon and word in its colour."""
    name = severity_name(value)
    return format_html('<span class="lm-sev lm-sev--{}">{}{}</span>', TONES[value], icon(ICONS[value], "icon-s"), name)


@register.filter
def pretty(value: Any) -> str:
    """JSON over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def unlocalise(value: float) -> str:
    """A number as SVG wants it in every language."""
    return f"{value:g}"
