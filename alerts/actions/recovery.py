"""After an outage of notification-service: what became too old to be pushed is named in one digest for each person."""

from datetime import datetime, timedelta

from alerts.actions.digests import Joining, join_digests, name_in_digests
from alerts.actions.stored import stored
from alerts.faults import contained

EXPIRED_WITHIN = timedelta(minutes=30)  # sweeps come every few seconds


def digest_expired(now: datetime) -> int:
    """Let what expired join the digests of whom it was for, if it is still open; how many. No query that grows."""
    with contained("expired_not_digested"), stored().atomic():
        found = list(stored().expired(now - EXPIRED_WITHIN))
        joining = [
            Joining((org, person), tier, alert, severity, "expired", "expired")
            for org, person, tier, alert, severity in found
        ]
        begun = join_digests(joining, now)
        stored().write_pushes(begun)
        name_in_digests(joining, begun, now)
        return len(found)
    return 0
