"""Outages: many rooms of one agent, or of several agents of one source, that fail critically at once are one problem,
and one alert.

An agent's goes before a source's: what an outage of an agent explains counts for no source, and a room under both is
the agent's. While a source is out no outage of one of its agents begins.

Which rooms are under it is not written anywhere: those of the agent, or told of by the source, in state `open` whose
episode began at its `covers_from` or later. So an outage of a thousand rooms changes one row. Lock order: the rooms of
the transaction, then the agents, sorted, then the sources, sorted, then their outages; people come later.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from alerts.actions.outage_rows import AgentKey, SourceKey
from alerts.actions.statements import COUNT_NOT
from alerts.decide import CRITICAL, has_doubled, is_outage, is_outage_of_source
from alerts.limits import OutageRule, minutes_long
from alerts.models import Alert
from alerts.policy import PolicyFacts
from orgs.models import Agent, Org
from orgs.signals.agent_outage import AGENT_OUTAGE
from orgs.signals.source_outage import SOURCE_OUTAGE

if TYPE_CHECKING:
    from alerts.actions.book import Book

OPEN, AGENT, ROOM = Alert.State.OPEN, Alert.Scope.AGENT, Alert.Scope.ROOM
# Another agent fails in a room, or under the outage of its source: whom only it concerns is told.
JOINED = "agent_joined"


def is_under(alert: Alert, outage: Alert) -> bool:
    """Whether this room is under that outage now, if no outage of its agent goes before."""
    assert outage.covers_from is not None
    if alert.state != OPEN or alert.scope != ROOM or alert.opened_at < outage.covers_from:
        return False
    if outage.scope == AGENT:
        return alert.agent_id == outage.agent_id
    return alert.from_source_id == outage.source_id and alert.org_id == outage.org_id


class Outages:
    """The open outages that one transaction has to do with, as far as policy knows outages."""

    def __init__(self, book: "Book") -> None:
        self._book, self._stored = book, book.stored
        self._open: dict[int, Alert | None] = {}  # by agent pk; None: there is none
        self._of_source: dict[SourceKey, Alert] = {}  # of the orgs that were loaded
        self._orgs: set[int] = set()
        self._failing: dict[int, set[int]] = {}  # by agent pk of those watched: room pks
        self._failing_of: dict[SourceKey, set[tuple[int, int]]] = {}  # of sources watched: agent pk, room pk
        self._counted: dict[UUID, set[int]] = defaultdict(set)  # by pk of the outage: room pks of this transaction
        self._clock_from: dict[UUID, datetime] = {}  # by pk of an outage that begins: the first of its rooms
        self._agents: dict[UUID, set[int]] = {}  # by pk of a source's outage: agents with rooms under it

    def let_go(self) -> None:
        """The book is closed. Nothing leads back to it from here, so it is freed without the garbage collector."""
        del self._book

    def load(self, agents: Iterable[AgentKey], *, lasting: bool = True) -> None:
        """Read the open outages of these agents and of the sources of their orgs, those not read yet.

        With `lasting` they stay open until the transaction ends: whoever ends one waits, and then sees what it held.
        """
        known, orgs = self._open, self._orgs
        new = {key for key in agents if (key[1] and key[1] not in known) or key[0] not in orgs}
        if not new:
            return
        policies = self._book.known.policies(new)
        self._know(new)
        wanted = {key for key in new if policies[key].outage.rooms}
        if wanted:
            self._keep(self._named(self._stored.open_outages(wanted, lasting=lasting)))

    def _know(self, agents: Iterable[AgentKey]) -> None:
        """From now on these, and the sources of their orgs, count as read."""
        for org, pk in agents:
            self._orgs.add(org)
            if pk:
                self._open.setdefault(pk, None)

    def _keep(self, outages: Iterable[Alert]) -> None:
        for one in outages:
            if one.scope == Alert.Scope.SOURCE:
                self._of_source.setdefault((one.org_id, one.source_id or 0), one)
            elif self._open.get(one.agent_id or 0) is None:
                self._open[one.agent_id or 0] = one

    def watch(
        self, failing: Iterable[AgentKey], sources: Iterable[SourceKey], policies: Mapping[AgentKey, PolicyFacts]
    ) -> None:
        """These agents fail critically now, as these sources tell: nobody else counts their rooms until the
        transaction ends. `policies`: of all agents of the transaction.
        """
        watched = {key: policies[key].outage for key in failing if policies[key].outage.rooms}
        general = self._book.known.policies_of_orgs({org for org, _ in sources})
        of_sources = {key: general[key[0]].outage for key in sources if general[key[0]].outage.rooms}
        if not watched and not of_sources:
            return
        self._stored.lock_agents(sorted(pk for _, pk in watched))
        self._stored.lock_sources(sorted(of_sources))
        keys = {key for key, policy in policies.items() if policy.outage.rooms} | {(org, 0) for org, _ in of_sources}
        self._know(keys)
        found = [self._book.keep_alert(one) for one in self._named(self._stored.open_outages(keys, lock=True))]
        self._keep(found)
        self._read_counted(found)
        if any(key not in self._of_source for key in sources):  # while a source is out nothing it tells begins another
            self._count({key: rule for key, rule in watched.items() if self._open[key[1]] is None})
            self._count_of_sources({key: rule for key, rule in of_sources.items() if key not in self._of_source})

    def _named(self, outages: Iterable[Alert]) -> list[Alert]:
        """With their orgs and agents, as they are known."""
        found, known = list(outages), self._book.known
        fresh = [one for one in found if "org" not in one._state.fields_cache] if self._stored.compares else []
        orgs = known.orgs({one.org_id for one in fresh}) if fresh else {}
        agents = known.agents_by_pk({one.agent_id for one in fresh if one.agent_id}) if fresh else {}
        for one in fresh:
            one.org, one.agent = orgs[one.org_id], agents.get(one.agent_id or 0)
        return found

    def _read_counted(self, outages: Iterable[Alert]) -> None:
        rooms = [room.id for room in self._book.rooms.values()]
        pks = [one.id for one in outages]
        for pk, room in self._stored.rooms_counted(pks, rooms) if pks and rooms else ():
            self._counted[pk].add(room)

    def _count(self, agents: Mapping[AgentKey, OutageRule]) -> None:
        self._failing = {pk: set() for _, pk in agents}
        if not agents:
            return
        last = self._stored.outages_ended(agents)
        of_org: dict[int, datetime] = {}
        for (org, _), at in self._stored.source_outages_ended({org for org, _ in agents}).items():
            of_org[org] = max(at, of_org.get(org, at))
        since = [
            max(filter(None, (self._since(rule), last.get(pk), of_org.get(org)))) for (org, pk), rule in agents.items()
        ]
        for agent, room in self._stored.failing_rooms([pk for _, pk in agents], since):
            self._failing[agent].add(room)

    def _count_of_sources(self, sources: Mapping[SourceKey, OutageRule]) -> None:
        self._failing_of = {key: set() for key in sources}
        if not sources:
            return
        last = self._stored.source_outages_ended({org for org, _ in sources})
        since = {key: max(filter(None, (self._since(rule), last.get(key)))) for key, rule in sources.items()}
        for org, source, agent, room in self._stored.failing_rooms_of_sources(since):
            self._failing_of[org, source].add((agent, room))

    def _since(self, rule: OutageRule) -> datetime:
        return self._book.now - minutes_long(rule.minutes)

    def of(self, alerts: Iterable[Alert]) -> list[Alert]:
        """The open outages of the agents and sources of these rooms' alerts, of those that were loaded."""
        found = {}
        for alert in alerts:
            for one in (self._open.get(alert.agent_id or 0), self._source_outage(alert)):
                if one is not None:
                    found[one.id] = one
        return list(found.values())

    def _source_outage(self, alert: Alert) -> Alert | None:
        return self._of_source.get((alert.org_id, alert.from_source_id or 0)) if self._of_source else None

    def covering(self, alert: Alert) -> Alert | None:
        """The outage that this alert is under: that of its agent goes before that of its source."""
        for one in (self._open.get(alert.agent_id or 0), self._source_outage(alert)):
            if one is not None and is_under(alert, one):
                return one
        return None

    def agent_keys(self, alert: Alert) -> list[AgentKey]:
        """Whose supervisors are told of this alert: of a room those of each agent that failed in it, of the outage of a
        source those of every agent under it.
        """
        if alert.is_outage and alert.agent_id is None:
            return [(alert.org_id, pk) for pk in sorted(self._agents_in(alert))] or [(alert.org_id, 0)]
        return [(alert.org_id, pk) for pk in alert.agents_now]

    def _agents_in(self, outage: Alert) -> set[int]:
        if outage.id not in self._agents:
            self._agents[outage.id] = self._stored.agents_under(outage)
        return self._agents[outage.id]

    def failed(self, alert: Alert, agent: Agent, org: Org, source: int, rule: OutageRule, *, is_new: bool) -> None:
        """A critical failure of this agent was decided, in the room of `alert`, as `source` tells; `is_new`: it is
        critical from now.
        """
        assert alert.room_id is not None
        covering = self.covering(alert)
        if covering is not None:
            if is_new and alert.room_id not in self._counted[covering.id]:
                self._counted[covering.id].add(alert.room_id)
                self._go_on(covering, alert, rule)
        elif self._open.get(agent.pk) is not None or (org.pk, source) in self._of_source:
            pass  # it began before, or a human has it: it is under none, and begins none
        elif not self._count_for_agent(alert, agent, org, rule):
            self._count_for_source(alert, agent, org, source)

    def _count_for_agent(self, alert: Alert, agent: Agent, org: Org, rule: OutageRule) -> bool:
        """Whether it was one room too many of its agent."""
        rooms = self._failing.get(agent.pk)
        if rooms is None or alert.room_id is None:
            return False
        rooms.add(alert.room_id)
        if not is_outage(len(rooms), rule):
            return False
        for pairs in self._failing_of.values():
            pairs -= {pair for pair in pairs if pair[0] == agent.pk}
        pk = self._stored.name_outage((org.pk, agent.pk), self._book.now)
        version, scope = alert.agent_version, Alert.Scope.AGENT
        outage = self._stored.new_alert(id=pk, org=org, agent=agent, agent_version=version, scope=scope)
        self._open[agent.pk] = outage
        self._counted[outage.id] |= rooms
        self._begin(outage, AGENT_OUTAGE.name, alert, rule, rooms)
        return True

    def _count_for_source(self, alert: Alert, agent: Agent, org: Org, source: int) -> None:
        pairs = self._failing_of.get((org.pk, source))
        if pairs is None or alert.room_id is None:
            return
        pairs.add((agent.pk, alert.room_id))
        rooms, agents = {room for _, room in pairs}, Counter(pk for pk, _ in pairs)
        rule = self._book.known.policies_of_orgs([org.pk])[org.pk].outage
        if is_outage_of_source(agents.values(), rule):
            pk = self._stored.name_source_outage((org.pk, source), self._book.now)
            outage = self._stored.new_alert(id=pk, org=org, source_id=source, scope=Alert.Scope.SOURCE)
            self._of_source[org.pk, source] = outage
            self._counted[outage.id] |= rooms
            self._agents[outage.id] = set(agents)
            self._begin(outage, SOURCE_OUTAGE.name, alert, rule, rooms)

    def _begin(self, outage: Alert, signal: str, alert: Alert, rule: OutageRule, failing: Collection[int]) -> None:
        """`alert`: the last of the rooms that fail."""
        now, rooms = self._book.now, len(failing)
        first, last = self._first_failed(failing, rule, alert), alert.last_event_at
        times = {"first_at": first.isoformat(), "last_at": last.isoformat()}
        entry = {"signal": signal, "count": rooms, **times, "severity": CRITICAL}
        outage.severity, outage.version = CRITICAL, 0
        outage.signals, outage.event_count = [{**entry, "episode": 1}], rooms
        outage.opened_at = outage.ladder_from = outage.worsened_at = now
        outage.first_failure_at, outage.last_event_at = first, last
        outage.covers_from, outage.ends_at = self._since(rule), now + minutes_long(rule.clean_minutes)
        outage.rooms_told = rooms
        if (told := self._stored.first_told_under(outage)) is not None:
            self._clock_from[outage.pk] = told
        self._book.record(outage, "opened", signal, detail={"rooms": rooms}, notify=True)
        self._book.fold(outage)

    def _first_failed(self, rooms: Collection[int], rule: OutageRule, alert: Alert) -> datetime:
        """When the first of these rooms failed: what is stored already, and what this transaction was told."""
        told = self._stored.first_failed(rooms, self._since(rule))
        here = (one for one in self._book.events if one.room_id in rooms and one.severity == CRITICAL)
        times = [one.occurred_at for one in here if one.reason not in COUNT_NOT]
        return min([alert.last_event_at, *times, *([told] if told else [])])

    def clock_from(self, alert: Alert) -> datetime | None:
        """Of an outage that begins: when people were told of the first room under it, if they were."""
        return self._clock_from.get(alert.pk)

    def _go_on(self, outage: Alert, alert: Alert, rule: OutageRule) -> None:
        """One more room: it ends later, and where the rooms have doubled people are told again."""
        now = self._book.now
        (entry,) = outage.signals
        rooms = outage.event_count = outage.event_count + 1
        outage.last_event_at = max(outage.last_event_at, alert.last_event_at)
        outage.signals = [{**entry, "count": rooms, "last_at": outage.last_event_at.isoformat()}]
        outage.ends_at = now + minutes_long(rule.clean_minutes)
        assert outage.worsened_at is not None
        detail, shown = {"rooms": rooms}, outage.last_reason
        joins = self._joins(outage, alert)
        if has_doubled(rooms, outage.rooms_told, outage.worsened_at, now):
            outage.rooms_told, outage.worsened_at = rooms, now
            self._book.worsen(outage, outage.severity)
            self._book.record(outage, "worsened", "worsened", detail=detail, notify=True)
        elif joins:
            self._book.record(outage, "attached", JOINED, detail={**detail, "agent": alert.agent_id}, notify=True)
        else:
            self._book.record(outage, "attached", "attached", detail=detail)
            outage.last_reason = shown

    def _joins(self, outage: Alert, alert: Alert) -> bool:
        """Whether the room is the first of its agent under the outage of a source, and concerns other people too."""
        if outage.agent_id is not None or alert.agent_id is None or alert.agent_id in self._agents_in(outage):
            return False
        before = self.agent_keys(outage)
        self._agents_in(outage).add(alert.agent_id)
        return self.concerns_others((alert.org_id, alert.agent_id), before)

    def concerns_others(self, new: AgentKey, before: Collection[AgentKey]) -> bool:
        """Whether this agent is none of those before, and has a supervisor who backs up none of them."""
        if not new[1] or new in before:
            return False
        backing = self._book.known.people({new, *before})
        theirs = {one.user_id for one in backing.pop(new)}
        return bool(theirs - {one.user_id for people in backing.values() for one in people})
