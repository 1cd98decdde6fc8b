"""Who is interrupted less in a storm comes no later: scripted supervisors, with the limits and without them."""

from datetime import UTC, datetime, timedelta

import pytest

from alerts import actions
from alerts.figures.counting import Span, count_span
from alerts.figures.metrics import TIME_TO_INTERVENE
from alerts.figures.units import AROUND_EPISODES
from alerts.models import Alert, Push
from orgs import clock as database_clock
from tests.factories import AssignmentFactory, SupervisorRoleFactory, without_limits
from tests.outbox import posts, sweep
from tests.scene import Scene
from tests.scripted import Supervisor
from tests.storm import ROOMS, STEP, fail_in_step
from tests.test_on_duty import Frozen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("system", "gate")]
LATER = 2 * STEP  # seconds, of a step when nothing fails any more
TWO_HOURS = 7_200


@pytest.fixture
def clock(db):
    """It stands still between two steps, so that an evening does not last longer on a slow machine."""
    frozen = Frozen()
    frozen.freeze(datetime.now(UTC))
    return frozen


class Evening:
    """A storm of ten minutes in an org of three supervisors, and what follows until nobody waits."""

    def __init__(self, standins, clock):
        self.standins, self.clock = standins, clock
        self.scene = Scene()
        lead = AssignmentFactory(org=self.scene.org, role=SupervisorRoleFactory(org=self.scene.org, tier=2)).user
        self.people = {one.sso_id: Supervisor(self.scene, one) for one in (*self.scene.people, lead)}
        self.heard = len(posts(standins))

    def play(self):
        """What the success figures say of it: how long each episode waited for a human."""
        began = database_clock.now()
        for step in range(60):
            fail_in_step(self.scene, step)
            self.step(STEP)
        for _ in range(TWO_HOURS // LATER):
            if Alert.objects.filter(org=self.scene.org, scope="room", state="open").exists():
                self.step(LATER)
        now = database_clock.now()
        span = Span([(self.scene.org.pk, began - timedelta(minutes=1), now, "UTC")], now, around=AROUND_EPISODES)
        return count_span([TIME_TO_INTERVENE], span)[TIME_TO_INTERVENE.name].of[None]

    def step(self, seconds):
        """What is due goes out, is heard, and done."""
        self.send()
        self.clock.advance(seconds=seconds)
        while actions.sweep_timers():
            pass
        self.send()
        for one in self.people.values():
            one.acts(database_clock.now())

    def send(self):
        if not Push.objects.filter(state="pending", next_attempt_at__lte=database_clock.now()).exists():
            return
        sweep()
        requests = posts(self.standins)
        for request in requests[self.heard :]:
            self.people[request["body"]["recipient"]["sso_id"]].hears(request["body"], database_clock.now())
        self.heard = len(requests)

    def told(self):
        return Push.objects.filter(org=self.scene.org, state="sent").count()


def test_people_who_are_interrupted_less_come_no_later(standins, clock):
    limited = Evening(standins, clock)
    with_limits = limited.play()
    unlimited = Evening(standins, clock)
    without_limits(unlimited.scene.org)
    without = unlimited.play()
    assert with_limits.curve.n >= ROOMS and without.curve.n >= ROOMS
    for share in (0.5, 0.75):
        ours, before = (tally.curve.time(share).value for tally in (with_limits, without))
        assert ours is not None and before is not None and ours <= before, (share, ours, before)
    assert 5 * limited.told() < unlimited.told()
