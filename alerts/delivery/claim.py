"""Claim: make due pushes ours for a minute, each one checked again, through the one gate. One short transaction."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from alerts.decide import PUSH_EXPIRES, PushFacts, RevocationFacts, recheck, recheck_revocation
from alerts.delivery import gate as gates
from alerts.delivery.digest import still_waiting, write_digests
from alerts.delivery.duty import duty_rechecks
from alerts.delivery.sender import Claimed
from alerts.delivery.silenced import silenced_alerts
from alerts.failpoints import failpoint
from alerts.feed import Kick
from alerts.known import Known, known_now
from alerts.models import Alert, Gate, Push
from alerts.tables import Table, fetch
from orgs import clock
from orgs.duty.roster import QUIET, Roster
from orgs.routing import NO_TIER, SPECIALISTS, absent_from_org, standing_at

LEASE = timedelta(seconds=60)  # longer than the task limit of 30 s, which is longer than a deadline of 10 s
Hops = Callable[[datetime], dict[str, float]]
KICKED_WITHIN = 1.0  # seconds after its plan; a later kick was for another push
CLOCKS_AGREE = 0.05  # seconds by which a web process's clock may be behind
SPARE = 50  # rows looked at while few or none may be sent, so that expired pushes still end


@dataclass(frozen=True, slots=True)
class Claim:
    """`pushes` are ours; `cancelled` are the alerts of pushes that make no sense any more.

    `more`: something else may be due. `recovering`: after a pause, wait for what becomes of these first.
    """

    pushes: list[Claimed] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    more: bool = False
    recovering: bool = False


class DuePush(NamedTuple):
    """A due push with what is needed to check it again."""

    id: UUID
    org_id: int
    agent_id: int | None
    alert_id: UUID | None
    supervisor_id: int
    active: bool
    specialist: bool
    kind: str
    tier: int
    reason: str
    planned_at: datetime
    attempts: int
    idempotency_key: UUID
    body: str
    newer_planned: bool  # of a revocation also: of another who took it since
    alert_scope: str | None
    alert_state: str | None
    acknowledged_at: datetime | None
    snoozed_until: datetime | None
    held: bool
    outage: bool  # its alert has rooms under it
    on_phone: bool | None  # of a revocation: what it takes back is on a phone
    others: str | None  # JSON: the pks of other agents that failed in its room too


# The orgs with something pending, found by skipping from one to the next in the index; then their pushes, turn by turn,
# the next one of each. PostgreSQL goes on until `limit` rows are read: it costs as many steps as there are orgs and
# rows wanted, however many are due. Each step asks for a range and sorts as the index does, and the index is of
# `org_id + 0`: else the planner, whose figures are of before the storm, would take one that other pages need.
# An expired push holds up nobody: it is looked at beside the others, to be ended.
TURNS = """
{name}_org (org_id) AS (
    (SELECT org_id FROM alerts_push WHERE {ours} ORDER BY org_id + 0, planned_at, id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT push.org_id FROM alerts_push push WHERE {ours} AND push.org_id + 0 > org.org_id
        ORDER BY org_id + 0, planned_at, id LIMIT 1
    )
    FROM {name}_org org
    WHERE org.org_id IS NOT NULL
),
{name}_turn (id, org_id, planned_at, turn) AS (
    (SELECT head.*, 1
     FROM {name}_org org CROSS JOIN LATERAL (
         SELECT id, org_id, planned_at FROM alerts_push
         WHERE {ours} AND (org_id + 0, planned_at, id) >= (org.org_id, %(alive)s, {first}) AND org_id + 0 <= org.org_id
           AND next_attempt_at <= %(due_by)s
         ORDER BY org_id + 0, planned_at, id LIMIT 1
     ) head
     ORDER BY head.planned_at, head.id)
    UNION ALL
    SELECT following.*, turn.turn + 1
    FROM {name}_turn turn CROSS JOIN LATERAL (
        SELECT id, org_id, planned_at FROM alerts_push
        WHERE {ours} AND (org_id + 0, planned_at, id) > (turn.org_id, turn.planned_at, turn.id)
          AND org_id + 0 <= turn.org_id AND next_attempt_at <= %(due_by)s
        ORDER BY org_id + 0, planned_at, id LIMIT 1
    ) following
),
{name}_expired (id) AS (
    SELECT old.id
    FROM {name}_org org CROSS JOIN LATERAL (
        SELECT id FROM alerts_push
        WHERE {ours} AND (org_id + 0, planned_at, id) < (org.org_id, %(alive)s, {first}) AND org_id + 0 >= org.org_id
          AND next_attempt_at <= %(due_by)s
        ORDER BY org_id + 0, planned_at, id LIMIT %(limit)s
    ) old
    LIMIT %(limit)s
)"""
FIRST = f"'{UUID(int=0)}'::uuid"
CRITICAL = TURNS.format(name="critical", ours="state = 'pending' AND severity = 'critical'", first=FIRST)
OTHERS = TURNS.format(name="other", ours="state = 'pending' AND severity <> 'critical'", first=FIRST)
# Critical first, then the orgs in turn, then the oldest. A lease that ran out makes a row due again: its process
# died or was stopped, and nobody knows whether notification-service got it, so the same key goes again.
DUE = f"""
WITH RECURSIVE {CRITICAL},{OTHERS},
leased AS (
    SELECT id, severity = 'critical' AS critical, planned_at,
           row_number() OVER (PARTITION BY severity = 'critical', org_id ORDER BY planned_at, id) AS turn
    FROM (
        SELECT * FROM alerts_push WHERE state = 'sending' AND lease_until < %(now)s ORDER BY lease_until LIMIT %(limit)s
    ) ran_out
),
due AS (
    (SELECT * FROM (
        (SELECT id, true AS critical, planned_at, turn FROM critical_turn LIMIT %(limit)s)
        UNION ALL
        (SELECT id, false, planned_at, turn FROM other_turn LIMIT %(limit)s)
        UNION ALL
        SELECT id, critical, planned_at, turn FROM leased
     ) waiting
     ORDER BY critical DESC, turn, planned_at, id LIMIT %(limit)s)
    UNION ALL
    (SELECT id, false, %(alive)s, 0 FROM critical_expired UNION ALL SELECT id, false, %(alive)s, 0 FROM other_expired)
)
SELECT push.id, push.org_id, alert.agent_id, push.alert_id, push.supervisor_id, person.is_active,
       person.is_specialist, push.kind, push.tier,
       push.reason, push.planned_at, push.attempts, push.idempotency_key, push.body,
       EXISTS (
           SELECT FROM alerts_push newer
           WHERE newer.alert_id = alert.id AND newer.supervisor_id = push.supervisor_id
             AND newer.occurrence > coalesce(target.occurrence, push.occurrence)
             AND newer.state IN ('pending', 'sending', 'sent')
       ) OR EXISTS (
           SELECT FROM alerts_push newer
           WHERE newer.revokes = push.revokes AND newer.occurrence > push.occurrence
             AND newer.state IN ('pending', 'sending', 'sent')
       ),
       alert.scope, alert.state, alert.acknowledged_at, alert.snoozed_until,
       alert.scope = 'room' AND alert.state = 'open' AND (EXISTS (
           SELECT FROM alerts_alert outage
           WHERE outage.org_id = alert.org_id AND outage.agent_id = alert.agent_id AND outage.scope = 'agent'
             AND outage.covers_from <= alert.opened_at AND outage.state <> 'resolved'
       ) OR EXISTS (
           SELECT FROM alerts_alert outage
           WHERE outage.org_id = alert.org_id AND outage.source_id = alert.from_source_id AND outage.scope = 'source'
             AND outage.covers_from <= alert.opened_at AND outage.state <> 'resolved'
       )),
       alert.covers_from IS NOT NULL, target.state = 'sent' AND target.push = 'queued',
       CASE WHEN alert.signals @? '$[*].agents'
            THEN jsonb_path_query_array(alert.signals, '$[*].agents[*]')::text END
