"""Mekari HMAC as the receiver checks it. Written apart from the sender's code, so each proves the other."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_AGE_SECONDS = 300
AUTHORIZATION = re.compile(
    r'hmac username="(?P<username>[^"]*)", algorithm="hmac-sha256", headers="date request-line", '
    r'signature="(?P<signature>[^"]*)"'
)


def problem(
    headers: Mapping[str, str], request_line: str, client_id: str, client_secret: str, now: datetime
) -> str | None:
    """Why the request is not who it says it is, or None where the signature holds.

    `request_line` as it came, with its query: `POST /v1/notifications HTTP/1.1`. `now` in UTC.
    """
    match = AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
    if match is None:
        return "Authorization is missing or not in the Mekari HMAC form."
    if not hmac.compare_digest(match["username"].encode(), client_id.encode()):
        return "The username is unknown."
    date = headers.get("Date", "")
    if (age := _age_seconds(date, now)) is None:
        return "Date is missing or not in RFC 1123 form."
    if abs(age) > MAX_AGE_SECONDS:
        return f"Date is more than {MAX_AGE_SECONDS} seconds away from this server's clock."
    if not _signature_holds(match["signature"], f"date: {date}\n{request_line}", client_secret):
        return "The signature does not match."
    return None


def _age_seconds(date: str, now: datetime) -> float | None:
    try:
        sent = parsedate_to_datetime(date)
    except ValueError:
        return None
    if sent.tzinfo is None:
        sent = sent.replace(tzinfo=UTC)
    return (now - sent).total_seconds()


def _signature_holds(signature: str, signed: str, client_secret: str) -> bool:
    expected = hmac.digest(client_secret.encode(), signed.encode(), hashlib.sha256)
    try:
        given = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, expected)
