"""The live board, reach, dead pushes, preferences: who sees what, filters, the three kinds of empty."""

import gzip
import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.conf import settings
from django.db import connection
from django.template import Context, Template
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape, strip_tags

from alerts import actions
from alerts.models import Alert
from console.live.kept_rows import kept_rows
from console.live.rows import render_rows
from console.pages.board import median, strip
from console.pages.board import query as board
from orgs import clock as database_clock
from orgs.models import Org, SourceHeard
from tests.api_client import signed_in, supervisor_of
from tests.factories import (
    AlertFactory,
    RoomFactory,
    SourceFactory,
    UserFactory,
    without_limits,
)
from tests.scene import Scene, pushes_are_sent


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    return Scene(without_limits(org))


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(response.content.decode()))


def rows(response: Any) -> list[str]:
    """The ids of the rows on a page, in order."""
    return re.findall(r'id="row-([0-9a-f-]+)"', response.content.decode())


def test_signed_out_people_are_sent_to_the_log_in(db: None) -> None:
    for path in ("/", "/reach", "/pushes", "/preferences", "/alerts/01a20077-96ea-7003-b3c5-ea621895e9c8"):
        response = Client().get(path)
        assert (response.status_code, response.url) == (302, f"/accounts/login/?next={path}")


def test_a_supervisor_sees_the_alerts_of_their_orgs_and_no_others(org: Org) -> None:
    mine, foreign = AlertFactory(org=org), AlertFactory()
    page = signed_in(supervisor_of(org)).get("/")
    assert rows(page) == [str(mine.pk)]
    assert foreign.org.name not in page.content.decode()
    assert "1 alert needs a human" in text(page)
    everything = signed_in(UserFactory(is_specialist=True)).get("/")
    assert set(rows(everything)) == {str(mine.pk), str(foreign.pk)}


@pytest.mark.parametrize("broken", [{"signals": [{"nonsense": 1}]}, {"signals": "text"}, {"severity": "purple"}])
def test_an_alert_that_cannot_be_shown_hides_no_other(scene: Scene, broken: dict[str, Any]) -> None:
    scene.fails(room="broken")
    scene.fails(room="sound", room_label="Ibu Sari")
    Alert.objects.filter(room__room_id="broken").update(**broken)
    shown = signed_in(scene.people[0])
    for address in ("/", "/?partial=feed"):
        assert len(rows(shown.get(address))) == 1
    assert "sound" in [one["room_id"] for one in shown.get("/api/alerts").json()["results"]]


def test_a_row_says_what_fails_how_long_who_and_what_to_tap(scene: Scene) -> None:
    scene.fails(room_label="Ibu Sari", channel="WhatsApp", agent_version="2.9.1")
    pushes_are_sent()
    page = text(signed_in(scene.people[0]).get("/"))
    for piece in ("Critical", "Agent error", "Ibu Sari", "Agent error ×1", "Billing Bot 2.9.1", "WhatsApp"):
        assert piece in page
    assert "Nobody yet" in page
    assert "first failure in this room." in page
    assert "Open room" in page
    assert "Take it" in page


def test_groups_follow_the_state_and_the_worst_comes_first(scene: Scene) -> None:
    scene.fails("message_cap", room="warn")
    scene.fails(room="late", ago=400)
    scene.fails(room="new")
    scene.fails(room="taken")
    actions.take(scene.alert("taken").pk, scene.people[1])
    page = signed_in(scene.people[0]).get("/")
    assert rows(page) == [str(scene.alert(room).pk) for room in ("late", "new", "warn", "taken")]
    waiting = signed_in(scene.people[0]).get("/?tab=waiting")
    assert rows(waiting) == rows(page)[:3]
    assert rows(signed_in(scene.people[0]).get("/?tab=on-it")) == rows(page)[3:]


