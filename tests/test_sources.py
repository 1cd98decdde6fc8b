"""What every source sends: figures, /sources and GET /api/sources. Nothing is green without data."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from django.utils.html import strip_tags
from django_scopes import scopes_disabled

from alerts.models import Alert
from alerts.sources import health
from alerts.sources.health import SourceFigures, SourceHealth, source_state
from console.pages.sources import words
from orgs import clock as database_clock
from orgs import keys
from orgs.auth import EVERY_ORG, OrgIds, within
from orgs.models import Org, Source, SourceHeard, User
from tests.api_client import signed_in, supervisor_of, with_key
from tests.factories import (
    AlertFactory,
    MembershipFactory,
    OrgFactory,
    RejectedItemFactory,
    SourceFactory,
    SourceMinuteFactory,
    UserFactory,
    WebhookDeliveryFactory,
    WebhookEndpointFactory,
)

NOW = datetime.now(UTC).replace(second=30, microsecond=0)


@pytest.fixture(autouse=True)
def _now(clock: Any) -> None:
    """It is NOW, however long the tests before took."""
    clock.advance(seconds=(NOW - database_clock.now()).total_seconds())


@pytest.fixture
def source(org: Org) -> Source:
    return SourceFactory(org=org, name="chatbot back end")


@pytest.fixture
def lead(org: Org) -> User:
    user: User = supervisor_of(org, name="Rina")
    MembershipFactory(org=org, user=user, role="lead")
    return user


def minute(source: Source, ago: float = 1, org: Org | None = None, **counts: Any) -> None:
    """A minute of a source `ago` minutes before now."""
    at = (NOW - timedelta(minutes=ago)).replace(second=0)
    SourceMinuteFactory(org=org or source.org, source=source, minute=at, **counts)


def heard(source: Source, ago: float = 0, org: Org | None = None) -> None:
    with scopes_disabled():
        SourceHeard.objects.create(org=org or source.org, source=source, at=NOW - timedelta(minutes=ago))


def alarm(source: Source, *signals: str, org: Org | None = None) -> Alert:
    entries = [
        {"signal": one, "count": 1, "first_at": NOW.isoformat(), "last_at": NOW.isoformat(), "severity": "critical",
         "episode": 1}
        for one in signals
    ]  # fmt: skip
    made: Alert = AlertFactory(
        org=org or source.org, scope="source", source=source, room=None, agent=None, signals=entries
    )
    return made


def figures_of(source: Source, orgs: OrgIds = EVERY_ORG) -> SourceHealth:
    with within(orgs):
        return health.of_sources([source], orgs, NOW)[0]


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


# --- figures ---------------------------------------------------------------------------------------------------------


def test_the_state_is_only_green_when_it_was_just_heard() -> None:
    ago = {minutes: NOW - timedelta(minutes=minutes) for minutes in (0, 15, 16)}
    assert source_state(None, False, NOW) == "no_data"
    assert source_state(ago[0], False, NOW) == source_state(ago[15], False, NOW) == "heard"
    assert source_state(ago[16], False, NOW) == "quiet"
    assert source_state(ago[16], True, NOW) == source_state(None, True, NOW) == "silent"


def test_sums_rate_and_lag(source: Source) -> None:
    minute(source, 1, created=10, duplicate=2, lag_ms=4_000, lag_most_ms=900, events=8, with_confidence=6)
    minute(source, 5, created=10, invalid=3, lag_ms=6_000, lag_most_ms=700)
    minute(source, 90, created=5, conflict=1, not_understood=1, lag_ms=50_000, lag_most_ms=20_000, events=2)
    minute(source, 25 * 60, created=1_000)
    found = figures_of(source).figures
    assert (found.day.received, found.day.refused, found.day.created) == (32, 5, 25)
    assert found.per_minute == 25 / 5
    assert (found.hour.lag_average_ms, found.hour.lag_most_ms) == (500, 900)
    assert found.day.lag_most_ms == 20_000
    assert found.day.with_confidence_pct == 60


def test_the_present_minute_is_not_in_the_rate(source: Source) -> None:
    minute(source, 0, created=100)
    found = figures_of(source).figures
    assert (found.per_minute, found.hour.created) == (0, 100)


def test_no_data_is_none_and_not_nought(source: Source) -> None:
    found = figures_of(source)
    assert (found.state, found.heard_at) == ("no_data", None)
    assert found.figures.hour.lag_average_ms is None
    assert found.figures.day.with_confidence_pct is None


def test_a_platform_sources_figures_are_of_the_orgs_asked_for(org: Org) -> None:
    platform, other = SourceFactory(org=None), OrgFactory()
    minute(platform, org=org, created=3)
    minute(platform, org=other, created=5)
    heard(platform, 3, org=org)
    heard(platform, 1, org=other)
    alarm(platform, "silent_source", org=other)
    SourceMinuteFactory(org=None, source=platform, minute=NOW.replace(second=0), invalid=4)
    mine, all_of_it = figures_of(platform, OrgIds.of([org.pk])), figures_of(platform)
    assert (mine.figures.day.invalid, all_of_it.figures.day.invalid) == (0, 4)
    assert (mine.figures.day.created, mine.heard_at, mine.alarms) == (3, NOW - timedelta(minutes=3), [])
    assert (all_of_it.figures.day.created, all_of_it.heard_at) == (8, NOW - timedelta(minutes=1))
    assert (mine.state, all_of_it.state) == ("heard", "silent")


def test_an_alarm_is_what_it_is_about_now(source: Source) -> None:
    heard(source, 40)
    found = alarm(source, "silent_source")
    with scopes_disabled():
        found.signals.append({**found.signals[0], "signal": "rejected_items", "episode": 2})
        found.episode = 2
        found.save()
    assert (figures_of(source).state, figures_of(source).rejecting) == ("quiet", True)
    with scopes_disabled():
        Alert.objects.filter(pk=found.pk).update(state="resolved", resolved_at=NOW)
    assert not figures_of(source).alarms


def test_endpoints_have_figures_of_their_own(source: Source) -> None:
    first, second = (WebhookEndpointFactory(org=source.org, source=source) for _ in range(2))
    minute(source, created=2, endpoint=first)
    minute(source, created=3)
    WebhookDeliveryFactory(endpoint=first, received_at=NOW)
    WebhookDeliveryFactory(endpoint=second, received_at=NOW, outcome="refused")
    found = figures_of(source)
    assert found.kind == "qontak"
    assert found.figures.day.created == 5
    assert {one.endpoint.pk: (one.figures.day.created, one.state) for one in found.endpoints} == {
        first.pk: (2, "heard"),
        second.pk: (0, "no_data"),
    }


def test_reasons_are_grouped_with_the_newest_sample(source: Source) -> None:
    endpoint = WebhookEndpointFactory(org=source.org, source=source)
    for ago in (3, 1, 2):
        RejectedItemFactory(org=source.org, source=source, at=NOW - timedelta(minutes=ago), sample={"ago": ago})
    RejectedItemFactory(org=source.org, source=source, at=NOW, code="too_old", field="occurred_at")
    RejectedItemFactory(org=source.org, source=source, at=NOW - timedelta(hours=25), code="bad_text")
    WebhookDeliveryFactory(endpoint=endpoint, outcome="not_understood", reason="no_room", received_at=NOW)
    WebhookDeliveryFactory(endpoint=endpoint, received_at=NOW)
    found = figures_of(source)
    with within(EVERY_ORG):
        health.add_reasons([found], EVERY_ORG, NOW)
    assert [(one.code, one.n) for one in found.reasons] == [("missing_field", 3), ("too_old", 1)]
    assert found.reasons[0].sample == {"ago": 1}
    assert [(one.code, one.n) for one in found.endpoints[0].reasons] == [("no_room", 1)]


def test_the_bars_of_a_day() -> None:
    figures = SourceFigures()
    hour = NOW.replace(minute=0, second=0)
    figures.hours[hour].created = 1_000
    figures.hours[hour - timedelta(hours=23)].invalid = 1
    figures.hours[hour - timedelta(hours=24)].created = 9_000
    day = words.day_bars(figures, NOW)
    assert (len(day.bars), day.most) == (24, 1_000)
    assert (day.bars[-1].height, day.bars[-1].y, day.bars[-1].refused) == (words.HEIGHT, 0, 0)
    assert (day.bars[0].height, day.bars[0].refused_height) == (1, 1)
    assert {bar.height for bar in day.bars[1:-1]} == {0}


def test_a_lag_is_read_in_both_languages() -> None:
    assert [words.milliseconds(value) for value in (None, 0, 432, 9_999, 12_000, 300_000)] == [
        "–", "0.0 s", "0.4 s", "10.0 s", "12 s", "5 min",
    ]  # fmt: skip
    with translation.override("id"):
        assert words.milliseconds(432).startswith("0,4")


def test_queries_do_not_grow_with_the_sources(
    org: Org, lead: User, source: Source, django_assert_num_queries: Any
) -> None:
    client = signed_in(lead)

    def fill(one: Source) -> None:
        endpoint = WebhookEndpointFactory(org=org, source=one)
        minute(one, created=1, endpoint=endpoint)
        RejectedItemFactory(org=org, source=one)
        WebhookDeliveryFactory(endpoint=endpoint, outcome="not_understood", reason="no_id")
        keys.issue(one, ["ingest"])
        alarm(one, "silent_source")

    fill(source)
    client.get("/sources")
    with CaptureQueriesContext(connection) as one_source:
        client.get("/sources")
    for _ in range(5):
        fill(SourceFactory(org=org))
    with django_assert_num_queries(len(one_source)):
        assert client.get("/sources").status_code == 200


# --- the page --------------------------------------------------------------------------------------------------------


def test_a_lead_sees_state_figures_reasons_and_keys(org: Org, lead: User, source: Source) -> None:
    key, secret = keys.issue(source, ["ingest", "read"], expires_days=30)
    minute(source, 2, created=1_500, invalid=4, lag_ms=600_000, lag_most_ms=7_000, events=10, with_confidence=8)
    heard(source, 40)
    RejectedItemFactory(org=org, source=source, at=NOW, sample={"signal": "low_confidence", "room_label": "[text, 9]"})
    found = alarm(source, "silent_source", "rejected_items")
    answer = signed_in(lead).get("/sources")
    page = text(answer)
    for said in (
        "Sources: 1 of 1 needs a look", "No data for", "Much of it is not accepted", "1,504 received",
        "0.4 s mean, last hour", "longest 7.0 s", "80 %", "A required field is missing", "confidence is required.",
        "[text, 9]", key.prefix, "Ingest, Read", "ends ",
    ):  # fmt: skip
        assert said in page, said
    assert f"/alerts/{found.pk}" in answer.content.decode()
    assert secret not in answer.content.decode()
    assert answer["Cache-Control"] == "no-store"
    User.objects.filter(pk=lead.pk).update(locale="id")
    assert "Terima data, Baca" in text(signed_in(lead).get("/sources"))


def test_nothing_is_green_without_data(lead: User, source: Source) -> None:
    page = signed_in(lead).get("/sources").content.decode()
    assert "No data yet" in page
    assert "lm-sev--ok" not in page
    assert "lm-src--blind" in page
    heard(source, 30)
    assert "lm-sev--ok" not in signed_in(lead).get("/sources").content.decode()


def test_a_lead_sees_of_a_platform_source_only_their_orgs_share(org: Org, lead: User) -> None:
    platform, unheard, other = SourceFactory(org=None, name="Platform"), SourceFactory(org=None), OrgFactory()
    key, _ = keys.issue(platform, ["ingest"])
    minute(platform, org=org, created=11)
    minute(platform, org=other, created=7_000)
    heard(platform, org=org)
    heard(unheard, org=other)
    RejectedItemFactory(
        org=None, source=platform, code="unknown_org", message="nobody's", sample={"org_id": "secret-org"}
    )
    RejectedItemFactory(org=other, source=platform, message="theirs")
    mine = text(signed_in(lead).get("/sources"))
    assert "Platform" in mine and "11 received" in mine
    for hidden in (unheard.name, "7,0", "nobody's", "theirs", "secret-org", key.prefix):
        assert hidden not in mine
    everything = text(signed_in(UserFactory(is_specialist=True)).get("/sources"))
    for shown in (unheard.name, "7,011 received", "secret-org", key.prefix):
        assert shown in everything


def test_supervisors_who_lead_nothing_may_not(org: Org, source: Source) -> None:
    client = signed_in(supervisor_of(org))
    assert client.get("/sources").status_code == 403
    assert 'href="/sources"' not in client.get("/").content.decode()


def test_no_source_yet(lead: User) -> None:
    assert "No source yet" in text(signed_in(lead).get("/sources"))


def test_the_badge_counts_sources_with_an_alarm(org: Org, lead: User, source: Source) -> None:
    client = signed_in(lead)
    assert "source needs a look" not in client.get("/preferences").content.decode()
    alarm(source, "silent_source")
    alarm(SourceFactory(), "silent_source")
    assert "1 source needs a look" in client.get("/preferences").content.decode()


# --- the API ---------------------------------------------------------------------------------------------------------


def listed(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/api/sources{query}")
    assert answer.status_code == 200
    return answer.json()["results"]  # type: ignore[no-any-return]


def test_the_api_tells_the_same(org: Org, source: Source) -> None:
    minute(source, 2, created=9, duplicate=1, lag_ms=4_500, events=4, with_confidence=3)
    heard(source)
    client = with_key(org, "read", source=source)
    assert listed(client) == [
        {
            "org_id": org.external_id,
            "source": "chatbot back end",
            "kind": "api",
            "last_heard_at": NOW.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "state": "heard",
            "rejecting": False,
            "rate_per_minute": 2.0,
            "lag_ms": 500,
            "counts": {"created": 9, "duplicate": 1, "conflict": 0, "invalid": 0, "not_understood": 0},
            "with_confidence_pct": 75.0,
        }
    ]


def test_the_api_shows_no_foreign_source_and_narrows_to_an_org(org: Org, source: Source) -> None:
    platform, other = SourceFactory(org=None, name="Platform"), OrgFactory()
    SourceFactory(org=other, name="foreign")
    minute(platform, org=org, created=1)
    minute(platform, org=other, created=2)
    heard(platform, org=org)
    key = with_key(org, "read", source=source)
    assert [(one["source"], one["org_id"]) for one in listed(key)] == [
        ("Platform", None),
        ("chatbot back end", org.external_id),
    ]
    assert listed(key)[0]["counts"]["created"] == 1
    everybody = with_key(None, "read", source=platform)
    assert {one["source"] for one in listed(everybody)} == {"Platform", "chatbot back end", "foreign"}
    assert [one["counts"]["created"] for one in listed(everybody, f"?org_id={org.external_id}")] == [1, 0]
    assert key.get(f"/api/sources?org_id={other.external_id}").status_code == 404
    assert key.get("/api/sources?state=heard").status_code == 422
    assert key.post("/api/sources").status_code == 403


def test_the_api_pages(org: Org) -> None:
    for _ in range(3):
        SourceFactory(org=org, name=f"same name {_}")
    client = with_key(org, "read", source=SourceFactory(org=org, name="z"))
    first = client.get("/api/sources?limit=2").json()
    rest = client.get(first["next"]).json()
    assert [one["source"] for one in first["results"] + rest["results"]] == [
        "same name 0", "same name 1", "same name 2", "z",
    ]  # fmt: skip
