"""Whatever changes runs, and whenever it is folded: an agent's days say what its versions, channels and inputs say."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from random import Random
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from alerts.figures import Period
from alerts.retention.erase import SubjectUnknown, erase_room
from alerts.retention.purge import Pace, purge
from alerts.tables import fetch
from orgs import clock
from orgs.models import Agent, Org, Source
from runs.fold import DAYS, HOURS, _keep, fold_all
from runs.items import ReviewItem, RunItem
from runs.models import AgentDay, AgentRun, DayKpi
from runs.rollups import KpiFilters, KpiScope, kpi_durations, kpi_sums
from runs.store import store_review_batches, store_run_batches
from tests.factories import OrgFactory, SourceFactory
from tests.recount import agent_days_are_true
from tests.stack import until
from tests.test_retention_together import beside
from tests.test_runs_fold import durations_are_true
from tests.test_runs_sums import accepted
from tests.test_state_machine import freeze

NOW = datetime(2026, 11, 9, 10, 17, 30, tzinfo=UTC)
ZONES = ("Asia/Jakarta", "Asia/Kathmandu", "America/New_York")
READ = (("agent", "day"), ("", "total"), ("agent", "week"), ("agent", "hour"))


class Past:
    """Runs of an org, and what may happen to them."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.source: Source = SourceFactory(org=OrgFactory(zone=ZONES[0]))
        self.runs: list[UUID] = []
        self.now = NOW

    def start(self, **fields: Any) -> None:
        """A run that goes on, or one that has ended."""
        chance = self.chance
        began = self.now - timedelta(minutes=chance.randrange(5 * 24 * 60))
        ended = began + timedelta(seconds=chance.choice((3, 42, 900)))
        said: dict[str, Any] = {
            "agent_name": chance.choice(("Bot 1", "Bot 2")),
            "agent_version": chance.choice(("1", "2")),
            "channel": chance.choice(("web", "whatsapp")),
            "room_id": chance.choice((None, "room-1")),
            "started_at": began,
            **({"ended_at": ended, "resolution": "resolved"} if chance.random() < 0.7 else {}),
        }
        item = RunItem(run_id=uuid4(), input_kind="chat", **(said | fields))
        self.runs.append(item.run_id)
        store_run_batches([(self.source, [accepted(item, self.source.org)])])

    def complete(self) -> None:
        """One says more of itself: its end if it has none yet, another version."""
        more = {"agent_version": self.chance.choice(("1", "3")), "cost_usd": 0.5}
        for said in ({"ended_at": self.now, "resolution": "failed"}, more):
            item = RunItem(run_id=self.chance.choice(self.runs), **said)
            store_run_batches([(self.source, [accepted(item, self.source.org)])])

    def review(self) -> None:
        item = ReviewItem(run_id=self.chance.choice(self.runs), quality_score=self.chance.randint(1, 5), reviewer="a")
        store_review_batches([(self.source, [accepted(item, self.source.org)])])

    def purge(self) -> None:
        """The oldest go."""
        self.now += timedelta(days=1, minutes=1)
        freeze(self.now)
        purge(self.now + timedelta(days=88), pace=Pace(rests=0))

    def erase(self) -> None:
        with suppress(SubjectUnknown):
            erase_room(self.source.org, "room-1", clock.now())

    def move(self) -> None:
        """The org has another zone from now on."""
        self.source.org.zone = self.chance.choice(ZONES)
        self.source.org.save()

    def step(self) -> Callable[[], object]:
        """What happens next."""
        often = [self.start, self.start, self.start, fold_all, fold_all]
        return self.chance.choice([*often, self.complete, self.review, self.purge, self.erase, self.move])


def read(org: Org, now: datetime) -> list[Any]:
    """All that is read from days."""
    scope = KpiScope.of([org], Period(date(2026, 11, 1), date(2026, 12, 1)), now, KpiFilters())
    return [(kpi_sums(scope, *by), kpi_durations(scope, *by)) for by in READ]


@pytest.mark.parametrize("seed", range(4))
def test_agents_days_say_at_any_moment_what_their_days_say(db: None, system: None, seed: int) -> None:
    past = Past(seed)
    freeze(NOW)
    past.start()
    steps = []
    for _ in range(25):
        step = past.step()
        steps.append(step.__name__)
        step()
        agent_days_are_true()
        found = read(past.source.org, past.now)
        with transaction.atomic():
            DayKpi.objects.update(unsummed=True)
            assert found == read(past.source.org, past.now), steps
            transaction.set_rollback(True)
    assert AgentDay.objects.exists()


def test_two_folds_of_an_agents_day_leave_it_whole(transactional_db: None, system: None) -> None:
    past = Past(0)
    for version in ("1", "2"):
        past.start(agent_name="Bot", agent_version=version, started_at=NOW, ended_at=NOW, resolution="resolved")
    _keep("runs_hourkpi", fetch(HOURS, [0]))
    one, other = fetch(DAYS, [0])
    begun = Event()
    with beside(lambda: begun.wait(30) and _keep("runs_daykpi", [other])), transaction.atomic():
        _keep("runs_daykpi", [one])
        begun.set()
        until(lambda: fetch("SELECT pid FROM pg_locks WHERE NOT granted"))
    durations_are_true()


def test_the_days_of_agents_go_with_their_org(db: None, system: None) -> None:
    past = Past(0)
    past.start()
    fold_all()
    assert AgentDay.objects.exists()
    AgentRun.objects.all().delete()
    past.source.org.delete()
    assert not Agent.objects.exists() and not AgentDay.objects.exists()
