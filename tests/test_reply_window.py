"""Until when a human may still write freely: shown, told of once before it closes, counted when it did."""

from datetime import timedelta

import pytest

from alerts import actions, figures
from alerts.models import Push
from alerts.window import channel_of
from orgs import clock as database_clock
from orgs.policies import save_policy
from orgs.policy_fields import POLICY_DEFAULTS, merged_policy
from tests.api_client import signed_in
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system")]


@pytest.fixture
def scene(clock):
    return Scene()


@pytest.fixture
def later(clock):
    def move(**parts):
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def waiting(scene, signal="agent_error", hours=1.0, channel="WhatsApp"):
    """The customer wrote so long ago, and now the agent fails them."""
    scene.happens("customer_message", ago=3600 * hours)
    scene.fails(signal, channel=channel)


def closings(scene):
    return scene.changes().count(("worsened", "window_closing"))


@pytest.mark.parametrize("channel", ["wa", "WA_cloud", "WhatsApp", " whatsapp "])
def test_every_spelling_of_whatsapp_is_one(channel):
    assert channel_of(channel) == "whatsapp"


@pytest.mark.parametrize("named", ["wa", "wa_cloud", "whatsapp"])
def test_a_policy_names_it_in_every_spelling_too(scene, named):
    hours = merged_policy(POLICY_DEFAULTS, {"reply_window_hours": {named: 12}})
    save_policy(scene.org, None, hours, None)
    waiting(scene, channel="WhatsApp")
    assert scene.alert().window_ends_at == scene.room().customer_last_at + timedelta(hours=12)


def test_it_ends_a_day_after_the_customers_last_message(scene):
    waiting(scene)
    alert = scene.alert()
    assert alert.window_ends_at == scene.room().customer_last_at + timedelta(hours=24)
    scene.happens("customer_message")
    assert scene.alert().window_ends_at == scene.room().customer_last_at + timedelta(hours=24)


@pytest.mark.parametrize("channel", ["Instagram", "web_chat", ""])
def test_other_channels_have_none(scene, later, channel):
    waiting(scene, channel=channel, hours=22.5)
    later(hours=2)
    assert (scene.alert().window_ends_at, closings(scene)) == (None, 0)


def test_without_a_message_of_theirs_there_is_no_clock(scene):
    scene.fails("agent_error", channel="wa")
    assert scene.alert().window_ends_at is None


def test_two_hours_before_it_is_one_step_worse_and_told_once_an_episode(scene, later):
    waiting(scene, "message_cap", hours=21.5)
    later(minutes=29)
    assert closings(scene) == 0
    later(minutes=1, seconds=5)
    assert (closings(scene), scene.alert().severity) == (1, "critical")
    assert scene.last_told()[:2] == ("window_closing", "pending")
    later(minutes=90)
    assert closings(scene) == 1


def test_it_breaks_a_throttle_and_a_snooze_and_tells_of_a_critical_one_too(scene, later):
    waiting(scene, hours=21.99)
    actions.snooze(scene.alert().pk, scene.people[0], database_clock.now() + timedelta(hours=3))
    later(minutes=2)
    assert (closings(scene), scene.alert().severity) == (1, "critical")
    assert scene.last_told() == ("window_closing", "pending", "")
    assert scene.alert().snoozed_until is None


def test_of_what_somebody_has_only_they_are_told(scene, later):
    _, bayu = scene.people
    waiting(scene, hours=21.99)
    actions.take(scene.alert().pk, bayu)
    later(minutes=2)
    told = Push.objects.filter(reason="window_closing").values_list("supervisor_id", flat=True)
    assert list(told) == [bayu.pk]
    assert scene.alert().state == "acknowledged"


def test_not_when_nobody_waits(scene, later):
    waiting(scene, hours=21.99)
    scene.happens("human_message", who=scene.people[0])
    later(hours=1)
    assert (closings(scene), scene.alert().window_ends_at) == (0, None)


def test_after_it_the_row_says_template_only_and_success_counts_it(scene, later):
    waiting(scene, hours=21.99)
    page = signed_in(scene.people[0])
    assert "left to reply freely" in page.get("/?tab=all").content.decode()
    later(minutes=2)
    later(hours=2)
    assert scene.changes()[-1][0] == "window_over" or ("window_over", "") in scene.changes()
    assert scene.alert().window_over_at == scene.alert().window_ends_at
    for path in ("/?tab=all", f"/alerts/{scene.alert().pk}"):
        shown = page.get(path).content.decode()
        assert "template only" in shown
        assert "left to reply freely" not in shown
    found = {one["metric"]: one for one in page.get("/api/success").json()["results"]}
    assert (found["lost_to_window_pct"]["value"], found["lost_to_window_pct"]["n"]) == (100, 1)
    assert "lost_to_window_pct" in figures.BY_NAME


def test_the_customer_writes_again_and_it_is_open_again(scene, later):
    waiting(scene, hours=21.99)
    later(hours=3)
    assert scene.alert().window_over_at is not None
    scene.happens("customer_message")
    alert = scene.alert()
    assert (alert.window_over_at, alert.window_ends_at > database_clock.now()) == (None, True)


def test_told_too_late_to_be_of_use_it_tells_nobody(scene, later):
    waiting(scene, hours=23.9)
    later(minutes=30)
    assert closings(scene) <= 1
    assert ("window_over", "") in scene.changes()
