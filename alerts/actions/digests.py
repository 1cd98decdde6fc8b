"""Digests: one push that stands for many alerts, for what a person is not told of at once.

What joins waits in the newest digest of that person that is not written yet, else begins the next one. It is written
when it is claimed (alerts/delivery/digest.py): then it names what is still open.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from alerts.actions.budget import lock_people
from alerts.actions.stored import stored
from alerts.actions.stored_tellings import Person
from alerts.decide import RANK, digest_due
from alerts.models import Push
from alerts.rows import DigestAlertRow, PushRow

# Reasons to tell somebody of something new.
NEWS = ("first", "worsened", "rearmed", "escalated", "corroborated", "outage_ended", "expired", "on_duty")


class Joining(msgspec.Struct, frozen=True):
    """One alert that joins the digest of one person, as of `at` (None: now). `why`: reason of the digest that it
    begins; `about`: of its own telling.
    """

    person: Person
    tier: int
    alert_id: UUID
    severity: str
    why: str
    about: str
    at: datetime | None = None

    @property
    def is_new_critical(self) -> bool:
        return self.severity == "critical" and self.about in NEWS


def join_digests(joining: Sequence[Joining], now: datetime) -> list[PushRow]:
    """Let these join; gives the digests that begin, for the caller to insert before `name_in_digests`.

    Locks the people, then the digests that wait: whoever writes one meanwhile has it to themselves.
    """
    if not joining:
        return []
    by_person: dict[Person, list[Joining]] = defaultdict(list)
    for one in joining:
        by_person[one.person].append(one)
    lock_people(by_person)
    waiting, newest = stored().waiting_digests(by_person), stored().newest_digests(by_person)
    begun = []
    for person, some in sorted(by_person.items()):
        last = newest.get(person)
        if (digest := waiting.get(person)) is not None:
            _hurry(digest, some, last, now)
        else:
            begun.append(_begin(some, last, now))
    return begun


def name_in_digests(joining: Sequence[Joining], begun: Sequence[PushRow], now: datetime) -> None:
    """Each of these alerts in the digest of its person that waits: in one of those just `begun`, if it is theirs.

    Who was pushed one before it joined needs it here again; who is pushed it later does not.
    """
    if not joining:
        return
    digests = {(one.org_id, one.supervisor_id): one.id for one in begun}
    waiting = stored().waiting_digests({one.person for one in joining})
    digests |= {person: digest.id for person, digest in waiting.items()}
    wanted = {(digests[one.person], one.alert_id): one for one in joining}
    known = stored().named_in(wanted)
    stored().join_again(known, now)
    new = [key for key in wanted if key not in known] if known else wanted
    stored().write_names([DigestAlertRow(wanted[key].person[0], *key, now) for key in new])


def _due(some: Sequence[Joining], last: tuple[int, datetime | None] | None, now: datetime) -> datetime:
    together: dict[datetime, list[Joining]] = defaultdict(list)
    for one in some:
        together[one.at or now].append(one)
    return min(_due_at(at, those, last[1] if last else None) for at, those in together.items())


def _due_at(at: datetime, some: Sequence[Joining], last_at: datetime | None) -> datetime:
    hurries = any(one.why != "uncorroborated" for one in some)
    return digest_due(at, last_at, any(one.is_new_critical for one in some), hurries=hurries)


def _worst(severities: Sequence[str]) -> str:
    return max(severities, key=lambda severity: RANK[severity])


def _hurry(
    digest: Push | PushRow, some: Sequence[Joining], last: tuple[int, datetime | None] | None, now: datetime
) -> None:
    """What joins may be worse than what waits, and makes it go sooner; never later."""
    due = min(digest.planned_at, _due(some, last, now))
    severity = _worst([digest.severity, *(one.severity for one in some)])
    if (due, severity) != (digest.planned_at, digest.severity):
        digest.planned_at = digest.next_attempt_at = due
        digest.severity = severity
        stored().hurry_digest(digest)


def _begin(some: Sequence[Joining], last: tuple[int, datetime | None] | None, now: datetime) -> PushRow:
    (push_id, key), due, first = stored().new_push(), _due(some, last, now), some[0]
    org, person = first.person
    return PushRow(
        id=push_id,
        org_id=org,
        alert_id=None,
        room_id=None,
        supervisor_id=person,
        kind=Push.Kind.DIGEST,
        occurrence=(last[0] if last else 0) + 1,
        tier=first.tier,
        reason=first.why,
        severity=_worst([one.severity for one in some]),
        idempotency_key=key,
        planned_at=due,
        state=Push.State.PENDING,
        next_attempt_at=due,
    )
