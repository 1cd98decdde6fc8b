"""What is known of orgs, their agents and policies, and whom to tell: read once, used again while it holds.

It is read anew after 5 s, and as soon as anything of it changed: each of these tables keeps its history, so the newest
entry of each history is the stamp of what is known. One statement asks for the stamp and the time.
"""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import lru_cache

from alerts.models import Silence
from alerts.policy import DEFAULT_POLICY, PolicyFacts, policy_facts
from alerts.silencing import SilenceFacts
from alerts.tables import fetch
from orgs.duty.roster import Roster
from orgs.history import tracked
from orgs.models import (
    Agent,
    Assignment,
    Handover,
    Holiday,
    Org,
    Policy,
    QuietHours,
    RoleAgent,
    SupervisorRole,
    TemporaryDuty,
    TemporarySchedule,
    User,
)
from orgs.policies import own_policy
from orgs.policy_fields import POLICY_DEFAULTS, merged_policy
from orgs.rosters import rosters_of
from orgs.routing import Recipient, Standing, backing_up, specialists, standing_at, tiers_of

LOCK_WAIT = 2000  # ms: whoever holds a room for longer holds up those who want it, not everybody who came with them
DUTY = (QuietHours, Handover, TemporarySchedule, TemporaryDuty, Holiday)
KEPT = 5.0  # seconds: what no history tells of (a person's language), or tells of too late, holds no longer


class Known:
    """Orgs by pk, agents by (org pk, name), policies by (org pk, agent pk), rosters by org pk, as they are first asked
    for. What a roster says of an instant is applied when it is asked.
    """

    def __init__(self, stamp: tuple[object, ...] = ()) -> None:
        self._stamp, self._until = stamp, time.monotonic() + KEPT
        self._orgs: dict[int, Org] = {}
        self._agents: dict[tuple[int, str], Agent] = {}
        self._agents_by_pk: dict[int, Agent] = {}
        self._policies: dict[int, dict[int | None, PolicyFacts]] = {}
        self._tiers: dict[tuple[int, int], list[int]] = {}
        self._rosters: dict[int, Roster] = {}
        self._standing: dict[tuple[int, int], Standing] = {}  # where time changes nothing
        self._people: dict[tuple[int, int], list[Recipient]] = {}
        self._silences: dict[int, list[SilenceFacts]] = {}
        self._specialists: list[Recipient] | None = None

    def holds(self, stamp: tuple[object, ...]) -> bool:
        """Whether nothing changed since it was read."""
        return stamp == self._stamp and time.monotonic() < self._until

    def orgs(self, pks: Iterable[int]) -> dict[int, Org]:
        """These orgs."""
        if missing := set(pks) - self._orgs.keys():
            self._orgs |= Org.objects.in_bulk(missing)
        return self._orgs

    def found_agents(self, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
        """Those of these agents that there are."""
        if missing := wanted - self._agents.keys():
            self._agents |= _find_agents(missing)
        return {key: self._agents[key] for key in wanted & self._agents.keys()}

    def agents(self, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
        """These agents. One that is new is made, unconfirmed; in order, and after the rooms: so nobody deadlocks."""
        found = self.found_agents(wanted)
        if new := sorted(wanted - found.keys()):
            made = [Agent(org_id=org, name=name, confirmed=False) for org, name in new]
            Agent.objects.bulk_create(made, ignore_conflicts=True)
            found |= _find_agents(new)  # not kept: this transaction may yet be rolled back
        return found

    def agents_by_pk(self, pks: Iterable[int]) -> dict[int, Agent]:
        """These agents."""
        if missing := set(pks) - self._agents_by_pk.keys():
            self._agents_by_pk |= Agent.objects.in_bulk(missing)
        return self._agents_by_pk

    def policies(self, agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], PolicyFacts]:
        """What applies to each (org pk, agent pk): the agent's own policy, else its org's, else the defaults."""
        agents = list(agents)
        if missing := {org for org, _ in agents} - self._policies.keys():
            self._policies |= _policies(missing)
        found = self._policies
        return {(org, pk): found[org].get(pk) or found[org].get(None) or DEFAULT_POLICY for org, pk in agents}

    def policies_of_orgs(self, pks: Iterable[int]) -> dict[int, PolicyFacts]:
        """What applies in each of these orgs, whatever its agents say for themselves: by org pk."""
        wanted = set(pks)
        if missing := wanted - self._policies.keys():
            self._policies |= _policies(missing)
        return {org: self._policies[org].get(None) or DEFAULT_POLICY for org in wanted}

    def longest_throttle(self, orgs: Iterable[int]) -> timedelta:
        """For how long anybody in these orgs is not told again of a room."""
        orgs = set(orgs)
        general = self.policies_of_orgs(orgs).values()
        own = [policy for org in orgs for policy in self._policies[org].values()]
        return max((policy.throttle for policy in (*general, *own)), default=timedelta(0))

    def rosters(self, orgs: Iterable[int], now: datetime) -> dict[int, Roster]:
        """Who is on duty when in each of these orgs."""
        wanted = set(orgs)
        if missing := wanted - self._rosters.keys():
            self._rosters |= rosters_of(missing, now)
        return {org: self._rosters[org] for org in wanted}

    def standing(self, agents: Iterable[tuple[int, int]], at: datetime) -> dict[tuple[int, int], Standing]:
        """Who backs up each (org pk, agent pk) at this instant, as `orgs.routing.standing_at`."""
        agents = set(agents)
        rosters = self.rosters((org for org, _ in agents), at)
        return {key: self._standing_of(rosters[key[0]], key, at) for key in agents}

    def _standing_of(self, roster: Roster, key: tuple[int, int], at: datetime) -> Standing:
        if key in self._standing:
            return self._standing[key]
        standing = standing_at(roster, key[1], at)
        if roster.is_plain:
            self._standing[key] = standing
        return standing

    def people(self, agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Recipient]]:
        """Everybody who backs up each (org pk, agent pk), in all tiers, on duty or not."""
        agents = set(agents)
        if missing := agents - self._people.keys():
            self._people |= backing_up(missing, fallback=True)
        return {key: self._people[key] for key in agents}

    def silences(self, pks: Iterable[int]) -> dict[int, list[SilenceFacts]]:
        """The silences of these orgs that have not ended for good, those that begin later too: by org pk."""
        wanted = set(pks)
        if missing := wanted - self._silences.keys():
            self._silences |= {org: [] for org in missing}
            for row in Silence.objects.filter(org__in=missing, ended_at=None).select_related("org").order_by("pk"):
                self._silences[row.org_id].append(row.facts)
        return self._silences

    def tiers(self, agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[int]]:
        """The tiers of each (org pk, agent pk), as `orgs.routing.tiers_of`."""
        agents = list(agents)
        if missing := set(agents) - self._tiers.keys():
            self._tiers |= tiers_of(missing)
        return {key: self._tiers[key] for key in agents}

    def specialists(self) -> list[Recipient]:
        """Whom to tell about the service itself, as `orgs.routing.specialists`."""
        if self._specialists is None:
            self._specialists = specialists()
        return self._specialists


