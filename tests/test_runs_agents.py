"""A run has an agent, always: what a foreign key would say, without the check of each row."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from alerts.known import known_now
from orgs.models import Agent, Org, Source
from runs.items import RunItem
from runs.ledger import Ledger
from runs.merge import new_run
from runs.models import AgentRun, DayKpi
from runs.store import store_run_batches
from tests.factories import AgentFactory, SourceFactory
from tests.test_runs_sums import accepted

STARTED = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def source(transactional_db: None, system: None, org: Org) -> Source:
    AgentFactory(org=org, name="Bot")
    made: Source = SourceFactory(org=org)
    return made


def item() -> RunItem:
    return RunItem(run_id=uuid4(), agent_name="Bot", input_kind="chat", started_at=STARTED)


def in_bulk(source: Source) -> None:
    store_run_batches([(source, [accepted(item(), source.org) for _ in range(60)])])


def alone(source: Source) -> None:
    store_run_batches([(source, [accepted(item(), source.org)])])


@pytest.mark.parametrize("store", [in_bulk, alone])
def test_an_agent_that_is_deleted_while_runs_of_it_are_stored_has_none(
    source: Source, store: Callable[[Source], None]
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        store(source)
        with psycopg.connect(**connection.get_connection_params()) as other:
            other.execute("DELETE FROM orgs_agent")
    assert not AgentRun.objects.exists()


def test_an_agent_with_runs_is_not_deleted_without_them(source: Source) -> None:
    alone(source)
    with pytest.raises(IntegrityError, match="still has runs"), transaction.atomic(), connection.cursor() as cursor:
        DayKpi.objects.all().delete()
        cursor.execute("DELETE FROM runs_hourkpi")
        cursor.execute("DELETE FROM orgs_agent")
    Agent.objects.get().delete()
    assert not AgentRun.objects.exists()


def test_runs_of_an_agent_that_is_gone_already_are_not_stored(source: Source) -> None:
    one = accepted(item(), source.org)
    with pytest.raises(IntegrityError), transaction.atomic():
        now, known = known_now()
        known.agents({(source.org_id or 0, "Bot")})  # as they were found a moment ago
        Agent.objects.all().delete()
        ledger = Ledger(now, known)
        ledger.add((one.org_id, one.item.run_id), new_run(one, source.pk, now))
        ledger.close()
