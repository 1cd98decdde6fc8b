"""What was known of an org at any time of a span: its policies, agents, roles and people, as their histories say.

The rules about it are not told again here: `Known` reads the rows of then as it always does. A policy that is asked
about stands among them from its time.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, pairwise

from django.db import connection

from alerts.actions.stored import AgentKey
from alerts.known import Known
from alerts.models import Silence
from alerts.policy import PolicyFacts
from alerts.silencing import SilenceFacts, windows
from orgs.as_it_was import as_it_was
from orgs.duty.roster import Roster, duty_spans, told_spans, turns
from orgs.history import tracked
from orgs.models import (
    Agent,
    ApiKey,
    DutyFeed,
    Membership,
    Org,
    Policy,
    Retention,
    Source,
    Wall,
    WebhookEndpoint,
)
from orgs.routing import Standing

# Of what is tracked: these decide nothing about whom to tell.
NOT_ASKED = (ApiKey, DutyFeed, Membership, Retention, Source, Wall, WebhookEndpoint)


class Past:
    """`at(time)` is what was known then. It asks the database nothing."""

    def __init__(self, spans: Sequence[tuple[datetime, "Frozen"]]) -> None:
        """`spans`: since when what was known; oldest first, the first holds before too."""
        self._since, self._known = [since for since, _ in spans], [known for _, known in spans]

    def at(self, when: datetime) -> "Frozen":
        return self._known[max(bisect_right(self._since, when) - 1, 0)]

    def names(self) -> dict[int, str]:
        """The sso_id of everybody who could be told."""
        return {pk: sso_id for known in self._known for pk, sso_id in known.sso_ids()}

    def silences_turn(self, org: int, begin: datetime, end: datetime) -> list[datetime]:
        """When silences of the org began and ended between these times."""
        if not any(known.silences([org])[org] for known in self._known):
            return []
        found = set(self._since)
        for since, known in zip(self._since, self._known, strict=True):
            for silence in known.silences([org])[org]:
                for window in windows(silence, max(since, begin)):
                    if window.starts > end:
                        break
                    found |= {window.starts, window.ends}
        return sorted(at for at in found if begin < at <= end)

    def duty_turns(self, org: int, begin: datetime, end: datetime) -> list[datetime]:
        """When anybody's duty began or their quiet hours ended, in (begin, end]. Empty where everybody is always on."""
        found: set[datetime] = set()
        for since, until, known in zip(self._since, [*self._since[1:], end], self._known, strict=True):
            roster = known.rosters([org], since)[org]
            for shift in () if roster.is_plain else roster.shifts:
                for spans in (duty_spans, told_spans):
                    found |= {span.begin for span in spans(roster, shift, max(since, begin), min(until, end))}
        return sorted(at for at in found if begin < at <= end)

    def policies_changed(self) -> list[datetime]:
        """When another policy began to hold."""
        pairs = zip(self._since[1:], pairwise(self._known), strict=True)
        return [since for since, (before, after) in pairs if before.policies_of() != after.policies_of()]