def policy_for(org_id: int, agent_id: int | None) -> PolicyFacts:
    """What applies to this agent (pk; None: to its org), as it is now. One query."""
    key = (org_id, agent_id or 0)
    return Known().policies([key])[key]


_known = Known()


def known_now() -> tuple[datetime, Known]:
    """The time now, as `orgs.clock.now`, and what is known. From here on the transaction waits LOCK_WAIT for a lock."""
    global _known  # whoever still uses an older one finishes with it
    ((now, _, *stamp),) = fetch(_statement())
    known = _known
    if not known.holds(tuple(stamp)):
        known = _known = Known(tuple(stamp))
    return now, known


@lru_cache(maxsize=1)
def _statement() -> str:
    events = tracked()
    of = (Org, Agent, Policy, SupervisorRole, RoleAgent, Assignment, User, Silence, *DUTY)
    newest = [f"(SELECT max(pgh_id) FROM {events[model]._meta.db_table})" for model in of]  # noqa: S608
    return f"SELECT live_now(), set_config('lock_timeout', '{LOCK_WAIT}', true), {', '.join(newest)}"


def _find_agents(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
    keys = list(keys)
    rows = Agent.objects.filter(org__in={org for org, _ in keys}, name__in={name for _, name in keys})
    return {(agent.org_id, agent.name): agent for agent in rows}


def _policies(orgs: set[int]) -> dict[int, dict[int | None, PolicyFacts]]:
    """By org pk: its own (None) and those of its agents, where each thing they do not say is as the org has it."""
    found: dict[int, dict[int | None, PolicyFacts]] = {org: {} for org in orgs}
    general = dict.fromkeys(orgs, POLICY_DEFAULTS)
    for row in Policy.objects.filter(org__in=orgs).order_by("org_id", "-agent_id"):  # nulls first
        document = merged_policy(general[row.org_id], own_policy(row))
        found[row.org_id][row.agent_id] = policy_facts(document)
        if row.agent_id is None:
            general[row.org_id] = document
    return found
