"""Which flows report runs, and which stopped: on /sources, for leads of their orgs and for specialists."""

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils.html import strip_tags

from alerts.items import Accepted
from orgs import clock as database_clock
from orgs.auth import EVERY_ORG, OrgIds
from orgs.models import Membership, Org, Source, User
from runs import presence
from runs.items import RunItem
from runs.models import AgentFlow, AgentRun
from runs.presence import flows_of, note_flows
from runs.store import store_run_batches
from tests.api_client import signed_in, supervisor_of
from tests.factories import MembershipFactory, OrgFactory, SourceFactory, UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def source(org: Org) -> Source:
    return SourceFactory(org=org)


def reports(source: Source, *flows: tuple[str, str, str | None]) -> None:
    """A run of each of these (agent, input kind, surface) comes in, and is noted."""
    now = database_clock.now()
    items = [
        RunItem(run_id=uuid4(), agent_name=agent, input_kind=kind, surface=surface, started_at=now)  # type: ignore[arg-type]
        for agent, kind, surface in flows
    ]
    store_run_batches([(source, [Accepted(n, source.org_id or 0, item, b"") for n, item in enumerate(items)])])
    note_flows(database_clock.now())


def states(orgs: OrgIds) -> list[tuple[str, str, str]]:
    """(agent, input kind, surface) in the order shown, those that stopped first."""
    return [(str(one.agent), one.input_kind, one.surface) for one in flows_of(orgs, database_clock.now(), 60).shown]


def lead_of(source: Source) -> User:
    assert source.org is not None
    user = supervisor_of(source.org)
    MembershipFactory(org=source.org, user=user, role=Membership.Role.LEAD)
    return user


def page(user: User) -> str:
    return re.sub(r"\s+", " ", strip_tags(signed_in(user).get("/sources").content.decode()))


def test_a_flow_reports_until_a_day_after_its_newest_run(source: Source, clock: Any) -> None:
    reports(source, ("Bot", "ticket", "chatbot"), ("Bot", "order", None))
    clock.advance(hours=25)
    reports(source, ("Bot", "ticket", "chatbot"))
    found = flows_of(EVERY_ORG, database_clock.now(), 60)
    assert (found.reporting, found.stopped) == (1, 1)
    assert states(EVERY_ORG) == [("Bot", "order", ""), ("Bot", "ticket", "chatbot")]
    clock.advance(days=6, hours=1)
    assert states(EVERY_ORG) == [("Bot", "ticket", "chatbot")]  # the other is a week old


def test_it_goes_by_when_it_was_told_not_by_when_it_ran(source: Source) -> None:
    item = RunItem(run_id=uuid4(), agent_name="Bot", input_kind="faq", started_at=database_clock.now() - timedelta(90))
    store_run_batches([(source, [Accepted(0, source.org_id or 0, item, b"")])])
    note_flows(database_clock.now())
    assert flows_of(EVERY_ORG, database_clock.now(), 60).reporting == 1


def test_each_run_is_read_and_an_old_one_only_once(source: Source, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "READ", 2)
    reports(source, *[("Bot", f"kind-{n}", None) for n in range(7)])
    assert AgentFlow.objects.count() == 7
    assert note_flows(database_clock.now()) == 7  # they may have said more since
    clock.advance(minutes=6)
    reports(source, ("Bot", "kind-7", None))
    assert note_flows(database_clock.now()) <= 2
    assert AgentFlow.objects.count() == 8


def test_what_a_run_says_later_of_where_it_ran_is_seen(source: Source) -> None:
    reports(source, ("Bot", "ticket", None))
    run = AgentRun.objects.get()
    more = RunItem(run_id=run.run_id, surface="runbook")
    store_run_batches([(source, [Accepted(0, source.org_id or 0, more, b"")])])
    note_flows(database_clock.now())
    assert ("Bot", "ticket", "runbook") in states(EVERY_ORG)


def test_nobody_sees_the_flows_of_another_org(source: Source) -> None:
    other = SourceFactory(org=OrgFactory())
    reports(source, ("Bot", "ticket", None))
    reports(other, ("Their Bot", "secret-kind", None))
    assert states(OrgIds.of([source.org_id or 0])) == [("Bot", "ticket", "")]
    assert states(OrgIds()) == []
    lead = lead_of(source)
    said = page(lead)
    assert "Bot" in said
    assert "Their Bot" not in said
    assert "secret-kind" not in said
    assert "secret-kind" in page(UserFactory(is_specialist=True))


def test_the_page_says_which_stopped_in_plain_words(source: Source, clock: Any) -> None:
    lead = lead_of(source)
    assert "No run was reported in the last 7 days." in page(lead)
    reports(source, ("Bot", "order", "shopify_admin"))
    clock.advance(hours=30)
    reports(source, ("Bot", "ticket", None))
    said = page(lead)
    assert "1 reported in the last 24 h · 1 stopped" in said
    assert re.search(r"order Shopify Admin .* Stopped", said)
    assert re.search(r"ticket not said .* Reports", said)


def test_of_very_many_some_are_shown_and_the_rest_counted(source: Source) -> None:
    reports(source, *[("Bot", f"kind-{n}", None) for n in range(70)])
    found = flows_of(EVERY_ORG, database_clock.now(), 60)
    assert (len(found.shown), found.hidden) == (60, 10)