class Frozen(Known):
    """What was known, read for all agents at once: it never holds less than a lane's, and is read for ever."""

    def __init__(
        self, org: Org, agents: Sequence[int], silences: list[SilenceFacts], at: datetime, end: datetime
    ) -> None:
        """What was known from `at` to `end` at most."""
        super().__init__()
        keys = [(org.pk, pk) for pk in (0, *agents)]
        self.orgs([org.pk])
        self._orgs.setdefault(org.pk, org)  # before it was made
        self.agents_by_pk(agents)
        self._agents_by_pk |= {pk: Agent(pk=pk, org=org, name=str(pk)) for pk in agents if pk not in self._agents_by_pk}
        self._agents |= {(one.org_id, one.name): one for one in self._agents_by_pk.values()}
        self._flat = super().policies(keys)
        self.people(keys)
        super().tiers(keys)
        self._turns = turns(self.rosters([org.pk], at)[org.pk], at, end)
        self._turned = 0  # how many of these there were
        self._until_next: dict[AgentKey, Standing] = {}  # since then
        self.specialists()
        self._silences[org.pk] = silences
        self._of_orgs = super().policies_of_orgs([org.pk])
        self._throttle = super().longest_throttle([org.pk])

    # What is asked for in every transaction is here whole: of all agents of the one org.

    def orgs(self, pks: Iterable[int]) -> dict[int, Org]:
        return self._orgs or super().orgs(pks)

    def agents_by_pk(self, pks: Iterable[int]) -> dict[int, Agent]:
        return self._agents_by_pk or super().agents_by_pk(pks)

    def silences(self, pks: Iterable[int]) -> dict[int, list[SilenceFacts]]:
        return self._silences

    def rosters(self, orgs: Iterable[int], now: datetime) -> dict[int, Roster]:
        return self._rosters or super().rosters(orgs, now)

    def policies_of_orgs(self, pks: Iterable[int]) -> dict[int, PolicyFacts]:
        return self._of_orgs

    def longest_throttle(self, orgs: Iterable[int]) -> timedelta:
        return self._throttle

    def found_agents(self, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], Agent]:
        return {key: self._agents[key] for key in wanted & self._agents.keys()}

    def policies(self, agents: Iterable[AgentKey]) -> dict[AgentKey, PolicyFacts]:
        return self._flat

    def tiers(self, agents: Iterable[AgentKey]) -> dict[AgentKey, list[int]]:
        return {key: self._tiers[key] for key in agents}

    def standing(self, agents: Iterable[AgentKey], at: datetime) -> dict[AgentKey, Standing]:
        wanted, place = set(agents), bisect_right(self._turns, at)
        if not 0 < place < len(self._turns):
            return super().standing(wanted, at)
        if place != self._turned:
            self._turned, self._until_next = place, {}
        if not (known := self._until_next).keys() >= wanted:
            known |= super().standing(wanted, self._turns[place - 1])
        return {key: known[key] for key in wanted}

    def sso_ids(self) -> Iterator[tuple[int, str]]:
        """Of everybody who could be told."""
        for person in chain(*self._people.values(), self.specialists()):
            yield person.user_id, person.sso_id

    def backs_up_any(self, user: int) -> bool:
        """Whether this person (pk) backs up any agent."""
        return any(one.user_id == user for some in self._people.values() for one in some)

    def policies_of(self) -> object:
        """What compares equal while no policy changed."""
        return self._policies


def read_past(org: Org, begin: datetime, end: datetime, asked: tuple[datetime, Policy] | None = None) -> Past:
    """What was known of `org` from `begin` to `end`; `asked`: a policy in place of the one that held from then on.

    Changes nothing: what it makes is rolled back. Run it where the tenant scope is disabled.
    """
    models = [model for model in tracked() if model not in NOT_ASKED]
    with as_it_was(org, models, begin, end) as then:
        agents = _agents(org)
        silences = [one for one in Silence.objects.filter(org=org, created_at__lte=end) if _stood(one, begin)]
        changed = then.times | {at for one in silences for at in (one.created_at, one.ended_at) if at}
        from_then = [max(asked[0], begin)] if asked else []  # the org may be younger: nothing was there before it
        times = {begin, *(at for at in changed if begin < at <= end), *from_then}
        spans = []
        for time in sorted(times):
            then.go_to(time)
            if asked is not None and time >= asked[0]:
                _put(asked[1])
            standing = [one.facts for one in silences if one.created_at <= time and _stood(one, time)]
            spans.append((time, Frozen(org, agents, standing, time, end)))
    return Past(spans)


def _stood(silence: Silence, at: datetime) -> bool:
    return silence.ended_at is None or silence.ended_at > at


def _agents(org: Org) -> list[int]:
    """All that the org has now, also those that came later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM public.orgs_agent WHERE org_id = %s ORDER BY id", [org.pk])
        return [pk for (pk,) in cursor.fetchall()]


def _put(policy: Policy) -> None:
    Policy.objects.filter(org=policy.org_id, agent=policy.agent_id).delete()
    fresh = Policy(**{f.attname: getattr(policy, f.attname) for f in Policy._meta.concrete_fields})
    fresh.pk = 0
    fresh.save(force_insert=True)
