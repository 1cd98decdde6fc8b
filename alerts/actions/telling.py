"""Who gets a push about what was just decided, and what it says: planned with the decision, sent after the commit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q

from alerts.actions.tables import Table
from alerts.decide import THROTTLE, plan
from alerts.delivery.message import idempotency_key, push_body
from alerts.models import Alert, Push, new_id
from alerts.rows import EventRow, PushRow, TransitionRow
from orgs.routing import Recipient, specialists

TELLS = ("pending", "sending", "sent")  # states of a push that count as having told somebody
PUSHES = Table(Push, PushRow.__struct_fields__)
Whom = Callable[[Iterable[tuple[int, int]]], dict[tuple[int, int], list[Recipient]]]


@dataclass
class Telling:
    """A decision to tell people of an alert, and what caused it."""

    alert: Alert
    transition: TransitionRow
    event: EventRow | None
    reason: str
    occurrence: int
    severity: str


class Outbox:
    """The pushes of one transaction. `whom` gives the people of each (org pk, agent pk)."""

    def __init__(self, now: datetime, whom: Whom) -> None:
        self.now, self._whom = now, whom
        self.pushes: list[PushRow] = []
        self.expected: set[tuple[int, int]] = set()  # whose people are read with the first that are asked for
        self._told: dict[tuple[str, int], datetime] | None = None

    def plan(self, tellings: Sequence[Telling], rooms: Iterable[int]) -> None:
        """Plan a push for everybody to tell. `rooms`: pks of those of this transaction that may have had any before."""
        people = self._people(tellings)
        if self._told is None:
            self._told = self._told_before(set(rooms), {t.alert.source_id for t in tellings if t.alert.source_id})
        for telling in tellings:
            found = people[telling.alert.pk]
            if not found:
                _nobody(telling)
            planned = [self._push(telling, person, self._told) for person in found]
            if any(push.state == Push.State.PENDING for push in planned):
                telling.alert.last_told_at = self.now
            self.pushes += planned

    def _people(self, tellings: Sequence[Telling]) -> dict[UUID, list[Recipient]]:
        """Whom to tell of each alert: those who back up the agent, of a source's alert the specialists."""
        agents = {(t.alert.org_id, t.alert.agent_id) for t in tellings if t.alert.agent_id}
        of_agent = self._whom(agents | self.expected) if agents else {}
        of_source = specialists() if any(t.alert.source_id for t in tellings) else []
        return {
            t.alert.pk: of_agent[(t.alert.org_id, t.alert.agent_id)] if t.alert.agent_id else of_source
            for t in tellings
        }

    def _told_before(self, rooms: set[int], sources: set[int]) -> dict[tuple[str, int], datetime]:
        """When each supervisor was last told of each subject within the throttle, by (subject, user pk)."""
        if not rooms | sources:
            return {}
        rows = (
            Push.objects.filter(
                Q(room__in=rooms) | Q(alert__source__in=sources) if sources else Q(room__in=rooms),
                state__in=TELLS,
                kind=Push.Kind.ALERT,
                planned_at__gt=self.now - THROTTLE,
            )
            .values_list("room_id", "alert__source_id", "supervisor_id")
            .annotate(last=Max("planned_at"))
        )
        return {(_subject(room, source), supervisor): last for room, source, supervisor, last in rows}

    def _push(self, telling: Telling, person: Recipient, told: dict[tuple[str, int], datetime]) -> PushRow:
        alert, room = telling.alert, telling.alert.room
        about = (_subject(alert.room_id, alert.source_id), person.user_id)
        verdict = plan(telling.reason, told.get(about), self.now)
        push_id = new_id()
        push = PushRow(
            id=push_id,
            org_id=alert.org_id,
            alert_id=alert.pk,
            room_id=alert.room_id,
            supervisor_id=person.user_id,
            kind=Push.Kind.ALERT,
            occurrence=telling.occurrence,
            tier=person.tier,
            reason=telling.reason,
            severity=telling.severity,
            idempotency_key=idempotency_key(push_id),
            planned_at=self.now,
            state=Push.State.PENDING,
            next_attempt_at=self.now,
        )
        if not verdict.send:
            push.end(Push.State.SKIPPED, verdict.reason, self.now)
            return push
        told[about] = self.now
        push.body = push_body(
            push=push, alert=alert, org=alert.org, room=room, subject=str(alert.agent or alert.source), recipient=person
        )
        return push

    def supersede(self) -> None:
        """A newer occurrence for the same supervisor and alert cancels what still waits to be sent."""
        newest = {(p.alert_id, p.supervisor_id): p for p in self.pushes if p.state == Push.State.PENDING}
        for push in self.pushes:
            newer = newest.get((push.alert_id, push.supervisor_id))
            if newer is not None and newer is not push and push.state == Push.State.PENDING:
                push.end(Push.State.CANCELLED, "superseded", self.now)
        again = [p for p in newest.values() if p.occurrence > 1]
        if not again:
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE alerts_push p SET state = 'cancelled', ended_reason = 'superseded', ended_at = %s,"
                " next_attempt_at = NULL"
                " FROM unnest(%s::uuid[], %s::bigint[], %s::int[]) AS n(alert_id, supervisor_id, occurrence)"
                " WHERE p.alert_id = n.alert_id AND p.supervisor_id = n.supervisor_id"
                " AND p.occurrence < n.occurrence AND p.state = 'pending'",
                [
                    self.now,
                    [p.alert_id for p in again],
                    [p.supervisor_id for p in again],
                    [p.occurrence for p in again],
                ],
            )


def _subject(room_id: int | None, source_id: int | None) -> str:
    """What pushes are throttled by: the room, for a source's alert the source, in whichever org it is silent."""
    return f"room {room_id}" if room_id else f"source {source_id}"


def _nobody(telling: Telling) -> None:
    """Nobody backs up the agent: the decision says so, and what it would have been told for."""
    alert = telling.alert
    telling.transition.reason = alert.last_reason = "unroutable"
    telling.transition.detail["wanted"] = telling.reason
    if telling.event is not None:
        telling.event.reason = "unroutable"
