"""Who can be reached at this minute: reach is a matter of phones, and of those only whom routing would tell count."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from alerts.reach import AgentReach
from orgs.duty.roster import Roster
from orgs.routing import Recipient, standing_at


def add_absences(found: Collection[AgentReach], rosters: Mapping[int, Roster], now: datetime) -> None:
    """Fill in why each supervisor is not told now, if they are not; from then on no agent reaches them. Whoever stands
    in is added. No query.

    Before it `coverage_of` speaks of phones, after it of this minute.
    """
    found = [one for one in found if not rosters[one.agent.org_id].is_plain]  # where everybody is told at any time
    phones = {(one.agent.org_id, each.user.pk): each for one in found for each in one.supervisors}
    known: dict[tuple[int, ...], dict[int, Recipient]] = {}  # by the assignments: most agents of an org share theirs
    for one in found:
        roster, agent = rosters[one.agent.org_id], one.agent.pk
        backing = tuple(map(id, roster.backing(agent)))
        if backing not in known:
            known[backing] = _standing(roster, agent, now)
        told = dict(known[backing])
        for each in one.supervisors:
            if standing := told.pop(each.user.pk, None):
                each.absent, each.quiet_until = standing.absent, standing.quiet_until
        for user, standing in told.items():
            stand_in = phones.get((one.agent.org_id, user))
            if stand_in and not standing.absent:
                one.supervisors.append(replace(stand_in, tier=standing.tier, absent="", quiet_until=None))


def _standing(roster: Roster, agent: int, now: datetime) -> dict[int, Recipient]:
    """By person; whoever has a tier and is a fallback, too, stands as what they are told as."""
    everybody = standing_at(roster, agent, now).everybody
    return {one.user_id: one for one in sorted(everybody, key=lambda one: not one.absent)}
