"""A gap of duty within a day is an alert of the org: told to its leads once, again only if it grew, over by itself."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts import actions
from alerts.gaps import foreseen, sweep_duty_gaps
from alerts.models import Alert, Push, Transition
from orgs import clock
from orgs.models import Assignment, Org, User
from orgs.rosters import rosters_of
from tests.api_client import signed_in, with_key
from tests.conftest import Clock
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    UserFactory,
)

pytestmark = pytest.mark.usefixtures("system")


@pytest.fixture
def lead(org: Org) -> User:
    """Leads the org; on duty as the test says."""
    AgentFactory(org=org, name="Billing Bot")
    user = AssignmentFactory(org=org, user__locale="en", user__name="Dewi").user
    MembershipFactory(org=org, user=user, role="lead")
    return user


def on_duty_but(user: User, begins: datetime, hours: int) -> None:
    """Every day, but for so many hours from then on, by UTC."""
    ends = begins + timedelta(hours=hours)
    item = {"days": [1, 2, 3, 4, 5, 6, 7], "from": ends.strftime("%H:00"), "to": begins.strftime("%H:00")}
    Assignment.every.filter(user=user).update(duty=[item])


def told(user: User) -> int:
    return Push.objects.filter(supervisor=user).count()


def states() -> list[str]:
    return list(Alert.objects.filter(scope="org").order_by("opened_at").values_list("state", flat=True))


def test_a_gap_is_told_once_to_the_leads_and_again_when_it_grew(
    org: Org, lead: User, clock_at: datetime, clock: Clock
) -> None:
    colleague = AssignmentFactory(org=org, user__locale="en", duty=[], away_until=clock_at + timedelta(days=30)).user
    on_duty_but(lead, clock_at + timedelta(hours=3), 2)
    assert sweep_duty_gaps() == 1
    alert = Alert.objects.get(scope="org")
    assert (alert.severity, alert.state, alert.due_at, alert.agent, alert.source) == (
        "warning",
        "open",
        None,
        None,
        None,
    )
    assert (told(lead), told(colleague)) == (1, 0)
    assert str(org) in Push.objects.get(supervisor=lead).body
    assert sweep_duty_gaps() == 0
    clock.advance(hours=3, minutes=30)  # it has begun; tomorrow's is foreseen now, and told
    assert sweep_duty_gaps() == 1
    assert sweep_duty_gaps() == 0 and told(lead) == 2
    on_duty_but(lead, clock_at + timedelta(hours=3), 3)
    assert sweep_duty_gaps() == 1 and told(lead) == 3
    assert [row.change for row in Transition.objects.filter(alert=alert).order_by("id")] == [
        "opened", "attached", "attached",
    ]  # fmt: skip
    Assignment.every.filter(user=lead).update(duty=[])
    assert sweep_duty_gaps() == 1 and states() == ["resolved"]
    alert.refresh_from_db()
    assert alert.resolved_kind == "recovered"


def test_what_a_human_resolved_stays_so_until_another_gap_comes(org: Org, lead: User, clock_at: datetime) -> None:
    on_duty_but(lead, clock_at + timedelta(hours=3), 2)
    sweep_duty_gaps()
    actions.resolve(Alert.objects.get(scope="org").pk, lead)
    assert sweep_duty_gaps() == 0 and states() == ["resolved"]
    on_duty_but(lead, clock_at + timedelta(hours=8), 1)
    assert sweep_duty_gaps() == 1 and states() == ["resolved", "open"]


def test_who_leads_nobody_and_what_is_far_are_no_alarm(org: Org, lead: User, clock_at: datetime) -> None:
    roster = rosters_of([org.pk], clock_at)[org.pk]
    assert foreseen(roster, [1], clock_at) == []
    assert foreseen(rosters_of([OrgFactory().pk], clock_at).popitem()[1], [1], clock_at) == []
    specialist = UserFactory(is_specialist=True)
    other = AssignmentFactory(org=OrgFactory(), away_until=clock_at + timedelta(days=30))
    AgentFactory(org=other.org)
    assert sweep_duty_gaps() == 1  # without leads specialists hear of it
    assert (told(specialist), told(other.user), told(lead)) == (1, 0, 0)
    (gap,) = foreseen(rosters_of([other.org_id], clock_at)[other.org_id], [1], clock_at)
    assert gap.ends is None


def test_board_page_and_api_show_it(org: Org, lead: User, clock_at: datetime) -> None:
    on_duty_but(lead, clock_at + timedelta(hours=3), 2)
    sweep_duty_gaps()
    alert = Alert.objects.get(scope="org")
    browser = signed_in(lead)
    board = browser.get("/").content.decode()
    assert "Duty gap" in board and org.name in board
    page = browser.get(f"/alerts/{alert.pk}").content.decode()
    assert "Duty gap" in page and "within a day nobody is on duty" in page
    (found,) = with_key(org).get("/api/alerts", {"signal": "duty_gap"}).json()["results"]
    assert (found["scope"], found["agent_name"], found["room_id"]) == ("org", None, None)
    sent: Any = with_key(org).get(f"/api/alerts/{alert.pk}").json()
    assert [one["sso_id"] for one in sent["pushes"]] == [lead.sso_id]


def test_its_page_lists_the_gaps_by_the_orgs_clock_and_leads_to_their_week(
    org: Org, lead: User, clock_at: datetime
) -> None:
    Org.objects.filter(pk=org.pk).update(zone="Asia/Jakarta")
    begins = (
        (clock_at + timedelta(hours=3)).replace(minute=0, second=0, microsecond=0).astimezone(ZoneInfo("Asia/Jakarta"))
    )
    on_duty_but(lead, begins, 2)
    sweep_duty_gaps()
    on_duty_but(lead, begins, 3)  # it grew: that it was shorter is history
    sweep_duty_gaps()
    alert = Alert.objects.get(scope="org")
    page = re.sub(r"\s+", " ", signed_in(lead).get(f"/alerts/{alert.pk}").content.decode())
    (listed,) = re.findall(r'<ul class="lm-told-gaps">(.*?)</ul>', page)
    gaps = re.findall(r'href="([^"]+)">([^<]+)</a> <span>(.*?)</span>', listed)
    today = [gap for gap in gaps if f"from={begins:%Y-%m-%d}" in gap[0]]
    assert len(today) == 1 and "Billing Bot" in today[0][2]
    assert f"{begins:%H:%M}" in today[0][1] and f"{begins + timedelta(hours=3):%H:%M}" in today[0][1]
    week = signed_in(lead).get(unescape(today[0][0]))
    assert week.status_code == 200 and week.context["week"].first == begins.date()


def test_other_alerts_list_no_gaps(org: Org, lead: User) -> None:
    page = signed_in(lead).get(f"/alerts/{AlertFactory(org=org).pk}").content.decode()
    assert "lm-told-gaps" not in page


@pytest.fixture
def clock_at(db: None, org: Org) -> datetime:
    """Now; the org's wall clock shows UTC, so that hours are easily said."""
    Org.objects.filter(pk=org.pk).update(zone="UTC")
    return clock.now().astimezone(UTC)
