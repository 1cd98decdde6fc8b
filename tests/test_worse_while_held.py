"""What got worse while something held it is told when the hold ends: a push from before it got worse throttles nothing
of it. What is no worse than people were told stays throttled.
"""

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts import actions
from alerts.models import Alert, Push
from orgs import clock as database_clock
from orgs.models import QuietHours
from orgs.policies import save_policy
from orgs.policy_fields import POLICY_DEFAULTS, merged_policy
from tests.factories import AssignmentFactory
from tests.scene import Scene, pushes_are_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]


@pytest.fixture
def scene(clock: Any) -> Scene:
    """Throttled for two hours, with no repeat within them, so that only the end of a hold can tell."""
    scene = Scene(staff=1)
    says(scene)
    return scene


@pytest.fixture
def later(clock: Any) -> Any:
    def move(**parts: int) -> None:
        pushes_are_sent()
        clock.advance(**parts)
        while actions.sweep_timers():
            pass

    return move


def says(scene: Scene, **fields: Any) -> None:
    policy = {"throttle_minutes": 120, "repeat_minutes": [], **fields}
    save_policy(scene.org, None, merged_policy(POLICY_DEFAULTS, policy), None)


def silence(scene: Scene, minutes: int = 30) -> Any:
    ends = database_clock.now() + timedelta(minutes=minutes)
    return actions.make_silence(actions.AskedSilence(scene.org, ends, None, room_id="r1"), scene.people[0])


def told_of_info(scene: Scene, later: Any) -> None:
    scene.fails("low_confidence", confidence=0.1)
    assert scene.last_told() == ("first", "pending", "")
    later(seconds=20)


# --- silences ---


@pytest.mark.parametrize("how", ["ended", "over"])
def test_what_got_worse_in_a_silence_is_told_at_its_end(scene: Scene, later: Any, how: str) -> None:
    told_of_info(scene, later)
    made = silence(scene, minutes=2)
    scene.fails("agent_error")
    assert scene.last_told() == ("worsened", "skipped", "silenced")
    if how == "ended":
        actions.end_silence(made.pk, scene.people[0])
    else:
        later(minutes=2, seconds=1)
    assert scene.last_told() == ("silence_ended", "pending", "")


def test_what_is_no_worse_than_people_were_told_is_throttled_at_the_end(scene: Scene, later: Any) -> None:
    scene.fails("message_cap")
    later(seconds=20)
    made = silence(scene)
    scene.fails("low_confidence", confidence=0.1)
    later(minutes=6)  # what was silenced for so long is told of anyhow
    actions.end_silence(made.pk, scene.people[0])
    assert scene.last_told() == ("silence_ended", "skipped", "throttled")


def test_once_told_that_it_is_worse_nobody_is_told_again_within_the_throttle(scene: Scene, later: Any) -> None:
    told_of_info(scene, later)
    for _ in range(2):
        made = silence(scene)
        scene.fails("agent_error")
        later(minutes=6)
        actions.end_silence(made.pk, scene.people[0])
        later(seconds=1)
    assert [told for told in scene.told() if told[0] == "silence_ended"] == [
        ("silence_ended", "sent", ""),
        ("silence_ended", "skipped", "throttled"),
    ]


def test_an_acknowledge_from_before_it_got_worse_in_a_silence_does_not_keep_it_quiet(scene: Scene, later: Any) -> None:
    """As without the silence: who acknowledged it knows of less than it is now, and so do the others."""
    other = AssignmentFactory(org=scene.org, role=scene.role).user
    scene.fails("message_cap")
    later(seconds=20)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    made = silence(scene)
    scene.fails("agent_error")
    later(seconds=20)
    actions.end_silence(made.pk, scene.people[0])
    assert scene.alert().state == "acknowledged"
    for person in (scene.people[0], other):
        last = Push.objects.filter(supervisor=person, kind="alert").latest("occurrence")
        assert (last.reason, last.state, last.severity) == ("silence_ended", "pending", "critical")


def test_who_acknowledged_it_as_it_is_now_has_it(scene: Scene, later: Any) -> None:
    scene.fails("message_cap")
    later(seconds=20)
    made = silence(scene)
    scene.fails("agent_error")
    later(seconds=20)
    actions.acknowledge(scene.alert().pk, scene.people[0])
    actions.end_silence(made.pk, scene.people[0])
    assert [reason for reason, *_ in scene.told()] == ["first", "worsened"]


# --- the other holds ---


def test_what_got_worse_in_quiet_hours_is_told_when_they_end(scene: Scene, later: Any) -> None:
    says(scene, quiet_hours_pass=[])
    scene.fails("message_cap")
    assert scene.last_told() == ("first", "pending", "")
    later(seconds=20)
    here = database_clock.now().astimezone(ZoneInfo(scene.org.zone))
    begin, end = here - timedelta(minutes=5), here + timedelta(minutes=5)
    hours = [{"days": [1, 2, 3, 4, 5, 6, 7], "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}]
    QuietHours.objects.create(org=scene.org, user=scene.people[0], hours=hours)
    scene.fails("agent_error")
    assert scene.last_told() == ("worsened", "skipped", "quiet_hours")
    later(minutes=6)
    assert scene.last_told() == ("quiet_ended", "pending", "")


def test_what_got_worse_before_a_human_who_left_is_told_when_they_are_gone(scene: Scene, later: Any) -> None:
    says(scene, repeat_minutes=[1])
    told_of_info(scene, later)
    scene.happens("human_message", who=scene.people[0])
    scene.fails("agent_error")
    assert scene.alert().severity == "critical"
    assert [reason for reason, *_ in scene.told()] == ["first"]
    later(minutes=16)
    assert scene.changes()[-1][0] in ("expired", "repeated")
    assert scene.last_told()[:2] == ("repeat_due", "pending")


def test_what_got_worse_and_died_on_the_way_is_told_by_the_next_repeat(scene: Scene, later: Any) -> None:
    says(scene, repeat_minutes=[1])
    told_of_info(scene, later)
    scene.fails("agent_error")
    worse = Push.objects.filter(reason="worsened")
    worse.update(state="dead", ended_reason="gave_up", next_attempt_at=None)
    later(minutes=1, seconds=1)
    assert scene.told()[-2:] == [("worsened", "dead", "gave_up"), ("repeat_due", "pending", "")]


def test_what_fails_anew_and_worse_is_told_though_people_were_told_of_it_before(scene: Scene, later: Any) -> None:
    told_of_info(scene, later)
    actions.resolve(scene.alert().pk, scene.people[0])
    scene.fails("agent_error")
    assert scene.last_told() == ("rearmed", "pending", "")
    assert Alert.objects.get().episode == 2
