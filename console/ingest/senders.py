"""What a request says of how much its process has sent so far: `X-Items-Sent`, and `X-Client-Id`, its name."""

import re
from collections import Counter
from hashlib import sha256

from alerts.sources.senders import SaidSent, counted_sent
from console.ingest.keys import Caller
from console.ingest.request import Request

CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def said_sent(request: Request, caller: Caller, counts: Counter[str]) -> SaidSent | None:
    """What an answered request said; None if it said nothing that can be read. `counts`: its items by status.

    A process without a name of its own is known by its key and address, of which a hash is kept.
    """
    n = counted_sent(request.headers.get("x-items-sent", ""))
    if n is None:
        return None
    name = request.headers.get("x-client-id", "").strip()
    named = CLIENT_ID.fullmatch(name) is not None
    process = name if named else "~" + sha256(f"{caller.prefix} {request.client}".encode()).hexdigest()[:32]
    source, items = caller.source, sum(counts.values())
    return SaidSent(source.org_id, source.pk, process, named, n, items, counts["duplicate"])
