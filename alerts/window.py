"""How long a human may still write freely to a customer, by channel. Pure: plain data in, plain data out.

WhatsApp lets one answer freely for 24 h after the customer's last message; after it only templates go through.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from alerts.limits import minutes_long


@lru_cache(maxsize=1024)
def channel_of(channel: str) -> str:
    """A channel as windows name it: in lower case, every spelling of WhatsApp as one.

    >>> channel_of(" WA_cloud "), channel_of("WhatsApp"), channel_of("Instagram")
    ('whatsapp', 'whatsapp', 'instagram')
    """
    named = channel.strip().lower()
    return "whatsapp" if named.startswith("wa") else named


def window_ends(channel: str, customer_last_at: datetime | None, hours: Mapping[str, int]) -> datetime | None:
    """Until when this channel may be answered freely; None: always, or nobody knows when the customer wrote last."""
    lasts = hours.get(channel_of(channel))
    return None if customer_last_at is None or not lasts else customer_last_at + minutes_long(60 * lasts)