def test_over_target_and_nobody_on_it_is_solid(scene: Scene) -> None:
    scene.fails(room="late", ago=301)
    scene.fails(room="new", ago=10)
    html = signed_in(scene.people[0]).get("/").content.decode()
    assert html.count("lm-row--late") == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("severity=critical", ["a"]),
        ("severity=warning", ["b"]),
        ("severity=loud", ["a", "b"]),
        ("agent=Card Helper", ["b"]),
        ("signal=message_cap", ["b"]),
        ("q=ibu sari", ["a"]),
        ("q=B", ["b", "a"]),
        ("mine=1", ["b"]),
        ("org=nowhere", []),
        ("q=%20", ["a", "b"]),
        ("severity=critical&agent=Card Helper", []),
    ],
)
def test_filters_in_the_address(scene: Scene, query: str, expected: list[str]) -> None:
    scene.fails(room="a", room_label="Ibu Sari")
    scene.fails("message_cap", room="b", agent_name="Card Helper")
    actions.take(scene.alert("b").pk, scene.people[0])
    page = signed_in(scene.people[0]).get(f"/?{query}")
    assert sorted(rows(page)) == sorted(str(scene.alert(room).pk) for room in expected)


def test_the_three_kinds_of_empty(scene: Scene) -> None:
    client = signed_in(scene.people[0])
    assert "No data yet" in text(client.get("/"))
    SourceHeard.objects.create(org=scene.org, source=scene.source, at=database_clock.now())
    assert "Nobody is waiting" in text(client.get("/"))
    scene.fails()
    filtered = text(client.get("/?severity=info"))
    assert "Nothing matches these filters" in filtered
    assert "1 alert is hidden by: Info. 1 of them waits for a human." in filtered


def test_a_silent_source_is_no_good_news(scene: Scene) -> None:
    SourceHeard.objects.create(org=scene.org, source=scene.source, at=database_clock.now() - timedelta(hours=1))
    page = text(signed_in(scene.people[0]).get("/"))
    assert "No source has sent anything for 1 h, so this board cannot say that all is well." in page


def test_groups_show_a_part_and_say_how_much_is_left(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "GROUP_LIMIT", 2)
    for n in range(5):
        scene.fails(room=f"r{n}")
    page = signed_in(scene.people[0]).get("/?limit=2")
    assert len(rows(page)) == 2
    assert "Show 3 more" in text(page)
    assert len(rows(signed_in(scene.people[0]).get("/?limit=4"))) == 4


