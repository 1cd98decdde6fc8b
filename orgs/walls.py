"""Wall boards: made, found, revoked. The secret is part of the address and exists once: in what `make_wall` answers."""

import hashlib
import hmac
import secrets
from datetime import datetime

from django.conf import settings
from django.urls import reverse
from django_scopes import scopes_disabled

from orgs.models import Org, Wall

NOBODY = bytes(32)


class UnknownWall(Exception):
    """No such wall board, a secret that is not its own, or revoked: the caller is not told which."""


def make_wall(org: Org, name: str = "", *, locale: str = "", theme: str = "dark") -> tuple[Wall, str]:
    """Make a wall board of an org; gives it and its whole address, which is not kept anywhere."""
    token = secrets.token_urlsafe(32)
    made = Wall.objects.create(org=org, name=name, locale=locale or org.locale, theme=theme, token_hash=_digest(token))
    return made, settings.BASE_URL + reverse("wall", args=[f"{made.public_id}.{token}"])


def revoke_wall(found: Wall, now: datetime) -> bool:
    """End a wall board for good; whether it was live before. An open page of it hears of it within 10 s."""
    return Wall.objects.filter(pk=found.pk, revoked_at=None).update(revoked_at=now) == 1


def find_wall(segment: str) -> Wall:
    """The live wall board named by the last part of an address, `public_id.token`, with its org. Raises UnknownWall.

    Found by its public id, the secret's hash compared in constant time, whether there is one or not.
    """
    public_id, _, token = segment.partition(".")
    name = public_id if public_id.isascii() and public_id.isalnum() else ""  # a NUL is no question for the database
    with scopes_disabled():
        found = Wall.objects.select_related("org").filter(public_id=name, revoked_at=None).first()
    same = hmac.compare_digest(_digest(token), bytes(found.token_hash) if found else NOBODY)
    if found is None or not same:
        raise UnknownWall
    return found


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
