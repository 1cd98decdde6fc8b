"""POST /api/push-receipts: what became of a push, signed by notification-service with Standard Webhooks.

The lane remembers no receipt to find replays: the same receipt told again changes nothing.
"""

import base64
import time
from collections.abc import Mapping

import structlog
from django.conf import settings
from standardwebhooks import Webhook, WebhookVerificationError

from console.ingest.decode import Refusal

TOLERANCE = 300.0  # seconds, as the library has it
SIGNATURE_BYTES = 32

log = structlog.get_logger(__name__)


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse, before we read the body, headers that are missing, too old or no signature. Raises Refusal (401)."""
    try:
        age = abs(time.time() - float(headers["webhook-timestamp"]))
        versions = [one.partition(",") for one in headers["webhook-signature"].split()]
        signatures = [base64.b64decode(text, validate=True) for version, _, text in versions if version == "v1"]
    except (KeyError, ValueError):
        raise _refused() from None
    signed = any(len(signature) == SIGNATURE_BYTES for signature in signatures)
    if not (headers.get("webhook-id") and age <= TOLERANCE and signed):
        raise _refused()


def verify(body: bytes, headers: Mapping[str, str]) -> None:
    """Check the signature over the raw body, at most 5 min old. Raises Refusal (401)."""
    try:
        Webhook(settings.NOTIFICATION_SERVICE_RECEIPT_SECRET).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:  # ValueError: not UTF-8, not base64
        log.warning("receipt_refused", error=type(error).__name__)
        raise _refused() from None
    except Exception as error:  # noqa: BLE001 - no usable secret is set here: nobody can have signed with it
        log.error("receipt_secret_unusable", error=type(error).__name__)
        raise _refused() from None


def _refused() -> Refusal:
    return Refusal(401, "unauthenticated", "The signature of this receipt does not hold.")
