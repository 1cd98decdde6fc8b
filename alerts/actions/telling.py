"""Who gets a push about what was just decided, and what it says: planned with the decision, sent after the commit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from alerts.actions.budget import Spending
from alerts.actions.digests import Joining, join_digests, name_in_digests
from alerts.actions.outages import Outages
from alerts.actions.revoking import TakenFromPhones, revocations
from alerts.actions.silenced import SilencedAlerts
from alerts.actions.stored import stored
from alerts.actions.stored_tellings import DIGESTED
from alerts.actions.stored_tellings import PUSHES as PUSHES
from alerts.actions.stored_tellings import TELLS as TELLS
from alerts.actions.whom import UNROUTABLE, Whom, is_of_rooms, may_watch, reason_for, say_why
from alerts.decide import AS_SEVERE, Plan, plan, waits_for_digest
from alerts.failpoints import failpoint
from alerts.known import Known
from alerts.models import Alert, Push
from alerts.policy import PolicyFacts
from alerts.rows import EventRow, PushRow, TransitionRow
from orgs.routing import Recipient
from orgs.signals.low_confidence import LOW_CONFIDENCE

HELD = {Alert.Scope.AGENT.value: "held_by_agent_outage", Alert.Scope.SOURCE.value: "held_by_source_outage"}
NOT_READ = timedelta(-1)
Told = tuple[str, int, str]  # a subject, a user pk, and the severity that they were told
PENDING, ALERT, SKIPPED = Push.State.PENDING, Push.Kind.ALERT, Push.State.SKIPPED
IN_A_DIGEST = ("outage_ended", "blind", "late", "on_duty")  # reasons to tell people that are no push of their own


@dataclass
class Telling:
    """A decision to tell people of an alert, and what caused it. `tier`: the highest told or passed by then.

    `holder`: the pk of the person who has the room, told alone if they back up its agent.
    """

    alert: Alert
    transition: TransitionRow
    event: EventRow | None
    reason: str
    occurrence: int
    severity: str
    tier: int = 0
    holder: int | None = None


class Outbox:
    """The pushes of one transaction, and what joins a digest instead."""

    def __init__(self, now: datetime, known: Known, outages: Outages, silenced: SilencedAlerts) -> None:
        self.now, self._known, self._outages, self._stored = now, known, outages, stored()
        self._silenced = silenced
        self.pushes: list[PushRow] = []
        self.joining: list[Joining] = []
        self.whom = Whom(now, known, outages)
        self.expected: set[tuple[int, int]] = set()  # whose people are read with the first that are asked for
        self._told: dict[Told, datetime] = {}
        self._told_within = NOT_READ  # how far back that was read
        self._spending = Spending(now)
        self.taken: dict[UUID, TakenFromPhones] = {}  # by alert: what somebody has now, and others' phones still show

    def as_of(self, at: datetime) -> None:
        """What is planned from here on is planned at that time."""
        self.now = self._spending.now = at

    def move(self, now: datetime) -> None:
        """What is told from here on is told as of `now`."""
        self.now = self._spending.now = now

    def plan(self, tellings: Sequence[Telling], rooms: Callable[[], set[int]]) -> None:
        """Plan a push for everybody to tell. `rooms`: pks of those of this transaction that may have had any before,
        which are asked for with the first.
        """
        self._outages.load(_agent(telling.alert) for telling in tellings)  # outages are locked before people
        watching = self._people(tellings)
        self._read_told(tellings, rooms)
        for telling in tellings:
            silenced = self._silenced.is_held(telling.alert)
            covering = self._outages.covering(telling.alert)
            held = "" if covering is None else HELD[covering.scope]
            found = self.whom.find(telling, watching, bool(held) or silenced, self.now)
            if telling.transition.reason == UNROUTABLE:
                self._silenced.spare(telling.alert)
                silenced = False
            elif silenced:
                say_why(telling, "silenced")
            elif held:
                say_why(telling, held)
            if telling.reason in IN_A_DIGEST and not (held or silenced):
                self.joining += [_joining_now(telling, person, self.now) for person in found if not person.absent]
                continue
            if not telling.occurrence:
                _number(telling)
            planned = self._pushes(telling, found, held, silenced)
            if any(push.state == PENDING for push in planned):
                telling.alert.last_told_at = self.now
            self.pushes += planned

    def _people(self, tellings: Sequence[Telling]) -> list[Recipient]:
        """Read and lock everybody whom these may tell; gives the specialists if any may be for them."""
        keys = {t.alert.id: self._outages.agent_keys(t.alert) for t in tellings if is_of_rooms(t.alert)}
        agents = {key for some in keys.values() for key in some}
        standing = self._known.standing(agents | self.expected, self.now) if agents else {}
        self._known.tiers(standing)
        asked = [(telling, [standing[key] for key in keys.get(telling.alert.id, ())]) for telling in tellings]
        watching = self._known.specialists() if any(may_watch(*one) for one in asked) else []
        wanted = {(org, one.user_id) for (org, _), found in standing.items() for one in found.everybody}
        wanted |= {(t.alert.org_id, one.user_id) for t in tellings for one in watching}
        policies = self._known.policies_of_orgs({org for org, _ in wanted})
        self._spending.know(wanted, {org: policy.budget for org, policy in policies.items()})
        return watching

    def _read_told(self, tellings: Sequence[Telling], rooms: Callable[[], set[int]]) -> None:
        """Know who was told of what within the longest throttle of these orgs."""
        orgs = {telling.alert.org_id for telling in tellings} | {org for org, _ in self.expected}
        within = self._known.longest_throttle(orgs)
        if within > self._told_within:
            sources = {t.alert.source_id for t in tellings if t.alert.source_id and not t.alert.is_outage}
            self._told = self._told_before(rooms(), sources, within) | self._told
            self._told_within = within

    def _told_before(self, rooms: set[int], sources: set[int], within: timedelta) -> dict[Told, datetime]:
        """When each supervisor was last told of each subject in so long a time, and how severe it was."""
        if not rooms | sources:
            return {}
        rows = self._stored.told_before(rooms, sources, self.now - within)
        return {(_subject(room, source), person, severity): last for room, source, person, severity, last in rows}

    def _last_told(self, subject: str, person: int, severity: str) -> datetime | None:
        """When this person was last told that this is so severe, or severer."""
        told = self._told
        return max([told[key] for one in AS_SEVERE[severity] if (key := (subject, person, one)) in told], default=None)

    def _pushes(self, telling: Telling, people: Iterable[Recipient], held: str, silenced: bool) -> list[PushRow]:
        """One for each of these people, sent or not."""
        alert, planned = telling.alert, []
        subject = _subject(alert.room_id, alert.id if alert.is_outage else alert.source_id or alert.id)
        throttle, uncorroborated = self._policy(alert).throttle, self.is_uncorroborated(alert)
        is_held = silenced or bool(held) or uncorroborated
        for person in people:
            whose = alert.org_id, person.user_id
            verdict = plan(
                telling.reason,
                self._last_told(subject, person.user_id, telling.severity),
                self.now,
                throttle=throttle,
                absent=person.absent,
                worse=telling.transition.change == "worsened",
                spent=0 if is_held or person.absent else self._spending.spent(whose, alert.id),
                budget=self._spending.budget(whose),
                silenced=silenced,
                held=bool(held),
                uncorroborated=uncorroborated,
            )
            planned.append(self._push(telling, person, verdict, held))
            if verdict.send:
                self._told[subject, person.user_id, telling.severity] = self.now
        return planned

    def _push(self, telling: Telling, person: Recipient, verdict: Plan, held: str) -> PushRow:
        alert = telling.alert
        push_id, key = self._stored.new_push()
        push = PushRow(
            id=push_id,
            org_id=alert.org_id,
            alert_id=alert.id,
            room_id=alert.room_id,
            supervisor_id=person.user_id,
            kind=ALERT,
            occurrence=telling.occurrence,
            tier=person.tier,
            reason=reason_for(telling, person),
            severity=telling.severity,
            idempotency_key=key,
            planned_at=self.now,
            state=PENDING,
            next_attempt_at=self.now,
        )
        if not verdict.send:
            why = held if verdict.reason in HELD.values() else verdict.reason
            push.end(SKIPPED, why, self.now)
            if verdict.reason in DIGESTED:
                self.joining.append(_joining(push, alert.id))
            return push
        self._spending.spend(push)
        others = alert.agents_now[1:]
        known = self._known.agents_by_pk(others) if others else {}
        names = [str(known[pk]) for pk in others if pk in known]
        push.body = self._stored.body(push, alert, person, names)
        return push

    def is_uncorroborated(self, alert: Alert) -> bool:
        """The agent is not sure, nothing else says so, and that waits for a digest."""
        signals = [entry["signal"] for entry in alert.signals_now]
        if LOW_CONFIDENCE.name not in signals or set(signals) != {LOW_CONFIDENCE.name}:
            return False
        policy = self._policy(alert)
        return waits_for_digest(signals, policy, alert.org.created_at, self.now)

    def _policy(self, alert: Alert) -> PolicyFacts:
        return self._known.policies([_agent(alert)])[_agent(alert)]

    def hold(self, alerts: set[UUID]) -> None:
        """Of these nobody is told after all: something else says it."""
        for push in self.pushes:
            if push.alert_id in alerts and push.state == Push.State.PENDING:
                push.end(Push.State.CANCELLED, "superseded", self.now)
                self._spending.give_back(push)
        self.joining = [one for one in self.joining if one.alert_id not in alerts]

    def write(self) -> None:
        """Write the pushes, and what joins a digest; the alerts are written."""
        if self.pushes:
            self._supersede()
        if self.taken:
            self.pushes += revocations(self.taken, self.now)
        failpoint("fan_out")
        begun = join_digests(self.joining, self.now)
        self._stored.write_pushes([*self.pushes, *begun])
        name_in_digests(self.joining, begun, self.now)

    def _supersede(self) -> None:
        """A newer occurrence for the same supervisor and alert cancels what still waits to be sent."""
        waiting = [push for push in self.pushes if push.state == PENDING]
        newest = {(push.alert_id, push.supervisor_id): push for push in waiting}
        for push in waiting if len(newest) < len(waiting) else ():
            newer = newest[push.alert_id, push.supervisor_id]
            if newer is not push:
                push.end(Push.State.CANCELLED, "superseded", newer.planned_at)
        again = [p for p in newest.values() if p.occurrence > 1]
        if again:
            self._stored.supersede(again, self.now)


def _number(telling: Telling) -> None:
    """What was to join a digest is held: there is a row for each recipient all the same, so that it can be released."""
    telling.alert.occurrence += 1
    telling.occurrence = telling.transition.occurrence = telling.alert.occurrence


def _agent(alert: Alert) -> tuple[int, int]:
    return alert.org_id, alert.agent_id or 0


def _joining(push: PushRow, alert: UUID) -> Joining:
    why = push.ended_reason
    about = push.reason
    return Joining((push.org_id, push.supervisor_id), push.tier, alert, push.severity, why, about, push.planned_at)


def _joining_now(telling: Telling, person: Recipient, now: datetime) -> Joining:
    alert = telling.alert
    why = telling.reason
    return Joining((alert.org_id, person.user_id), person.tier, alert.id, telling.severity, why, why, now)


def _subject(room_id: int | None, other: int | UUID | None) -> str:
    """What pushes are throttled by: the room, for a source's alert the source, in whichever org it is silent."""
    return f"room {room_id}" if room_id else f"source {other}"
