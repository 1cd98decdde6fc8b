"""The link into a room of the chat product: built or checked here, never taken from a sender on trust."""

from urllib.parse import quote, urlsplit

from alerts.models import Room
from orgs.models import Org
from orgs.room_links import PORTS, place_of_link


def room_url(org: Org, room: Room) -> str | None:
    """Where a supervisor enters the room: the event's own link if its host is on the org's list, else the template.

    https only; http on loopback in demo mode. None if neither is allowed.
    """
    if room.url and is_allowed(room.url, set(org.allowed_hosts)):
        return room.url
    filled = _fill(org, room)
    return filled if filled is not None and is_allowed(filled, None) else None


def is_allowed(url: str, hosts: set[str] | None) -> bool:
    """Whether a browser may be sent there. `hosts`: with their port where it is not the scheme's own; None: any host
    (the template was set by a specialist).
    """
    place = place_of_link(url)
    if place is None or hosts is None:
        return place is not None
    return place in {_place(listed, PORTS[urlsplit(url).scheme]) for listed in hosts}


def _place(listed: str, default: int) -> tuple[str, int] | None:
    """Host and port of an entry of an org's list; None for what is neither."""
    try:
        parts = urlsplit(f"//{listed.strip()}")
        return ((parts.hostname or "").rstrip("."), parts.port or default)
    except ValueError:
        return None


def _fill(org: Org, room: Room) -> str | None:
    """The template with percent-encoded ids: a room id can add neither a path nor a host."""
    template = org.room_url_template
    _, _, rest = template.partition("://")
    if "{" in rest.split("/", 1)[0]:
        return None  # a variable in the host would let a sender choose it
    account = quote(org.external_id, safe="")  # the org's id in the chat product is its account there
    values = {"room_id": quote(room.room_id, safe=""), "org_id": account, "account_id": account}
    if any(value in (".", "..", "") for name, value in values.items() if f"{{{name}}}" in template):
        return None  # a browser would resolve it away, into another page
    try:
        return template.format(**values)
    except (KeyError, IndexError, ValueError, AttributeError):
        return None