def test_resolved_alerts_page_by_cursor_without_gap_or_repeat(
    org: Org, monkeypatch: pytest.MonkeyPatch, system: None
) -> None:
    monkeypatch.setattr(board, "PAGE", 2)
    now = database_clock.now()
    made = [
        AlertFactory(
            org=org, state="resolved", resolved_at=now, last_event_at=now - timedelta(minutes=n // 2), updated_at=now
        )
        for n in range(5)
    ]
    client, seen, path = signed_in(supervisor_of(org)), [], "/?tab=resolved"
    while path:
        page = client.get(path)
        seen += rows(page)
        older = re.search(r'href="(\?[^"]*cursor=[^"]*)">Older', page.content.decode())
        path = "/" + older[1].replace("&amp;", "&") if older else ""
    assert len(seen) == 5
    assert set(seen) == {str(alert.pk) for alert in made}
    assert client.get("/?tab=resolved&cursor=rubbish").status_code == 200


def test_what_was_just_resolved_shows_however_old_it_is(org: Org, system: None) -> None:
    """Abandoned after a day, or resolved by a human who came late: newest end first."""
    now = database_clock.now()
    ends = {"opened days ago": (40, 1), "ended before": (1, 2), "no longer new": (1, 20)}
    made = {
        name: AlertFactory(
            org=org, state="resolved", opened_at=now - timedelta(hours=hours), resolved_at=now - timedelta(minutes=ago)
        )
        for name, (hours, ago) in ends.items()
    }
    client = signed_in(supervisor_of(org))
    page = client.get("/")
    assert rows(page) == [str(made[name].pk) for name in ("opened days ago", "ended before")]
    assert re.search(r'data-tab="resolved"[^>]*>Resolved <span[^>]*>2</span>', page.content.decode())
    assert rows(client.get("/?tab=resolved")) == [str(alert.pk) for alert in made.values()]
    Alert.objects.exclude(pk=made["opened days ago"].pk).delete()
    Alert.objects.update(resolved_at=now - timedelta(minutes=16))
    SourceHeard.objects.create(org=org, source=SourceFactory(org=org), at=now)
    assert "The last alert ended 16 min ago" in text(client.get("/"))


def test_a_signal_of_an_earlier_episode_is_not_what_it_fails_by_now(org: Org) -> None:
    old = AlertFactory(org=org).signals
    alert = AlertFactory(org=org, episode=2, signals=[*old, {**old[0], "signal": "message_cap", "episode": 2}])
    client = signed_in(supervisor_of(org))
    assert rows(client.get("/?signal=message_cap")) == [str(alert.pk)]
    assert str(alert.pk) not in rows(client.get("/?signal=unexpected_handoff"))


def test_mine_is_what_i_have_not_what_i_gave_away(scene: Scene) -> None:
    scene.fails()
    actions.take(scene.alert().pk, scene.people[0])
    first, second = (signed_in(person) for person in scene.people)
    assert (len(rows(first.get("/?mine=1"))), len(rows(second.get("/?mine=1")))) == (1, 0)
    actions.assign(scene.alert().pk, scene.people[0], scene.people[1])
    assert (len(rows(first.get("/?mine=1"))), len(rows(second.get("/?mine=1")))) == (0, 1)


def test_a_board_of_many_rows_costs_no_query_more(scene: Scene, django_assert_max_num_queries: Any) -> None:
    client = signed_in(scene.people[0])
    for n in range(3):
        scene.fails(room=f"r{n}")
    client.get("/")
    _as_if_new()
    with django_assert_max_num_queries(37) as few:
        client.get("/")
    for n in range(20):
        scene.fails(room=f"more-{n}")
    _as_if_new()
    with django_assert_max_num_queries(len(few.captured_queries)):
        client.get("/")


def _as_if_new() -> None:
    """As if this process had not shown the board before."""
    kept_rows.clear()
    median.shared_medians.clear()


def test_partials_are_the_same_rows(scene: Scene) -> None:
    scene.fails()
    client = signed_in(scene.people[0])
    feed = client.get("/?partial=feed")
    assert rows(feed) == [str(scene.alert().pk)]
    assert "<html" not in feed.content.decode()
    assert feed["Cache-Control"] == "no-store"
    assert "1 alert needs a human" in text(client.get("/?partial=head"))


def test_rendered_rows_hold_shared_facts_only(scene: Scene) -> None:
    """The same bytes for everybody: no token, no "you"."""
    scene.fails()
    actions.take(scene.alert().pk, scene.people[0])
    (english,) = render_rows([scene.alert().pk], ["en"])["en"].values()
    assert (english.org_id, english.version, english.open) == (scene.org.pk, scene.alert().version, True)
    assert "csrf" not in english.html
    assert scene.people[0].sso_id in english.html
    (indonesian,) = render_rows([scene.alert().pk], ["id"])["id"].values()
    assert "Buka percakapan" in indonesian.html
    assert render_rows([], ["en"]) == {"en": {}}


def test_many_rows_are_rendered_with_few_queries(scene: Scene, django_assert_max_num_queries: Any) -> None:
    for n in range(10):
        scene.fails(room=f"r{n}")
    with django_assert_max_num_queries(5):
        assert len(render_rows([a.pk for a in Alert.objects.all()], ["en", "id"])["id"]) == 10


def test_names_are_inert(scene: Scene) -> None:
    """Fault 36."""
    evil = "<img src=x onerror=alert(1)>"
    scene.org.show_customer_text = True
    scene.org.save()
    scene.fails(room_label=evil, last_customer_text=evil, agent_name=evil, room=evil, channel=evil)
    client = signed_in(scene.people[0])
    for path in ("/", f"/alerts/{Alert.objects.get().pk}", "/?q=<script>"):
        page = client.get(path)
        assert "<img src=x" not in page.content.decode()
        assert "<script>alert" not in page.content.decode()
        policy = page["Content-Security-Policy"]
        assert "unsafe" not in policy


def test_every_icon_is_in_the_sprite() -> None:
    """Icons named in templates, code and scripts; the sprite holds those and no others."""
    sprite = set(re.findall(r'<symbol id="i-([a-z0-9-]+)"', (settings.BASE_DIR / "templates/_sprite.html").read_text()))
    files = [*settings.BASE_DIR.glob("templates/**/*.html"), *settings.BASE_DIR.glob("console/**/*.py")]
    files += [*settings.BASE_DIR.glob("orgs/signals/*.py"), *settings.BASE_DIR.glob("static/js/*.js")]
    texts = "".join(path.read_text() for path in files if path.name != "_sprite.html")
    named = set(re.findall(r'{% icon "([a-z0-9-]+)"', texts)) | set(re.findall(r"#i-([a-z0-9-]+)", texts))
    assert named <= sprite
    assert {name for name in sprite if f'"{name}"' not in texts and f"#i-{name}" not in texts} == set()


def test_health_is_never_green_without_data() -> None:
    assert strip.judge_agent(0, 100, True) == "healthy"
    assert strip.judge_agent(0, 100, False) == "no_data"
    assert strip.judge_agent(0, 19, True) == "no_data"
    assert strip.judge_agent(10, 21, False) == "degraded"
    assert strip.judge_agent(9, 21, True) == "healthy"


def test_tiles_compare_with_the_same_hour_of_the_days_before(scene: Scene, clock: Any) -> None:
    for day in range(1, 8):
        clock.advance(days=-day)
        for n in range(3):
            scene.fails("low_confidence", room=f"d{day}-{n}")
        clock.advance(days=day)
    SourceHeard.objects.create(org=scene.org, source=scene.source, at=database_clock.now())
    (tile,) = strip.tiles([scene.org.pk], database_clock.now())
    assert (tile.state, tile.n, tile.usual_per_hour, tile.now_per_hour) == ("healthy", 21, 3.0, 0)
    for n in range(10):
        scene.fails(room=f"now-{n}")
    (tile,) = strip.tiles([scene.org.pk], database_clock.now())
    assert (tile.state, tile.now_per_hour, tile.open_alerts) == ("degraded", 10, 31)


def test_what_was_usual_is_read_once_a_minute(scene: Scene) -> None:
    for n in range(21):
        scene.fails("low_confidence", room=f"d{n}")
    now = database_clock.now().replace(second=0, microsecond=0) + timedelta(days=1, minutes=1)
    asked, usual = [], []
    for seconds in (0, 59, 60):
        with CaptureQueriesContext(connection) as queries:
            (tile,) = strip.tiles([scene.org.pk], now + timedelta(seconds=seconds))
        asked.append(len(queries))
        usual.append(tile.n)
    assert usual == [21, 21, 21]
    assert asked[0] == asked[1] + 1 == asked[2]


def test_a_tile_takes_the_colour_of_what_is_open_now(scene: Scene) -> None:
    """An agent whose usual is unknown and whose source is silent, with failures and open alerts: no "No data"."""
    for n in range(3):
        scene.fails(room=f"r{n}")
    (tile,) = strip.tiles([scene.org.pk], database_clock.now())
    assert (tile.state, tile.blind, tile.tone, tile.critical, tile.open_alerts) == ("no_data", True, "crit", 3, 3)
    head = signed_in(scene.people[0]).get("/?partial=head")
    assert "lm-tile--crit" in head.content.decode()
    assert "3 critical 3 failures per hour usual unknown: n 0 of 20 · no runs are sent 3 open" in text(head)
    assert "No data" not in text(head)
    for n in range(3):
        actions.snooze(scene.alert(f"r{n}").pk, scene.people[0], database_clock.now() + timedelta(hours=1))
    (tile,) = strip.tiles([scene.org.pk], database_clock.now())
    assert (tile.tone, tile.silent) == ("none", False)
    assert "Nothing to compare with yet" in text(signed_in(scene.people[0]).get("/?partial=head"))


def test_snoozed_alerts_stand_apart_and_need_no_human(scene: Scene) -> None:
    scene.fails(room="held", ago=400)
    scene.fails(room="asleep", ago=400)
    client = signed_in(scene.people[0])
    until = database_clock.now() + timedelta(hours=1)
    actions.snooze(scene.alert("asleep").pk, scene.people[0], until)
    page = client.get("/")
    html = page.content.decode()
    assert "1 alert needs a human" in text(page)
    assert "1 customer waiting" in text(page)
    assert '<details class="lm-part" data-group="snoozed"' in html
    assert "Snoozed or silenced 1 alert" in text(page)
    assert html.count("lm-row--late") == 1
    assert re.search(r"data-waiting-count[^>]*>1<", html)
    assert re.search(r'data-count="waiting"[^>]*>1<', html)
    assert rows(client.get("/?tab=snoozed")) == [str(scene.alert("asleep").pk)]
    assert client.get("/?partial=counts&severity=critical").json() == {
        "waiting": 1,
        "on-it": 0,
        "snoozed": 1,
        "resolved": 0,
        "folded": {},
    }
    client.post(f"/alerts/{scene.alert('asleep').pk}/wake")
    assert "2 alerts need a human" in text(client.get("/"))


def test_a_group_goes_on_at_a_cursor_without_gap_or_repeat(org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    now = database_clock.now()
    made = [
        AlertFactory(org=org, severity=("critical", "info")[n % 2], opened_at=now - timedelta(microseconds=n // 2))
        for n in range(5)
    ]
    client, seen, path = signed_in(supervisor_of(org)), [], "/?tab=waiting&limit=2"
    while path:
        page = client.get(path)
        seen += rows(page)
        following = re.search(r'data-group="waiting" data-following="([^"]+)"', page.content.decode())
        path = f"/?tab=waiting&limit=2&cursor={following[1]}" if following else ""
    assert len(seen) == 5
    assert set(seen) == {str(alert.pk) for alert in made}
    assert client.get("/?tab=waiting&cursor=rubbish").status_code == 200


def test_fifty_rows_are_few_elements_and_a_full_board_is_a_small_page(org: Org, system: None) -> None:
    """However many are open, and whatever the address asks for."""
    now = database_clock.now()
    person = supervisor_of(org)
    on_it = {"state": "acknowledged", "acknowledged_by": person, "acknowledged_at": now}
    for n in range(60):
        waits = {"customer_waiting_since": now - timedelta(seconds=n)}
        AlertFactory(org=org, room__label=f"Customer {n}", room__channel="WhatsApp", **waits)
        if n < 50:
            AlertFactory(org=org, room__label=f"Held {n}", room__channel="WhatsApp", **on_it)
        if n < 25:
            AlertFactory(org=org, state="resolved", resolved_at=now, resolved_by=person)
    html = signed_in(person).get("/?limit=400").content.decode()
    parts = html.split('class="lm-part"')[1:]
    assert [len(re.findall('id="row-', part)) for part in parts] == [50, 50, 0, 25]
    for part in parts[:2]:
        listed = part[part.index('<ul class="lm-rows">') : part.index("</ul>")]
        assert len(re.findall(r"<[a-z]", listed)) <= 1500
    assert len(gzip.compress(html.encode(), 6)) <= 30_000


def test_people_without_an_org_are_told_what_to_do(db: None) -> None:
    page = text(signed_in(UserFactory()).get("/"))
    assert "You back up no agent yet." in page
    assert "There is no org yet." in text(signed_in(UserFactory(is_specialist=True)).get("/"))


@pytest.mark.parametrize(
    "path",
    ["/reach", "/duty", "/sources", "/silences", "/settings/policy", "/walls", "/sources/webhooks/new", "/agents"],
)
def test_every_page_of_a_new_installation_says_what_to_do_first(db: None, path: str) -> None:
    """Mutation: the menu leads to a 404, or to a form with an empty list of orgs."""
    page = signed_in(UserFactory(is_specialist=True)).get(path)
    assert page.status_code == 200
    main = page.content.decode().split("<main")[1].split("</main>")[0]
    assert f'href="{reverse("setup_new")}"' in main and "<select" not in main


def test_the_clock_shows_a_room_nobody_came_to(scene: Scene) -> None:
    scene.fails("unexpected_handoff")
    assert "Handed off, nobody came" in text(signed_in(scene.people[0]).get("/"))


def test_nobody_to_tell_is_on_screen(org: Org, system: None) -> None:
    lonely = Scene(org, staff=0)
    lonely.fails()
    page = text(signed_in(UserFactory(is_specialist=True)).get("/"))
    assert "Nobody can be told" in page
    assert "No supervisor backs up Billing Bot." in page


def test_sources_and_rooms_of_others_add_nothing(org: Org) -> None:
    SourceFactory()
    RoomFactory()
    assert "No data yet" in text(signed_in(supervisor_of(org)).get("/"))


def test_an_address_with_a_key_is_djangos_own() -> None:
    """A UUID is put between the two ends of its address; of anything else Django looks for the route."""
    ours = Template('{% load lm %}{% url "alert" key %} {% url "replay" key %} {% url "board" %}')
    for key in (uuid4(), UUID(int=0), UUID(int=2**128 - 1), uuid4()):
        said = " ".join([reverse("alert", args=[key]), reverse("replay", args=[key]), reverse("board")])
        assert ours.render(Context({"key": key})) == said
    other = Template('{% load lm %}{% url "test_push" who %}')
    assert other.render(Context({"who": "a&b"})) == escape(reverse("test_push", args=["a&b"]))
    with pytest.raises(NoReverseMatch):
        ours.render(Context())
