"""What a replay remembers of pushes and digests: who was told of what, what waits, and what became of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain, takewhile
from typing import Any, cast
from uuid import UUID

from alerts.actions.stored import AgentKey, Stored
from alerts.actions.stored_duty import NOT_THERE
from alerts.actions.stored_tellings import DIGESTED, TELLS, Person, Spent
from alerts.models import Alert, Push, Silence
from alerts.rows import DigestAlertRow, PushRow
from orgs.models import User
from orgs.routing import Recipient

PENDING, SENT, SKIPPED = str(Push.State.PENDING), str(Push.State.SENT), str(Push.State.SKIPPED)
DEAD, DIGEST = str(Push.State.DEAD), str(Push.Kind.DIGEST)
AS_OF = timedelta(minutes=2)  # what is written as of its due time may be older than what was written before it


class PushMemory(Stored):
    """The pushes of a replay, and its alerts, which they are about."""

    def __init__(self) -> None:
        self.alerts: dict[UUID, Alert] = {}
        self._made = 0
        self.pushes: list[PushRow] = []  # without skipped ones and digests
        self.skipped: dict[UUID, str] = {}  # by alert: why somebody was not told last
        self._not_sent: dict[UUID, list[PushRow]] = defaultdict(list)  # by alert: those that were skipped
        self._spent: dict[Person, list[PushRow]] = defaultdict(list)
        self._about: dict[UUID | None, list[PushRow]] = defaultdict(list)  # by alert
        self._about_room: dict[int, list[PushRow]] = defaultdict(list)
        self._about_source: dict[int, list[PushRow]] = defaultdict(list)
        self.fresh: list[PushRow] = []  # pending ones that are new, for whoever sends them
        self.hurried: list[PushRow] = []  # digests that began, or go sooner
        self.ended: list[PushRow] = []  # dead or expired ones, as they ended
        self.digests: list[PushRow] = []
        self.digest_of: dict[Person, PushRow] = {}  # that waits
        self.numbers: dict[Person, tuple[int, datetime | None]] = {}
        # Alerts by digest, and when each joined, the last time.
        self.names: dict[UUID, dict[UUID, datetime]] = defaultdict(dict)
        # By alert and person: when their digest went without it.
        self._left_out: dict[UUID, dict[int, datetime]] = defaultdict(dict)
        # By alert and reason to tell: when somebody was last not told because of a silence.
        self._silenced: dict[UUID, dict[str, datetime]] = defaultdict(dict)

    def unreached(self, since: datetime, now: datetime) -> dict[UUID, int | None]:
        found: dict[UUID, int | None] = {}
        for push in reversed(self.ended):
            if push.ended_at is None or push.ended_at <= since:
                break
            alert = self.alerts.get(push.alert_id) if push.alert_id and push.ended_reason != "expired" else None
            told = alert is not None and (alert.room_id or alert.is_outage)
            if alert is not None and told and self._is_unreached(alert, push, now):
                found[alert.id] = alert.room_id
        return found

    def _is_unreached(self, alert: Alert, dead: PushRow, now: datetime) -> bool:
        since, tier = alert.tier_from, alert.tier
        waits = alert.state == Alert.State.OPEN and alert.escalate_at is not None and alert.escalate_at > now
        if not waits or since is None or dead.tier != tier or dead.planned_at < since:
            return False
        held = (alert.snoozed_until, alert.held_until)
        told = [one for one in (*self._about[alert.id], *self._not_sent[alert.id]) if one.tier == tier]
        return (
            (alert.silenced_until, alert.hours_until) == (None, None)
            and all(at is None or at <= now for at in held)
            and all(_reached_nobody(one) for one in told if one.planned_at >= since)
        )

    def expired(self, since: datetime) -> Iterable[tuple[int, int, int, UUID, str]]:
        found: dict[tuple[int, int, UUID], tuple[int, int, int, UUID, str]] = {}
        for push in reversed(self.ended):
            if push.ended_at is None or push.ended_at <= since:
                break
            about = [push.alert_id] if push.alert_id else self.names[push.id]
            for pk in about if push.ended_reason == "expired" else ():
                alert = self.alerts.get(pk) if pk else None
                if alert is not None and alert.state == Alert.State.OPEN and not self._is_told_since(alert, push):
                    key = push.org_id, push.supervisor_id, alert.id
                    found[key] = (push.org_id, push.supervisor_id, push.tier, alert.id, alert.severity)
        return [found[key] for key in sorted(found)]

    def _is_told_since(self, alert: Alert, push: PushRow) -> bool:
        at = push.ended_at
        assert at is not None
        newer = takewhile(
            lambda one: one.planned_at >= at - AS_OF, reversed(self._spent[push.org_id, push.supervisor_id])
        )
        digests = (one for one in reversed(self.digests) if one.supervisor_id == push.supervisor_id)
        named = (one for one in digests if alert.id in self.names[one.id])
        return any(one.state == Push.State.PENDING or one.planned_at >= at for one in named) or any(
            one.alert_id == alert.id and one.planned_at >= at and one.state in TELLS for one in newer
        )

    # --- silences -----------------------------------------------------------------------------------------------------

    def silences_due(self, now: datetime, held: datetime | None) -> list[UUID]:
        return []  # a replay judges what they cover when they begin and end

    def silences_unsettled(self) -> list[Silence]:
        return []

    def write_silenced(self, rows: Iterable[tuple[int, UUID, UUID, bool]], now: datetime) -> None:
        pass

    def hold_pushes(self, alerts: Collection[UUID], now: datetime) -> None:
        for push in (one for alert in alerts for one in self._about.get(alert, ())):
            if push.state == PENDING and push.tier > 0:
                self._end_silenced(push, now)

    def _end_silenced(self, push: PushRow, now: datetime) -> None:
        push.end(Push.State.CANCELLED, "silenced", now)
        assert push.alert_id is not None
        self._silenced[push.alert_id][push.reason] = now

    def silenced_reasons(self, alert: Alert, since: datetime) -> set[str]:
        return {reason for reason, at in self._silenced.get(alert.id, {}).items() if at >= since}

    # --- people and pushes --------------------------------------------------------------------------------------------

    def known_people(self, pks: Collection[int]) -> set[int]:
        return set(pks)

    def may_see(self, person: User, org: int) -> bool:
        return True  # they could when it was given to them

    def lock_people(self, people: Sequence[Person]) -> None:
        pass

    def spent(self, people: Sequence[Person], since: datetime) -> Mapping[Person, Sequence[Spent]]:
        found, begin = {}, since - AS_OF
        for person in people:
            pushes = self._spent.get(person)
            if not pushes or pushes[-1].planned_at <= begin:
                continue
            spent: list[Spent] = []
            for push in reversed(pushes):
                at = push.planned_at
                if at <= begin:
                    break
                if at > since and push.state in TELLS:
                    spent.append((push.alert_id, push.state == PENDING, at))
            found[person] = spent
        return found

    def told_before(
        self, rooms: set[int], sources: set[int], since: datetime
    ) -> Iterable[tuple[int | None, int | None, int, str, datetime]]:
        last: dict[tuple[int | None, int | None, int, str], datetime] = {}
        about: list[tuple[tuple[int | None, int | None], Sequence[PushRow]]]
        about = [((pk, None), self._about_room.get(pk, ())) for pk in rooms]
        about += [((None, pk), self._about_source.get(pk, ())) for pk in sources]
        begin = since - AS_OF
        for (room, source), pushes in about:
            for push in reversed(pushes):
                if push.planned_at <= begin:
                    break
                if push.planned_at > since and push.state in TELLS:
                    key = room, source, push.supervisor_id, push.severity
                    last[key] = max(push.planned_at, last.get(key, push.planned_at))
        return [(*key, at) for key, at in last.items()]

    def body(self, push: PushRow, alert: Alert, person: Recipient, others: Sequence[str]) -> str:
        return ""  # nobody reads it

    def people(self, pks: Collection[int]) -> dict[int, User]:
        return {}

    def revocations_of(self, pushes: Sequence[UUID]) -> Iterable[tuple[UUID, int, str, str, str]]:
        return []

    def supersede_revocations(self, pushes: Sequence[UUID], now: datetime) -> None:
        pass

    def on_phones(self, alerts: Sequence[UUID], now: datetime) -> Iterable[tuple[Any, ...]]:
        return []  # nothing is taken back from phones

    def told_unroutable(self, agent: AgentKey, people: Sequence[int], since: datetime) -> bool:
        recent = takewhile(lambda one: one.planned_at > since - AS_OF, reversed(self.pushes))
        lately = (one for one in recent if one.planned_at > since and one.reason == "unroutable")
        return any(
            one.supervisor_id in people and self.alerts[one.alert_id].agent_id == agent[1]
            for one in lately
            if one.alert_id
        )

    def named_to(self, alerts: Collection[UUID], people: Collection[int]) -> Iterable[tuple[UUID, int, datetime]]:
        for pk in alerts:
            for one in chain(self._about.get(pk, ()), self._not_sent.get(pk, ())):
                if one.supervisor_id in people and one.ended_reason not in NOT_THERE:
                    yield pk, one.supervisor_id, one.planned_at
        for digest in self.digests:
            if digest.supervisor_id in people and digest.ended_reason != "no_longer_needed":
                named = (pk for pk in self.names[digest.id] if pk in alerts)
                yield from ((pk, digest.supervisor_id, digest.planned_at) for pk in named)

    def open_anew(self, since: datetime, now: datetime) -> tuple[set[int], dict[UUID, int]]:
        return self.duty_orgs(since), {}  # all that is open is looked at

    def join_again(self, names: Collection[tuple[UUID, UUID]], now: datetime) -> None:
        for digest, alert in names:
            self.names[digest][alert] = now

    def pushed_since(self, digest: PushRow, alert: Alert) -> bool:
        """Whether its reader was pushed this alert after it joined, so that the digest names it no more."""
        joined, person = self.names[digest.id][alert.id], digest.supervisor_id
        for push in reversed(self._about.get(alert.id, ())):
            if push.planned_at <= joined - AS_OF:
                return False
            if push.supervisor_id == person and push.planned_at > joined and push.state in TELLS:
                return True
        return False

    def new_push(self) -> tuple[UUID, UUID]:
        self._made += 1
        made = cast(UUID, self._made)  # only this memory asks for it, and a number is found faster
        return made, made

    def write_pushes(self, pushes: Sequence[PushRow]) -> None:
        for push in pushes:
            if push.kind == DIGEST:
                self.digests.append(push)
                self.hurried.append(push)
                self.digest_of[push.org_id, push.supervisor_id] = push
                self.numbers[push.org_id, push.supervisor_id] = (
                    push.occurrence,
                    self.numbers.get((push.org_id, push.supervisor_id), (0, None))[1],
                )
            elif push.state == SKIPPED:
                assert push.alert_id is not None
                self.skipped[push.alert_id] = push.ended_reason
                self._not_sent[push.alert_id].append(push)
                if push.ended_reason == "silenced":
                    self._silenced[push.alert_id][push.reason] = push.planned_at
            else:
                self._keep_push(push)

    def _keep_push(self, push: PushRow) -> None:
        self.pushes.append(push)
        self._spent[push.org_id, push.supervisor_id].append(push)
        self._about[push.alert_id].append(push)
        alert = self.alerts[push.alert_id] if push.alert_id else None
        if push.room_id is not None:
            self._about_room[push.room_id].append(push)
        elif alert is not None and alert.source_id:
            self._about_source[alert.source_id].append(push)
        if push.state == PENDING:
            self.fresh.append(push)

    def supersede(self, newer: Sequence[PushRow], now: datetime) -> None:
        for push in newer:  # of those before it only the last one can still wait
            older = self.told(push.alert_id, push.supervisor_id, push.occurrence - 1)
            if older is not None and older.state == PENDING:
                older.end(Push.State.CANCELLED, "superseded", now)

    def told(self, alert: UUID | None, person: int, occurrence: int) -> PushRow | None:
        """The last push about this alert to this person, of this occurrence or an older one."""
        for push in reversed(self._about.get(alert, ())):
            if push.supervisor_id == person and push.occurrence <= occurrence:
                return push
        return None

    def end_push(self, push: PushRow, state: str, reason: str, at: datetime) -> None:
        """It was sent, or ended otherwise."""
        if push.state not in (PENDING, SENT):
            return
        push.state, push.ended_reason, push.ended_at = state, reason, at
        if state == DEAD or reason in ("expired", "away", "off_duty"):
            self.ended.append(push)

    def cancelled_reason(self, alert: Alert, since: datetime) -> str:
        told = self._about_room[alert.room_id] if alert.room_id else self.pushes
        about = (one for one in told if one.alert_id == alert.id and one.occurrence == alert.occurrence)
        missed = (one for one in about if one.ended_reason == "no_longer_needed")
        if found := next((one.reason for one in missed if one.ended_at is not None and one.ended_at >= since), ""):
            return found
        out = {person for person, at in self._left_out[alert.id].items() if at >= since}
        digested = (one for one in self._not_sent[alert.id] if one.occurrence == alert.occurrence)
        digested = (one for one in digested if one.ended_reason in DIGESTED and one.supervisor_id in out)
        return next((one.reason for one in digested), "")

    def leave_out(self, digest: PushRow, named: Iterable[UUID], at: datetime) -> None:
        """The digest is written now, or cancelled, and names these alone."""
        for pk in self.names[digest.id].keys() - set(named):
            self._left_out[pk][digest.supervisor_id] = at

    # --- digests ------------------------------------------------------------------------------------------------------

    def waiting_digests(self, people: Iterable[Person]) -> dict[Person, Push | PushRow]:
        return {one: self.digest_of[one] for one in people if one in self.digest_of}

    def newest_digests(self, people: Iterable[Person]) -> dict[Person, tuple[int, datetime | None]]:
        return {one: self.numbers[one] for one in people if one in self.numbers}

    def hurry_digest(self, digest: Push | PushRow) -> None:
        assert isinstance(digest, PushRow)
        self.hurried.append(digest)

    def named_in(self, names: Collection[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
        return {one for one in names if one[0] in self.names and one[1] in self.names[one[0]]}

    def write_names(self, rows: Sequence[DigestAlertRow]) -> None:
        for row in rows:
            self.names[row.push_id][row.alert_id] = row.joined_at


def _reached_nobody(push: PushRow) -> bool:
    absent = push.state in (Push.State.CANCELLED, SKIPPED) and push.ended_reason in NOT_THERE
    return absent or push.state == DEAD
