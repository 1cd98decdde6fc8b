"""Client tokens: what a page in a browser may hold in place of a key. One org, scope ingest, for minutes.

A token is signed and no row is kept of it. It says which key it was made with and ends with that key.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core import signing

from orgs.keys import InvalidKey, live_key
from orgs.models import ApiKey, Org, Scope

LONGEST_TTL, USUAL_TTL = 3600, 900  # seconds
MARKED = "token."  # no key begins so: a key's prefix has eight characters
_signer = signing.Signer(sep=".", salt="orgs.client_tokens")  # a colon may not stand in a Bearer token (RFC 6750)


@dataclass(frozen=True, slots=True)
class ClientToken:
    """What was made: the text, which is kept nowhere, and when it ends."""

    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenBearer:
    """Whom a live token lets in: the key it came from, and the one org it writes for."""

    key: ApiKey
    org: Org


def is_client_token(raw: str) -> bool:
    """Whether this is meant as a client token; it may be a forged one."""
    return raw.startswith(MARKED)


def make_client_token(key: ApiKey, org: Org, ttl: int, now: datetime) -> ClientToken:
    """A token of `ttl` seconds for an org that this key may write for; it never outlives the key."""
    until = (now + timedelta(seconds=ttl)).replace(microsecond=0)
    if key.expiry_date is not None:
        until = min(until, key.expiry_date.replace(microsecond=0))
    claims = {"key": key.prefix, "org": org.pk, "until": int(until.timestamp())}
    return ClientToken(MARKED + _signer.sign_object(claims), until)


def find_token(raw: str, now: datetime) -> TokenBearer:
    """Whom a token lets in. Raises InvalidKey: not ours, changed, over, or its key or its org is gone."""
    try:
        claims = _signer.unsign_object(raw.removeprefix(MARKED))
        prefix, org_id, until = claims["key"], claims["org"], datetime.fromtimestamp(claims["until"], UTC)
    except (signing.BadSignature, ValueError, KeyError, TypeError, OverflowError):
        raise InvalidKey from None
    key = live_key(prefix)
    if key is None or until <= now or Scope.INGEST not in key.scopes:
        raise InvalidKey
    if key.source.org_id not in (None, org_id):  # a source keeps its org; were that ever changed, old tokens end
        raise InvalidKey
    org = key.source.org if key.source.org_id else Org.objects.filter(pk=org_id).first()
    if org is None:
        raise InvalidKey
    return TokenBearer(key, org)