FROM due
JOIN alerts_push push ON push.id = due.id
JOIN orgs_user person ON person.id = push.supervisor_id
LEFT JOIN alerts_push target ON target.id = push.revokes
LEFT JOIN alerts_alert alert ON alert.id = coalesce(push.alert_id, target.alert_id)
WHERE push.id = ANY (ARRAY(SELECT id FROM due))  -- else the planner, who expects many, reads the table
  AND (push.state = 'pending' OR (push.state = 'sending' AND push.lease_until < %(now)s))  -- it may have ended since
ORDER BY due.critical DESC, due.turn, due.planned_at, due.id
FOR UPDATE OF push SKIP LOCKED
"""  # noqa: S608 - made of constants
GATE_COLUMNS = [str(field.column) for field in Gate._meta.concrete_fields]
GATES = Table(Gate, GATE_COLUMNS)
LOCKED_GATE = f"SELECT {', '.join(GATE_COLUMNS)} FROM alerts_gate FOR UPDATE"  # noqa: S608 - the model's own names
OURS = """
UPDATE alerts_push SET state = 'sending', lease_token = %(token)s, lease_until = %(until)s, attempts = attempts + 1
WHERE id = ANY(%(ids)s)
"""
CANCEL = """
UPDATE alerts_push push
SET state = 'cancelled', ended_reason = cancelled.reason, ended_at = %(now)s, next_attempt_at = NULL,
    lease_token = NULL, lease_until = NULL,
    last_answer = CASE WHEN push.state = 'sending'
                  THEN 'the sending process ended before the answer: it may have arrived' ELSE push.last_answer END
