"""The rosters of orgs as they are now: two queries for any number of orgs."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.postgres.aggregates import ArrayAgg
from django.db import connection
from django.db.models import Q

from orgs.duty.hours import weekly_hours
from orgs.duty.roster import Roster, Shift
from orgs.duty.spans import DutySpan
from orgs.models import Assignment

KEEPS = timedelta(days=8)  # what ended longer ago changes nothing any more; a sweep looks back less
# What stands beside the assignments of these orgs, each row with what it holds as JSON.
BESIDE = """
SELECT id, 'zone', to_json(zone)::text FROM orgs_org WHERE id = ANY(%(orgs)s)
UNION ALL SELECT org_id, 'business', hours::text FROM orgs_businesshours WHERE org_id = ANY(%(orgs)s)
UNION ALL SELECT org_id, 'holiday', to_json(date)::text FROM orgs_holiday WHERE org_id = ANY(%(orgs)s)
UNION ALL SELECT org_id, 'quiet', json_build_array(user_id, hours)::text
    FROM orgs_quiethours WHERE org_id = ANY(%(orgs)s)
UNION ALL SELECT org_id, 'handover', json_build_array(user_id, starts_at, ends_at)::text
    FROM orgs_handover WHERE org_id = ANY(%(orgs)s) AND ends_at > %(since)s
UNION ALL SELECT duty.org_id, 'temporary', json_build_array(
        duty.user_id, role.id, role.name, role.tier, role.fallback, duty.duty, (
            SELECT json_agg(listed.agent_id) FROM orgs_supervisorrole_agents listed
            WHERE listed.supervisorrole_id = role.id
        ), starts_at, ends_at)::text
    FROM orgs_temporaryduty duty JOIN orgs_temporaryschedule schedule ON schedule.id = schedule_id
    JOIN orgs_supervisorrole role ON role.id = duty.role_id
    WHERE duty.org_id = ANY(%(orgs)s) AND ends_at > %(since)s
"""


def rosters_of(orgs: Iterable[int], now: datetime) -> dict[int, Roster]:
    """The roster of each org (pk), as it is now. Run it inside a scope that covers them."""
    wanted = set(orgs)
    if not wanted:
        return {}
    beside: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    with connection.cursor() as cursor:
        cursor.execute(BESIDE, {"orgs": list(wanted), "since": now - KEEPS})
        for org, kind, held in cursor.fetchall():
            beside[org][kind].append(json.loads(held))
    shifts = _usual(wanted)
    return {org: _roster(shifts.get(org, []), beside[org]) for org in wanted}


def _usual(orgs: set[int]) -> dict[int, list[Shift]]:
    rows = (
        Assignment.objects.filter(user__is_active=True, org_id__in=orgs)
        .annotate(only_agents=ArrayAgg("role__agents", filter=Q(role__agents__isnull=False)))
        .order_by("role__tier", "user__name", "user_id")
        .values_list(
            *("org_id", "user_id", "user__sso_id", "user__name", "user__locale", "role_id", "role__name"),
            *("role__tier", "role__fallback", "duty", "away_until", "only_agents"),
        )
    )
    found: dict[int, list[Shift]] = defaultdict(list)
    for org, user, sso_id, name, locale, role, called, tier, fallback, duty, away_until, agents in rows:
        backs_up, hours = frozenset(agents) if agents else None, weekly_hours(duty)
        shift = Shift(user, sso_id, name, locale, role, called, tier, fallback, hours, away_until, backs_up)
        found[org].append(shift)
    return found


def _roster(usual: list[Shift], beside: dict[str, list[Any]]) -> Roster:
    replaced, handed_over = defaultdict(list), defaultdict(list)
    for _user, role, *_rest, begin, end in beside["temporary"]:
        replaced[role].append(_span(begin, end))
    for user, begin, end in beside["handover"]:
        handed_over[user].append(_span(begin, end))
    shifts = [*usual, *_temporary(usual, beside["temporary"])]
    return Roster(
        zone=beside["zone"][0] if beside["zone"] else "UTC",
        shifts=sorted(shifts, key=lambda one: one.tier),  # and within a tier by name, as the database sorts names
        holidays=frozenset(date.fromisoformat(day) for day in beside["holiday"]),
        replaced=dict(replaced),
        quiet={user: weekly_hours(hours) for user, hours in beside["quiet"] if hours},
        handed_over=dict(handed_over),
        business_hours=weekly_hours(beside["business"][0]) if beside["business"] else (),
    )


def _temporary(usual: list[Shift], rows: Iterable[Any]) -> list[Shift]:
    """Who stands in, of those with an assignment in the org; away as in the same role, else as in any of theirs."""
    found = []
    for user, role, name, tier, fallback, duty, agents, begin, end in rows:
        theirs = [one for one in usual if one.user_id == user]
        if theirs:
            own = [one for one in theirs if one.role_id == role] or theirs
            away = max((one.away_until for one in own if one.away_until), default=None)
            person = (user, theirs[0].sso_id, theirs[0].name, theirs[0].locale)
            backs_up = frozenset(agents) if agents else None
            hours, span = weekly_hours(duty), _span(begin, end)
            found.append(Shift(*person, role, name, tier, fallback, hours, away, backs_up, span))
    return found


def _span(begin: str, end: str) -> DutySpan:
    return DutySpan(datetime.fromisoformat(begin), datetime.fromisoformat(end))
