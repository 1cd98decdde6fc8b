"""What those who tell people read and write of people, pushes, silences and digests: a half of the one seam."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max, Q

from alerts.actions.outage_rows import AgentKey
from alerts.actions.statements import (
    EXPIRED,
    HOLD_PUSHES,
    JOIN_AGAIN,
    LOCK_PEOPLE,
    MET,
    ON_PHONES,
    SPENT,
    SUPERSEDE,
    TOLD,
    TOLD_OF_SOURCES,
)
from alerts.delivery.message import idempotency_key, push_body
from alerts.models import (
    Alert,
    DigestAlert,
    Push,
    RoomActivity,
    Silence,
    new_id,
)
from alerts.rows import DigestAlertRow, PushRow
from alerts.tables import Table, as_json, fetch
from orgs.auth import visible_orgs
from orgs.models import User
from orgs.routing import Recipient

Person = tuple[int, int]  # org pk, user pk
Spent = tuple[UUID | None, bool, datetime]  # a push about this alert: whether it waits to be sent, when it was planned
DIGESTED = ("over_budget", "uncorroborated")  # reasons of skipped pushes whose alert joins a digest
TELLS = ("pending", "sending", "sent")  # states of a push that count as having told somebody

PUSHES = Table(Push, PushRow.__struct_fields__)
DIGEST_ALERTS = Table(DigestAlert, DigestAlertRow.__struct_fields__)


class StoredTellings:
    """The half of `alerts.actions.stored.Stored` that is about people and what they are told."""

    # --- people and pushes --------------------------------------------------------------------------------------------

    def known_people(self, pks: Collection[int]) -> set[int]:
        """Those of these people that there still are."""
        return set(User.objects.filter(pk__in=pks).values_list("pk", flat=True)) if pks else set()

    def last_entered(self, rooms: Sequence[int], since: datetime) -> Mapping[int, datetime]:
        """When somebody last entered each of these rooms since then."""
        came = RoomActivity.objects.filter(room__in=rooms, kind=RoomActivity.Kind.HUMAN_OPENED, at__gte=since)
        return dict(came.order_by().values_list("room").annotate(last=Max("at")))

    def may_see(self, person: User, org: int) -> bool:
        """Whether alerts of this org can be given to this person."""
        return org in visible_orgs(person)

    def lock_people(self, people: Sequence[Person]) -> None:
        """Nobody else plans for these people (sorted)."""
        fetch(LOCK_PEOPLE, [_people(people)])

    def spent(self, people: Sequence[Person], since: datetime) -> Mapping[Person, Sequence[Spent]]:
        """Their pushes about alerts planned after `since`."""
        found: dict[Person, list[Spent]] = defaultdict(list)
        for org, user, *push in fetch(SPENT, [_people(people), since]):
            found[org, user].append(tuple(push))
        return found

    def told_before(
        self, rooms: set[int], sources: set[int], since: datetime
    ) -> Iterable[tuple[int | None, int | None, int, str, datetime]]:
        """Room, source, supervisor, severity, and when they were last told that it is so severe, after `since`."""
        of_rooms = fetch(TOLD, [list(rooms), since]) if rooms else []
        of_sources = fetch(TOLD_OF_SOURCES, [list(sources), since]) if sources else []
        return [(room, source, user, severity, at) for room, source, user, severity, at in (*of_rooms, *of_sources)]

    def body(self, push: PushRow, alert: Alert, person: Recipient, others: Sequence[str]) -> str:
        """What a push says, frozen. `others`: names of the agents that failed in its room too."""
        own = [] if others and alert.agent is None else [str(alert.agent or alert.source or alert.org)]
        subject = ", ".join([*own, *others])
        return push_body(push=push, alert=alert, org=alert.org, room=alert.room, subject=subject, recipient=person)

    def new_push(self) -> tuple[UUID, UUID]:
        """The id of a push and its idempotency key."""
        push_id = new_id()
        return push_id, idempotency_key(push_id)

    def told_unroutable(self, agent: AgentKey, people: Sequence[int], since: datetime) -> bool:
        """Whether any of these people was told after `since` that nobody can be told of this agent."""
        told = Push.objects.filter(org=agent[0], supervisor__in=people, planned_at__gt=since, kind=Push.Kind.ALERT)
        return told.filter(state__in=TELLS, reason="unroutable", alert__agent=agent[1]).exists()

    def write_pushes(self, pushes: Sequence[PushRow]) -> None:
        """New pushes."""
        PUSHES.insert(pushes)

    def supersede(self, newer: Sequence[PushRow], now: datetime) -> None:
        """Cancel what waits of older occurrences for the same supervisor and alert."""
        alerts, people = [p.alert_id for p in newer], [p.supervisor_id for p in newer]
        fetch(SUPERSEDE, [now, alerts, people, [p.occurrence for p in newer]])

    def silences_due(self, now: datetime, held: datetime | None) -> list[UUID]:
        """The silences that begin, end, or may have been idle for long enough; what fell due from `held` on waits. A
        replay asks `known` instead.
        """
        due = Silence.objects.filter(due_at__lte=now, **{"due_at__lt": held} if held else {})
        return list(due.order_by("due_at").values_list("pk", flat=True))

    def expired(self, since: datetime) -> Iterable[tuple[int, int, int, UUID, str]]:
        """Org, person, tier, open alert and severity of what expired since then, and no digest names."""
        return fetch(EXPIRED, [since])

    def silences_unsettled(self) -> list[Silence]:
        """The silences whose alerts are to be judged."""
        return list(Silence.objects.filter(unsettled=True).select_related("org").order_by("pk"))

    def silences_since(self, org: int, since: datetime) -> list[Silence]:
        """The silences of this org that stood since then."""
        standing = Q(ended_at=None) | Q(ended_at__gt=since)
        return list(Silence.objects.filter(standing, org=org).select_related("org").order_by("pk"))

    def write_silenced(self, rows: Iterable[tuple[int, UUID, UUID, bool]], now: datetime) -> None:
        """What silences met: org, silence, alert, and whether it was held."""
        names = ("org_id", "silence_id", "alert_id", "held")
        fetch(MET, [now, now, as_json([dict(zip(names, row, strict=True)) for row in rows])])

    def hold_pushes(self, alerts: Collection[UUID], now: datetime) -> None:
        """Cancel as silenced what waits to be sent about these alerts, but what specialists are told."""
        fetch(HOLD_PUSHES, [now, list(alerts)])

    def silenced_reasons(self, alert: Alert, since: datetime) -> set[str]:
        """Why people would have been told of this alert since then, and were not because it was silenced."""
        held = Push.objects.filter(alert=alert, ended_reason="silenced", ended_at__gte=since)
        return set(held.values_list("reason", flat=True))

    def cancelled_reason(self, alert: Alert, since: datetime) -> str:
        """Why people were last to be told of this alert, if that was cancelled since as not needed, or a digest went
        without it; else empty.
        """
        cancelled = Q(ended_reason="no_longer_needed", ended_at__gte=since)
        last = Push.objects.filter(alert=alert, occurrence=alert.occurrence)
        missed = last.filter(cancelled | Q(ended_reason__in=DIGESTED, supervisor__in=_left_out(alert, since)))
        return missed.values_list("reason", flat=True).first() or ""

    def on_phones(self, alerts: Sequence[UUID], now: datetime) -> Iterable[tuple[Any, ...]]:
        """The pushes about these alerts that are on people's phones, or on their way: a row of ON_PHONES each."""
        return fetch(ON_PHONES, [alerts, now]) if alerts else []

    def revocations_of(self, pushes: Sequence[UUID]) -> Iterable[tuple[UUID, int, str, str, str]]:
        """What takes these pushes back, the first ones first: the push, its number, state and reason, what it says."""
        rows = Push.objects.filter(revokes__in=pushes).order_by("occurrence")
        found = rows.values_list("revokes", "occurrence", "state", "reason", "body")
        return [(push, n, state, why, body) for push, n, state, why, body in found if push is not None]

    def supersede_revocations(self, pushes: Sequence[UUID], now: datetime) -> None:
        """Cancel what waits to take these pushes back: something else does."""
        waits = Push.objects.filter(revokes__in=pushes, state=Push.State.PENDING)
        waits.update(state=Push.State.CANCELLED, ended_reason="superseded", ended_at=now, next_attempt_at=None)

    def people(self, pks: Collection[int]) -> dict[int, User]:
        """These people, by pk."""
        return User.objects.in_bulk(pks)

    # --- digests ------------------------------------------------------------------------------------------------------

    def waiting_digests(self, people: Iterable[Person]) -> dict[Person, Push | PushRow]:
        """The digest of each of these people that is not written yet, locked."""
        rows = _digests(people).filter(state=Push.State.PENDING, body="").order_by("org_id", "supervisor_id")
        return {(one.org_id, one.supervisor_id): one for one in rows.select_for_update(of=("self",))}

    def newest_digests(self, people: Iterable[Person]) -> dict[Person, tuple[int, datetime | None]]:
        """The number of the last digest of each, and when one last went out."""
        found: dict[Person, tuple[int, datetime | None]] = {}
        rows = _digests(people).order_by("org_id", "supervisor_id", "-occurrence").distinct("org_id", "supervisor_id")
        for org, user, number in rows.values_list("org_id", "supervisor_id", "occurrence"):
            found[org, user] = number, None
        written = rows.exclude(body="").exclude(state=Push.State.CANCELLED, attempts=0)
        for org, user, at in written.values_list("org_id", "supervisor_id", "planned_at"):
            found[org, user] = found[org, user][0], at
        return found

    def hurry_digest(self, digest: Push | PushRow) -> None:
        """A waiting digest goes at another time, or is more severe now."""
        assert isinstance(digest, Push)
        digest.save(update_fields=["planned_at", "next_attempt_at", "severity"])

    def named_in(self, names: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        """Those of these (push, alert) where the digest stands for the alert already."""
        digests, alerts = {push for push, _ in names}, {alert for _, alert in names}
        rows = DigestAlert.objects.filter(push__in=digests, alert__in=alerts).values_list("push_id", "alert_id")
        return set(names) & set(rows)

    def join_again(self, names: Collection[tuple[UUID, UUID]], now: datetime) -> None:
        """These (push, alert) join their digest once more."""
        if names:
            fetch(JOIN_AGAIN, [now, [push for push, _ in names], [alert for _, alert in names]])

    def write_names(self, rows: Sequence[DigestAlertRow]) -> None:
        """These alerts join these digests."""
        DIGEST_ALERTS.insert(rows)


def _people(people: Iterable[Person]) -> str:
    return as_json([{"org_id": org, "supervisor_id": user} for org, user in people])


def _left_out(alert: Alert, since: datetime) -> list[int]:
    """Whose digest was to name this alert, and was written, or cancelled, without it since."""
    over = Q(push__state=Push.State.CANCELLED, push__ended_reason="no_longer_needed", push__ended_at__gte=since)
    without = DigestAlert.objects.filter(Q(named=False, push__planned_at__gte=since) | over, alert=alert)
    return list(without.values_list("push__supervisor_id", flat=True))


def _digests(people: Iterable[Person]) -> Any:
    people = list(people)
    orgs, users = {org for org, _ in people}, {user for _, user in people}
    return Push.objects.filter(kind=Push.Kind.DIGEST, org__in=orgs, supervisor__in=users)