FROM unnest(%(ids)s::uuid[], %(reasons)s::text[]) AS cancelled (id, reason)
WHERE push.id = cancelled.id
"""


def claim(min_age: timedelta = timedelta(), kick: Kick | None = None) -> Claim:
    """Claim up to 200 pushes that have been due for `min_age`; nothing while the gate is closed.

    Locks the Gate row, then the chosen Push rows (SKIP LOCKED). Run it with the tenant scope disabled.
    """
    with transaction.atomic(durable=True):  # durable: the claim is committed before anything is sent
        gate = locked_gate()
        now, known = known_now()
        claimed = _claim(gate, known, now, min_age, partial(_hops, kick, now.timestamp() - time.time()))
    if claimed.pushes:
        failpoint("after_claim")
    return claimed


def _claim(gate: Gate, known: Known, now: datetime, min_age: timedelta, hops: Hops) -> Claim:
    shown = gate.reason
    if not settings.NOTIFICATION_SERVICE_URL:
        gate.reason = gates.CONFIGURATION
        rows, claimed = [], Claim()
    else:
        admission = gates.admit(gate, now, settings.PUSH_RATE_PER_SECOND, settings.PUSH_BURST)
        looked_at = min(gates.BATCH, max(2 * admission.limit, SPARE))
        rows = _due(now, now - min_age, looked_at) if admission.open else []
        revokes = gate.revokes_off_until is None or gate.revokes_off_until <= now
        wanted, cancelled = _check(rows, known, now, admission.limit, revokes)
        _cancel(cancelled, now)
        gates.take_tokens(gate, admission, len(wanted), now)
        claimed = Claim(
            _take(wanted, now, admission.probe, hops),
            sorted({row.alert_id for row, _ in cancelled if row.alert_id is not None}),
            more=len(rows) >= looked_at or len(wanted) + len(cancelled) < len(rows),
            recovering=admission.probe or gate.allowance is not None,
        )
    if rows or gate.reason != shown:  # an idle service writes nothing
        write_gate(gate)
    return claimed


def locked_gate() -> Gate:
    """The one Gate row, locked until the end of the transaction; made, with a full bucket, where there is none."""
    if not (found := GATES.load(LOCKED_GATE, [])):
        fresh = Gate(tokens=settings.PUSH_BURST, refilled_at=clock.now())
        Gate.objects.bulk_create([fresh], ignore_conflicts=True)  # another process may have been quicker
        found = GATES.load(LOCKED_GATE, [])
    return found[0]


def write_gate(gate: Gate) -> None:
    """The Gate row as it is now; the caller has locked it."""
    GATES.put([{name: getattr(gate, name) for name in GATE_COLUMNS}])


def _due(now: datetime, due_by: datetime, limit: int) -> list[DuePush]:
    rows = fetch(DUE, {"now": now, "due_by": due_by, "alive": now - PUSH_EXPIRES, "limit": limit}, binary=True)
    return [DuePush(*row) for row in rows]


def _check(
    rows: list[DuePush], known: Known, now: datetime, limit: int, revokes: bool
) -> tuple[list[DuePush], list[tuple[DuePush, str]]]:
    """The first `limit` rows that still make sense, and all rows that do not, each with its reason.

    `revokes`: notification-service takes pushes back, as far as we know. A digest that is to go, and is not written
    yet, is written now.
    """
    rosters = known.rosters({row.org_id for row in rows if row.kind != Push.Kind.REVOKE}, now)
    routed = _Routed(rosters, now)
    of_duty = duty_rechecks([row for row in rows if row.kind == Push.Kind.DUTY], rosters, now)
    named = still_waiting([row for row in rows if row.kind == Push.Kind.DIGEST], known, now)
    alerts = {row.alert_id: row.org_id for row in rows if row.alert_id is not None and row.tier != SPECIALISTS}
    silenced = silenced_alerts(alerts, alerts.values(), known, now)
    wanted: list[DuePush] = []
    cancelled: list[tuple[DuePush, str]] = []
    for row in rows:
        if row.kind == Push.Kind.REVOKE:
            plan = recheck_revocation(_revocation(row, revokes), now)
        elif row.kind == Push.Kind.DUTY:
            plan = of_duty[row.id]
        else:
            plan = recheck(_facts(row, routed.find(row), named, silenced, now), now)
        if not plan.send:
            cancelled.append((row, plan.reason))
        elif len(wanted) < limit:
            wanted.append(row)
    unwritten = {row.id: named[row.id] for row in wanted if row.kind == Push.Kind.DIGEST and not row.body}
    bodies = write_digests(unwritten, now) if unwritten else {}
    return [row._replace(body=bodies.get(row.id, row.body)) for row in wanted], cancelled


def _is_routed(row: DuePush) -> bool:
    """Of a room, though no agent may ever have failed in it, or of an agent."""
    return row.agent_id is not None or row.alert_scope == Alert.Scope.ROOM


def _facts(
    row: DuePush, absent: str | None, named: dict[UUID, list[Alert]], silenced: set[UUID], now: datetime
) -> PushFacts:
    digest = row.kind == Push.Kind.DIGEST
    watches = row.specialist and (
        digest or row.tier == NO_TIER or row.alert_scope in (Alert.Scope.AGENT, Alert.Scope.SOURCE)
    )
    if watches:
        is_told, absent = True, ""
    elif digest:  # of each of its alerts it is looked at
        is_told = True
    elif row.alert_scope == Alert.Scope.SOURCE and not row.outage:
        is_told = False
    else:  # routing would still choose this person; a test push asks nobody
        is_told = absent is not None
    over = digest and not named.get(row.id)
    return PushFacts(
        reason=row.reason,
        planned_at=now if digest and not row.body else row.planned_at,
        newer_planned=row.newer_planned,
        still_recipient=row.active and is_told,
        alert_state="resolved" if over else row.alert_state or "open",
        acknowledged_at=row.acknowledged_at,
        snoozed_until=row.snoozed_until,
        held=bool(row.held),
        absent=absent or "",
        silenced=row.alert_id in silenced and row.tier != SPECIALISTS,
    )


def _revocation(row: DuePush, supported: bool) -> RevocationFacts:
    return RevocationFacts(
        planned_at=row.planned_at,
        active=row.active,
        newer_planned=row.newer_planned,
        alert_state=row.alert_state,
        on_phone=bool(row.on_phone),
        says=row.reason,
        supported=supported,
    )


class _Routed:
    """Whom routing would choose for due pushes, at this instant."""

    def __init__(self, rosters: dict[int, Roster], now: datetime) -> None:
        self._rosters, self._now = rosters, now
        self._found: dict[tuple[int, int], dict[int, list[str]]] = {}  # by (org, agent), by person: why absent, or ""

    def find(self, row: DuePush) -> str | None:
        """Why this person is not on duty for it, "" if they are; None: they do not back up its agent.

        Of the outage of a source: any agent of the org.
        """
        of_source = row.outage and row.agent_id is None
        if row.kind == Push.Kind.DIGEST or of_source:
            absent = absent_from_org(self._rosters[row.org_id], row.supervisor_id, self._now)
            return "" if absent is None and not of_source else absent
        if not _is_routed(row):
            return ""
        others: list[int] = json.loads(row.others) if row.others else []
        reasons = [why for agent in (row.agent_id or 0, *others) for why in self._of((row.org_id, agent), row)]
        return min(reasons, default=None)

    def _of(self, key: tuple[int, int], row: DuePush) -> list[str]:
        if key not in self._found:
            standing = standing_at(self._rosters[key[0]], key[1], self._now)
            people = self._found.setdefault(key, {})
            for one in standing.everybody:
                people.setdefault(one.user_id, []).append("" if one.absent == QUIET else one.absent)
        return self._found[key].get(row.supervisor_id, [])


def _cancel(cancelled: list[tuple[DuePush, str]], now: datetime) -> None:
    if not cancelled:
        return
    ids, reasons = [row.id for row, _ in cancelled], [reason for _, reason in cancelled]
    fetch(CANCEL, {"ids": ids, "reasons": reasons, "now": now})


def _take(wanted: list[DuePush], now: datetime, probe: bool, hops: Hops) -> list[Claimed]:
    if not wanted:
        return []
    token = uuid4()
    fetch(OURS, {"token": token, "until": now + LEASE, "ids": [row.id for row in wanted]})
    claimed_at = time.monotonic()
    return [
        Claimed(
            row.id, row.alert_id, row.idempotency_key, row.body, row.attempts + 1, token, claimed_at, probe,
            hops(row.planned_at), row.kind == Push.Kind.REVOKE,
        )
        for row in wanted
    ]  # fmt: skip


def _hops(kick: Kick | None, ahead: float, planned_at: datetime) -> dict[str, float]:
    """Seconds from a plan to its hops so far. A kick is taken for its own if it was asked for within a second.

    `ahead` is by how many seconds the database's clock is ahead of ours.
    """
    planned = planned_at.timestamp() - ahead
    hops = {"claimed": time.time() - planned}
    if kick is None or not -CLOCKS_AGREE <= kick.asked - planned < KICKED_WITHIN:
        return hops
    return {"committed": max(kick.asked - planned, 0.0), "kicked": max(kick.sent - planned, 0.0)} | hops
