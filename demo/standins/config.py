"""What the stand-in is told when it starts."""

import base64
import binascii
import os
from dataclasses import dataclass
from pathlib import Path

from demo.commandline import Refused


@dataclass(frozen=True)
class Config:
    """`client_id` and `client_secret` sign what comes in; `receipt_secret` (`whsec_...`) what goes out.

    `receipts_url` None: no receipt is ever posted. `receipt_delay_seconds` is the time between an accepted
    push and its `delivered` receipt.
    """

    data_dir: Path
    client_id: str
    client_secret: str
    receipts_url: str | None = None
    receipt_secret: str = ""
    auto_delivered: bool = True
    receipt_delay_seconds: float = 0.2


def from_environment(data_dir: Path, receipts_url: str | None, *, auto_delivered: bool) -> Config:
    """Read the secrets from the environment; raises `Refused` with the name of what is missing or wrong."""
    base_url = os.environ.get("BASE_URL", "").rstrip("/")
    receipts_url = receipts_url or (f"{base_url}/api/push-receipts" if base_url else None)
    return Config(
        data_dir=data_dir,
        client_id=_required("NOTIFICATION_SERVICE_CLIENT_ID"),
        client_secret=_required("NOTIFICATION_SERVICE_CLIENT_SECRET"),
        receipts_url=receipts_url,
        receipt_secret=_receipt_secret() if receipts_url else "",
        auto_delivered=auto_delivered,
    )


def _required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set in the environment.")
    return value


def _receipt_secret() -> str:
    name = "NOTIFICATION_SERVICE_RECEIPT_SECRET"
    value = _required(name)
    try:
        key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not value.startswith("whsec_") or not key:
        raise Refused(f"{name} must be whsec_ followed by base64.")
    return value
