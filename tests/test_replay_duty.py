"""Played again, who comes on duty is told by a digest of what is open then, under either policy."""

from datetime import UTC, timedelta

import pytest
from django.db import transaction
from django_scopes import scopes_disabled

from alerts import actions
from alerts.models import DigestAlert, Push
from alerts.replay.figures import figures_of, not_reproduced
from orgs.models import Assignment, Org
from tests.test_replay import Past, changed, play, policy_of

pytestmark = pytest.mark.django_db


def duty(begin, end):
    """Every day between these times, UTC."""
    return [{"days": [1, 2, 3, 4, 5, 6, 7], "from": f"{begin:%H:%M}", "to": f"{end:%H:%M}"}]


class Watches(Past):
    """A past of an org in which one of the two people of the first tier comes on duty an hour later."""

    def __init__(self):
        super().__init__()
        Org.objects.filter(pk=self.org.pk).update(zone="UTC")
        self.starts = (self.begin + timedelta(hours=1)).replace(second=0, microsecond=0).astimezone(UTC)
        self.late = self.people[1]
        watch = duty(self.starts, self.starts + timedelta(hours=6))
        Assignment.objects.filter(user=self.late).update(duty=watch)
        self.sweep()

    def sweep(self):
        self.tick()
        actions.sweep_timers()
        self.tick()
        self.send()

    def comes_on_duty(self, seconds_later=3):
        """The sweep comes a moment after the duty began; the digest goes when it is due."""
        self.passes((self.starts - self.now).total_seconds() + seconds_later)
        self.sweep()
        self.tick(seconds=40)
        self.sweep()

    def digests(self):
        rows = Push.objects.filter(kind="digest", supervisor=self.late).exclude(body="")
        return sorted(rows.values_list("planned_at", "reason"))


def digests(played, person):
    found = [one for one in played.memory.digests if one.supervisor_id == person.pk and one.body]
    return sorted((one.planned_at, one.reason) for one in found)


def test_who_came_on_duty_is_told_again_at_the_same_time(db):
    with transaction.atomic(), scopes_disabled():
        past = Watches()
        past.tell([("fails", "room-1", "agent_error"), ("fails", "room-2", "message_cap")])
        past.comes_on_duty()
        assert {reason for _, reason in past.digests()} == {"on_duty"}
        played, history = play(past)
        assert digests(played, past.late) == past.digests()
        named = {pk for one in played.memory.digests for pk in played.memory.names[one.id]}
        assert named == set(DigestAlert.objects.exclude(named=False).values_list("alert_id", flat=True))
        assert not_reproduced(played, history) == 0
        transaction.set_rollback(True)


def test_under_another_policy_too_when_their_duty_begins(db):
    with transaction.atomic(), scopes_disabled():
        past = Watches().tell([("fails", "room-1", "agent_error")])
        past.comes_on_duty()
        then, _ = play(past, policy_of(past.org, repeat_minutes=[300]))
        assert digests(then, past.late) == [(past.starts + timedelta(seconds=30), "on_duty")]
        transaction.set_rollback(True)


def test_what_nobody_could_be_told_of_is_told_to_who_comes(db):
    with transaction.atomic(), scopes_disabled():
        past = Watches()
        Assignment.objects.filter(org=past.org).exclude(user=past.late).update(away_until=past.now + timedelta(hours=9))
        past.tell([("fails", "room-1", "message_cap")])
        past.comes_on_duty()
        now, history = play(past)
        assert not_reproduced(now, history) == 0
        assert digests(now, past.late) == past.digests() != []
        assert figures_of(now, history, {})["not_told"] == []
        transaction.set_rollback(True)


def test_nobody_is_told_of_what_is_over(db):
    with transaction.atomic(), scopes_disabled():
        past = Watches().tell([("fails", "room-1", "agent_error"), ("happens", "room-1", "resolved")])
        past.comes_on_duty()
        now, history = play(past)
        assert digests(now, past.late) == past.digests() == []
        assert not_reproduced(now, history) == 0
        transaction.set_rollback(True)


@pytest.mark.parametrize("away", [2, 1], ids=["all went home", "one is told"])
def test_a_tier_that_went_home_before_it_could_be_told_is_passed_again(db, away):
    """Off duty at the claim: the next tier was told at once, unless somebody of the tier was told, or will be."""
    with transaction.atomic(), scopes_disabled():
        past = Past()
        past.fails("room-1", "agent_error")
        past.tick()
        gone = Push.objects.filter(supervisor__in=past.people[:away])
        gone.update(state="cancelled", ended_reason="off_duty", ended_at=past.now, next_attempt_at=None)
        past.send()
        actions.sweep_timers()
        past.send()
        assert past.changed()[1:] == [] or away == 2
        played, history = play(past)
        assert changed(played) == past.changed()
        assert not_reproduced(played, history) == 0
        transaction.set_rollback(True)
