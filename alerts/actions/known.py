"""What the lane knows of orgs, their agents and policies, and whom to tell: read once, used again while it holds.

It is read anew after 5 s, and as soon as anything of it changed: each of these tables keeps its history, so the newest
entry of each history is the stamp of what is known. One statement asks for the stamp and the time.
"""

import time
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache

from alerts.actions.tables import fetch
from alerts.decide import PolicyFacts
from orgs.history import tracked
from orgs.models import Agent, Assignment, Org, Policy, RoleAgent, SupervisorRole, User
from orgs.routing import Recipient, recipients

LOCK_WAIT = 2000  # ms: whoever holds a room for longer holds up those who want it, not everybody who came with them
KEPT = 5.0  # seconds: what no history tells of (a person's language), or tells of too late, holds no longer


class Known:
    """Orgs by pk, agents by (org pk, name), policies and people by (org pk, agent pk), as they are first asked for."""

    def __init__(self, stamp: tuple[object, ...] = ()) -> None:
        self._stamp, self._until = stamp, time.monotonic() + KEPT
        self._orgs: dict[int, Org] = {}
        self._agents: dict[tuple[int, str], Agent] = {}
        self._agents_by_pk: dict[int, Agent] = {}
        self._policies: dict[int, dict[int | None, PolicyFacts]] = {}
        self._people: dict[tuple[int, int], list[Recipient]] = {}

    def holds(self, stamp: tuple[object, ...]) -> bool:
        """Whether nothing changed since it was read."""
        return stamp == self._stamp and time.monotonic() < self._until

    def orgs(self, pks: Iterable[int]) -> dict[int, Org]:
        """These orgs."""
        if missing := set(pks) - self._orgs.keys():
            self._orgs |= Org.objects.in_bulk(missing)
        return self._orgs

    def agents(self, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
        """These agents. One that is new is made, unconfirmed; in order, so that nobody deadlocks."""
        if missing := wanted - self._agents.keys():
            self._agents |= _find_agents(missing)
        found = {key: self._agents[key] for key in wanted & self._agents.keys()}
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
        return {(org, pk): found[org].get(pk) or found[org].get(None) or PolicyFacts() for org, pk in agents}

    def people(self, agents: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Recipient]]:
        """Whom to tell for each (org pk, agent pk), as `orgs.routing.recipients`."""
        agents = list(agents)
        if missing := set(agents) - self._people.keys():
            self._people |= recipients(missing)
        return {key: self._people[key] for key in agents}


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
    of = (Org, Agent, Policy, SupervisorRole, RoleAgent, Assignment, User)
    newest = [f"(SELECT max(pgh_id) FROM {events[model]._meta.db_table})" for model in of]  # noqa: S608
    return f"SELECT live_now(), set_config('lock_timeout', '{LOCK_WAIT}', true), {', '.join(newest)}"


def _find_agents(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
    keys = list(keys)
    rows = Agent.objects.filter(org__in={org for org, _ in keys}, name__in={name for _, name in keys})
    return {(agent.org_id, agent.name): agent for agent in rows}


def _policies(orgs: set[int]) -> dict[int, dict[int | None, PolicyFacts]]:
    found: dict[int, dict[int | None, PolicyFacts]] = {org: {} for org in orgs}
    for row in Policy.objects.filter(org__in=orgs).order_by("org_id", "-agent_id"):  # nulls first
        of_org = found[row.org_id]
        general = of_org.get(None, PolicyFacts())
        threshold = general.confidence_threshold if row.confidence_threshold is None else row.confidence_threshold
        of_org[row.agent_id] = PolicyFacts({**general.severities, **row.severities}, threshold)
    return found
