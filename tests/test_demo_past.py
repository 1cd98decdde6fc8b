"""The demo's past: believable, countable like what comes live, and with stories that one can see."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Count, Max, Q, Sum
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, PolicyPreview, Transition
from alerts.replay.requests import play_preview
from demo.flows import BAD_VERSION, DEAR, FLOWS, OVER_ESCALATING, SILENT, SLOW, Flow
from demo.past import WATCHED, make_past
from orgs.models import Agent, Org, Source
from orgs.policy_fields import POLICY_DEFAULTS
from runs import sums
from runs.kpis import KpiFigures, kpi_figures
from runs.models import AgentRun, DayKpi, DaySessions, HourKpi, RoomSession, RunSums
from tests.factories import AgentFactory, OrgFactory, UserFactory

NOW = datetime(2026, 3, 18, 9, 30, tzinfo=UTC)
DAYS = 14

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("demo_past")]


@pytest.fixture(scope="module")
def past(django_db_setup: None, django_db_blocker: Any) -> Iterator[Source]:
    """Made once, in a transaction around those of the tests."""
    with django_db_blocker.unblock(), transaction.atomic(), scopes_disabled():
        source = Source.objects.create(org=None, name="chatbot back end")
        orgs = {name: OrgFactory(external_id=name, zone="Asia/Jakarta") for name in {flow.org for flow in FLOWS}}
        for flow in FLOWS:
            AgentFactory(org=orgs[flow.org], name=flow.agent, version=flow.version)
        for sso_id in WATCHED.values():
            UserFactory(sso_id=sso_id)
        make_past(source, NOW, DAYS)
        with django_db_blocker.block():
            yield source
        transaction.set_rollback(True)


def facts(run: AgentRun) -> sums.RunFacts:
    return sums.RunFacts(
        run.started_at, run.ended_at, run.resolution, bool(run.self_corrected), run.tokens_input, run.tokens_output,
        run.cost_usd, run.sla_target_seconds, run.overdue_at is not None, run.touched, run.handoff_expected,
        run.message_count, run.message_cap, run.review_count, run.review_sum,
    )  # fmt: skip


def added(rows: type[RunSums], **of: object) -> sums.Amounts:
    found = rows._base_manager.filter(**of).aggregate(**{f"all_{name}": Sum(name) for name in sums.NAMES})
    return tuple(found[f"all_{name}"] or 0 for name in sums.NAMES)


def figures_of(flow: Flow, *, now: bool) -> KpiFigures:
    began = (NOW - timedelta(days=flow.since)).date()
    days = Q(day__gt=began) if now else Q(day__lt=began)
    rows = DayKpi.objects.filter(days, org__external_id=flow.org, agent__name=flow.agent)
    found = rows.aggregate(**{f"all_{name}": Sum(name) for name in sums.NAMES})
    durations: dict[int, int] = defaultdict(int)
    for row in rows:
        for bucket, n in row.durations.items():
            durations[int(bucket)] += n
    return kpi_figures(tuple(found[f"all_{name}"] or 0 for name in sums.NAMES), durations)


def test_its_roll_ups_are_what_a_plain_count_of_its_runs_gives(past: Source) -> None:
    counted = tuple(map(sum, zip(*(sums.amounts(facts(run)) for run in AgentRun.objects.all()), strict=True)))
    assert added(HourKpi) == counted
    assert added(DayKpi) == counted
    assert counted[0] > 5_000
    histogram = DayKpi.objects.values_list("durations", flat=True)
    assert sum(n for durations in histogram for n in durations.values()) == counted[1]


def test_each_story_can_be_seen_in_its_figures(past: Source) -> None:
    def seen(flow: Flow) -> tuple[KpiFigures, KpiFigures]:
        return figures_of(flow, now=False), figures_of(flow, now=True)

    before, after = seen(SLOW)
    assert (after.p50_resolution_seconds or 0) > 1.8 * (before.p50_resolution_seconds or 0)
    before, after = seen(DEAR)
    assert (after.avg_cost_usd or 0) > 2.5 * (before.avg_cost_usd or 0)
    before, after = seen(BAD_VERSION)
    assert (after.failure_pct or 0) > 4 * (before.failure_pct or 0)
    before, after = seen(OVER_ESCALATING)
    assert (after.escalation_pct or 0) > 2 * (before.escalation_pct or 0)


def test_one_agent_is_silent_and_the_others_are_not(past: Source) -> None:
    last = dict(AgentRun.objects.values_list("agent__name").annotate(Max("started_at")))
    silent = {name for name, at in last.items() if at < NOW - timedelta(hours=20)}
    assert silent == {SILENT.agent}
    assert max(last.values()) < NOW


def test_its_versions_are_those_that_the_agents_had(past: Source) -> None:
    for flow in (BAD_VERSION, DEAR):
        agent = Agent.objects.get(org__external_id=flow.org, name=flow.agent)
        assert flow.before is not None
        assert set(AgentRun.objects.filter(agent=agent).values_list("agent_version", flat=True)) == {
            flow.version,
            flow.before.version,
        }


def test_its_days_of_sessions_are_those_of_its_rooms(past: Source) -> None:
    of_days = DaySessions.objects.aggregate(n=Sum("sessions"), contained=Sum("contained"), durable=Sum("durable"))
    of_rooms = RoomSession.objects.aggregate(
        n=Count("pk"), contained=Count("pk", filter=Q(contained=True)), durable=Count("pk", filter=Q(durable=True))
    )
    assert of_days == of_rooms


def test_rooms_of_the_watched_orgs_failed_and_were_resolved(past: Source) -> None:
    assert set(Alert.objects.values_list("org__external_id", flat=True)) == set(WATCHED)
    assert not Alert.objects.exclude(state="resolved").exists()
    assert FailureEvent.objects.count() == Alert.objects.count() > 60


def test_its_verdicts_say_what_was_judged(past: Source) -> None:
    judged = Transition.objects.filter(change="verdict").values_list("detail__to", "alert__verdict")
    assert {to for to, _ in judged} == {"confirmed", "false_alarm"}
    assert all(to == verdict for to, verdict in judged)


def test_a_preview_tells_nothing_of_what_was_before_the_org_was_made(past: Source) -> None:
    """Nobody had been set up and no sweep came by then: under any policy more would seem to have gone wrong.

    Mutation: failures of the past that was made up are played, so that an unchanged policy seems to make it worse.
    """
    org = Org.objects.get(external_id=next(iter(WATCHED)))
    org.created_at = NOW
    org.save()
    week = PolicyPreview(org=org, policy=dict(POLICY_DEFAULTS), since=NOW - timedelta(days=7), until=NOW)
    answer = play_preview(week, lambda done: None)
    assert answer["now"] == answer["then"]
    assert (answer["events"], answer["now"]["unroutable"], answer["not_reproduced"]) == (0, 0, 0)
