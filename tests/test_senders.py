"""What senders say that they sent, against what arrived: a loss on the way is seen on /sources."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils.html import strip_tags
from django_scopes import scopes_disabled
from hypothesis import given
from hypothesis import strategies as st

from alerts.models import SenderHour, SenderProcess
from alerts.sources import traffic
from alerts.sources.senders import SaidSent, SentCount, add_sent, counted_sent, grown, sent_of
from console.ingest.senders import said_sent
from orgs import clock as database_clock
from orgs.auth import EVERY_ORG, OrgIds
from orgs.models import Membership, Source
from tests.api_client import signed_in, supervisor_of
from tests.factories import MembershipFactory, OrgFactory, SourceFactory, UserFactory
from tests.ingest_server import Sender, event, run

pytestmark = pytest.mark.django_db


def said(n: int, items: int, duplicates: int = 0, *, process: str = "p1", source: Source | None = None) -> SaidSent:
    org, pk = (source.org_id, source.pk) if source else (1, 1)
    return SaidSent(org, pk, process, not process.startswith("~"), n, items, duplicates)


# --- the count --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "ten", "9" * 14, "٣", "1, 2", "0x10", "\x00"])
def test_what_is_no_count_says_nothing(text: str) -> None:
    assert counted_sent(text) is None


@pytest.mark.parametrize(
    ("counts", "one", "found"),
    [
        ([], said(10, 10), ([10], 10, 10)),
        ([10], said(15, 3), ([15], 5, 3)),  # two were lost before it
        ([15], said(15, 3, 3), ([15], 0, 0)),  # the same request again: its answer was lost
        ([15], said(15, 3, 0), ([15], 0, 3)),  # again, and this time it arrived
        ([15], said(12, 2, 0), ([15], 0, 2)),  # overtaken
        ([15], said(4, 4, process="~a"), ([4, 15], 4, 4)),  # without a name: another process, or one that began anew
        ([15, 4], said(9, 5, process="~a"), ([9, 15], 5, 5)),  # the one that had sent 4 goes on
        ([15, 4], said(17, 1, process="~a"), ([17, 4], 2, 1)),  # the nearest below has lost one
        ([15, 4], said(15, 3, 3, process="~a"), ([15, 4], 0, 0)),
        ([15, 4], said(3, 2, process="~a"), ([3, 15, 4], 3, 2)),  # one we never heard of has lost one
    ],
)
def test_what_it_grew_by_was_sent(counts: list[int], one: SaidSent, found: tuple[list[int], int, int]) -> None:
    assert grown(counts, one) == found


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.booleans()), max_size=25))
def test_processes_without_a_name_lose_nothing_by_being_mixed_up(sends: list[tuple[int, int, bool]]) -> None:
    """Four that send in turn from one place; some requests come again because their answer was lost."""
    counts: list[int] = []
    of, whole = [0, 0, 0, 0], SentCount()
    for who, items, twice in sends:
        of[who] += items
        for duplicates in (0, items) if twice else (0,):
            counts, sent, arrived = grown(counts, said(of[who], items, duplicates, process="~a"))
            whole.add(sent, arrived)
    assert (whole.lost, whole.sent, whole.arrived) == (0, sum(of), sum(of))


@st.composite
def _sent(draw: Any) -> tuple[list[SaidSent], int]:
    """Requests of some processes as they arrive, some again, some overtaken; and how many items never arrived."""
    arriving, lost = [], 0
    for process in ("p1", "p2", "p3"):
        n, last = 0, 0
        for items, fate in draw(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3)), max_size=6)):
            n += items
            if fate == 0:  # lost: the next request tells
                last += items
                continue
            lost, last = lost + last, 0
            arriving.append(said(n, items, process=process))
            if fate == 1:  # stored, but its answer was lost: it comes again
                arriving.append(said(n, items, items, process=process))
    order = draw(st.permutations(range(len(arriving)))) if draw(st.booleans()) else range(len(arriving))
    again = {place for place, one in enumerate(arriving) if one.duplicates}
    kept = [arriving[place] for place in order]
    if again and list(order) != list(range(len(arriving))):  # what comes again comes after it came first
        kept = arriving
    return kept, lost


@given(_sent())
def test_the_sum_of_all_growth_is_what_was_lost_in_whatever_order(case: tuple[list[SaidSent], int]) -> None:
    arriving, lost = case
    whole, counts = SentCount(), dict[str, list[int]]()
    for one in arriving:
        counts[one.process], sent, arrived = grown(counts.get(one.process, []), one)
        whole.add(sent, arrived)
    assert whole.lost == whole.sent - whole.arrived == lost


def heard(**headers: str) -> SaidSent | None:
    """What a request with these headers said; `X_Items_Sent`."""
    named = {name.lower().replace("_", "-"): value for name, value in headers.items()}
    request: Any = SimpleNamespace(headers=named, client="203.0.113.9")
    caller: Any = SimpleNamespace(prefix="Zl7OG906", source=SimpleNamespace(org_id=3, pk=7))
    return said_sent(request, caller, Counter(created=2, duplicate=1, invalid=1))


def test_a_request_says_whose_count_it_is() -> None:
    assert heard(X_Items_Sent="9", X_Client_Id="w-1") == SaidSent(3, 7, "w-1", True, 9, 4, 1)
    assert heard(X_Client_Id="w-1") is None
    assert heard(X_Items_Sent="-9", X_Client_Id="w-1") is None


@pytest.mark.parametrize("name", ["", "two words", "a" * 65, "~mine", "café"])
def test_a_process_without_a_good_name_is_known_by_where_it_sends_from(name: str) -> None:
    found, again = heard(X_Items_Sent="9", X_Client_Id=name), heard(X_Items_Sent="12")
    assert found is not None
    assert again is not None
    assert (found.named, found.process) == (False, again.process)
    assert found.process.startswith("~")
    assert "203" not in found.process


# --- kept -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def system() -> Iterator[None]:
    with scopes_disabled():
        yield


def test_each_hour_of_a_source_adds_up_over_its_processes(system: None, clock: Any) -> None:
    source, now = SourceFactory(), database_clock.now().replace(minute=30)
    add_sent([said(10, 10, source=source), said(20, 8, process="p2", source=source)], now)
    add_sent([said(15, 5, source=source)], now)
    add_sent([said(16, 1, source=source)], now + timedelta(hours=1))
    hour = now.replace(minute=0, second=0, microsecond=0)
    (found,) = sent_of([source.pk], EVERY_ORG, now + timedelta(hours=1)).values()
    assert found == {hour: SentCount(35, 23), hour + timedelta(hours=1): SentCount(1, 1)}
    assert found[hour].lost == 12


def test_a_platforms_counts_are_for_who_sees_all_orgs(system: None) -> None:
    platform, own, now = SourceFactory(org=None), SourceFactory(), database_clock.now()
    add_sent([said(3, 1, source=platform), said(3, 1, source=own)], now)
    assert sent_of([platform.pk, own.pk], OrgIds.of([own.org.pk]), now).keys() == {own.pk}
    assert sent_of([platform.pk, own.pk], OrgIds.of([OrgFactory().pk]), now) == {}
    assert sent_of([platform.pk, own.pk], EVERY_ORG, now).keys() == {platform.pk, own.pk}


def test_what_no_page_shows_any_more_is_let_go(system: None) -> None:
    source, now = SourceFactory(), database_clock.now()
    add_sent([said(3, 1, source=source)], now - timedelta(days=31))
    traffic.tidy(now)
    assert not SenderHour.objects.exists()
    assert not SenderProcess.objects.exists()


# --- through the lane -------------------------------------------------------------------------------------------------


@pytest.fixture
def hour(wait_for: Callable[..., Any]) -> Callable[[int, int], SentCount]:
    """What was sent and arrived, once that much was counted."""

    def counts(sent: int, arrived: int) -> SentCount | None:
        with scopes_disabled():
            rows = list(SenderHour.objects.values_list("sent", "arrived"))
        found = SentCount(*map(sum, zip(*rows, strict=True))) if rows else SentCount()
        return found if found == SentCount(sent, arrived) else None

    return lambda sent, arrived: wait_for(lambda: counts(sent, arrived))


@pytest.mark.django_db(transaction=True)
def test_a_request_says_how_much_its_process_has_sent(sender: Sender, hour: Any) -> None:
    one = run()
    sender.post([event(), event()], X_Items_Sent="2", X_Client_Id="w-1")
    hour(2, 2)
    sender.post([one], "/api/agent-runs", X_Items_Sent="5", X_Client_Id="w-1")  # two were lost
    hour(5, 3)
    sender.post([one], "/api/agent-runs", X_Items_Sent="5", X_Client_Id="w-1")  # again
    sender.post([event()], X_Items_Sent="1", X_Client_Id="w-2")  # another process
    assert sender.post([event()], X_Items_Sent="many").status == 207  # says nothing, costs nothing
    sender.post([event()], X_Items_Sent="7", X_Client_Id="no name; at all")
    hour(13, 5)
    assert sender.source.org is not None
    lead = supervisor_of(sender.source.org)
    MembershipFactory(org=sender.source.org, user=lead, role=Membership.Role.LEAD)
    page = signed_in(lead).get("/sources")
    text = re.sub(r"\s+", " ", strip_tags(page.content.decode()))
    assert "lost on the way 8" in text
    assert "Of 13 items that its processes say they sent in the last 24 h, 8 did not arrive" in text


def test_a_source_that_says_nothing_shows_no_loss(system: None) -> None:
    source = SourceFactory()
    traffic.add({traffic.slot(source.org_id, source.pk, None, database_clock.now()): traffic.TrafficCounts(created=1)})
    page = signed_in(UserFactory(is_specialist=True)).get("/sources").content.decode()
    assert "lost on the way" not in page.lower()
