"""The past played again through the same actions gives what was planned; under another policy something else."""

import contextlib
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from django.db import transaction
from django.db.models import Min
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from alerts import actions
from alerts.actions import timers
from alerts.actions.stored import stored
from alerts.delivery.digest import still_waiting, write_digests
from alerts.known import Known
from alerts.models import Alert, PolicyPreview, Push, Room, Transition
from alerts.replay import requests
from alerts.replay.basis import basis_of
from alerts.replay.figures import figures_of, not_reproduced
from alerts.replay.history import read_history
from alerts.replay.past import read_past
from alerts.replay.stage import Stage
from orgs import policies
from orgs.history import tracked
from orgs.models import Assignment, Policy
from tests.examples import at_most
from tests.test_state_machine import KINDS, ROOMS, SECONDS_AGO, SIGNALS, activity, failure, freeze, staffed_org

pytestmark = pytest.mark.django_db
ACTS = st.sampled_from(
    ["acknowledge", "take", "release", "resolve", "reopen", "open_room", "snooze", "wake", "assign", "undo"]
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fails"), ROOMS, SIGNALS, SECONDS_AGO),
        st.tuples(st.just("happens"), ROOMS, KINDS, SECONDS_AGO),
        st.tuples(st.just("acts"), ACTS, st.integers(0, 1), st.integers(0, 3)),
        st.tuples(st.just("passes"), st.sampled_from([1, 30, 61, 200, 301, 905, 1900, 4000]), st.integers(0, 90)),
        st.tuples(st.just("dies")),
    ),
    min_size=3,
    max_size=18,
)
numbers = itertools.count()


class Past:
    """A story told to the real actions, the clock under control; it moves on a little with every step."""

    def __init__(self, outage_rooms=0):
        self.begin = self.now = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
        freeze(self.now)
        self.org, self.source, self.people = staffed_org(outage_rooms)

    def tick(self, **parts):
        self.now += timedelta(**parts) if parts else timedelta(milliseconds=7)
        freeze(self.now)

    def tell(self, steps):
        for kind, *rest in steps:
            self.tick()
            getattr(self, kind)(*rest)
            self.send()
        self.tick()
        return self

    def fails(self, room, signal, ago=0, **facts):
        at = self.now - timedelta(seconds=ago)
        actions.record_events(self.source, [failure(self.org, room, signal, at, f"e{next(numbers)}", **facts)])

    def happens(self, room, kind, ago=0, who=0):
        at, sso_id = self.now - timedelta(seconds=ago), self.people[who].sso_id
        actions.record_activity(self.source, [activity(self.org, room, kind, at, f"a{next(numbers)}", sso_id)])

    def acts(self, act, who, which):
        alerts = list(Alert.objects.order_by("opened_at", "pk"))
        if not alerts or (act == "open_room" and alerts[which % len(alerts)].room_id is None):
            return
        extra = {"snooze": [self.now + timedelta(minutes=10)], "assign": [self.people[1]]}.get(act, [])
        with contextlib.suppress(actions.ActConflict):
            getattr(actions, act)(alerts[which % len(alerts)].pk, self.people[who], *extra)

    def passes(self, seconds, late=0):
        """Sweeps come whenever something is due, up to `late` seconds after it was."""
        until = self.now + timedelta(seconds=seconds)
        while (due := self.next_due(until)) is not None:
            self.now = max(self.now, due) + timedelta(seconds=late)
            self.tick()
            actions.sweep_timers()
            self.send()
        self.now = max(self.now, until)
        self.tick()
        self.send()

    def next_due(self, until):
        """The next timer of an alert, or human who will have stalled in a room."""
        due = [model.objects.filter(due_at__lt=until).values_list("due_at", flat=True) for model in (Alert, Room)]
        return min(itertools.chain(*due), default=None)

    def dies(self):
        Push.objects.filter(state="sent", kind="alert", planned_at__gt=self.now - timedelta(seconds=1)).update(
            state="dead", ended_reason="refused", ended_at=self.now, sent_at=None
        )

    def send(self):
        """What is due goes out a moment after it was planned."""
        self.tick()
        pending = Push.objects.filter(state="pending", next_attempt_at__lte=self.now)
        for digest in pending.filter(kind="digest"):
            if digests := {pk: some for pk, some in still_waiting([digest], Known(), self.now).items() if some}:
                write_digests(digests, self.now)
            else:
                pending.filter(pk=digest.pk).update(
                    state="cancelled", ended_reason="no_longer_needed", ended_at=self.now
                )
        pending.update(state="sent", sent_at=self.now, attempts=1)

    def planned(self):
        rows = Push.objects.exclude(state="skipped").filter(kind="alert")
        return sorted(rows.values_list("alert_id", "supervisor_id", "occurrence", "reason", "planned_at"))

    def changed(self):
        rows = Transition.objects.exclude(change__in=["verdict"]).order_by("at", "id")
        return sorted(rows.values_list("alert_id", "at", "change", "reason", "episode", "occurrence"))


def play(past, asked=None, since=None):
    since = since or past.begin
    history = read_history(past.org, since, past.now)
    known = read_past(past.org, history.begin, past.now, (since, asked) if asked else None)
    return Stage(history, known, asked=asked is not None, tick=lambda _: None).play(), history


def planned(played):
    rows = [(p.alert_id, p.supervisor_id, p.occurrence, p.reason, p.planned_at) for p in played.memory.pushes]
    return sorted(rows)


def changed(played):
    return sorted((t.alert_id, t.at, t.change, t.reason, t.episode, t.occurrence) for t in played.memory.transitions)


@pytest.mark.parametrize("outage_rooms", [0, 2])
@example(
    [("fails", "room-1", "unexpected_handoff", 601), ("happens", "room-1", "human_message", 1500), ("passes", 301, 78)]
)
@given(STEPS)
@settings(max_examples=at_most(12, usually=6), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_policy_that_held_plans_again_what_was_planned(db, outage_rooms, steps):
    with transaction.atomic(), scopes_disabled():
        past = Past(outage_rooms).tell(steps)
        played, history = play(past)
        assert changed(played) == past.changed()
        assert planned(played) == past.planned()
        assert not_reproduced(played, history) == 0
        transaction.set_rollback(True)


def policy_of(org, **said):
    """The policy that holds, and what is said beside it."""
    row = Policy.objects.get(org=org)
    return Policy(org=org, revision=0, limits={**row.limits, **said}, severities=row.severities)


def test_under_the_same_policy_swept_in_time_then_is_as_now(db):
    with transaction.atomic(), scopes_disabled():
        past = Past()
        past.tell([("fails", "room-1", "agent_error"), ("fails", "room-2", "message_cap"), ("passes", 1200, 0)])
        past.tell(
            [("acts", "take", 0, 0), ("passes", 1900, 0), ("happens", "room-2", "human_message"), ("passes", 4000, 0)]
        )
        then, _ = play(past, policy_of(past.org))
        now, history = play(past)
        assert len(planned(now)) > 12
        assert planned(then) == planned(now) == past.planned()
        assert figures_of(then, history, {}) == figures_of(now, history, {})
        transaction.set_rollback(True)


def test_an_org_that_is_younger_than_the_span_has_its_people_from_its_first_moment(db):
    """Made in one transaction, as by the form. Mutation: a preview of 7 days finds nobody to tell, in a day-old org."""
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("passes", 1200, 0)])
        made = tracked()[Assignment].objects.filter(org=past.org).aggregate(at=Min("pgh_created_at"))["at"]
        past.org.created_at = made
        then, _ = play(past, policy_of(past.org), since=past.begin - timedelta(days=7))
        assert len(planned(then)) > 4
        assert planned(then) == past.planned()
        transaction.set_rollback(True)


def test_another_policy_tells_less_and_says_of_whom_nobody_was_told(db):
    with transaction.atomic(), scopes_disabled():
        past = Past()
        past.tell([("fails", "room-1", "agent_error"), ("fails", "room-2", "low_confidence"), ("passes", 1200, 0)])
        quiet = policy_of(past.org, repeat_minutes=[60], low_confidence="digest")
        now, history = play(past)
        then, _ = play(past, quiet)
        was, would = figures_of(now, history, {}), figures_of(then, history, {})
        assert would["pushes"] < was["pushes"]
        assert not any(push.reason == "repeat_due" for push in then.memory.pushes)
        assert sum(one["pushes"] for one in was["by_hour"]) == was["pushes"]
        assert sum(one["pushes"] for one in was["by_person"]) == was["pushes"]
        assert was["escalations"] == would["escalations"] > 0
        transaction.set_rollback(True)


def test_what_a_policy_lets_pass_is_not_told_with_its_reason(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "low_confidence"), ("passes", 30, 0)])
        alert = Alert.objects.get()
        deaf = policy_of(past.org)
        deaf.confidence_threshold = 0.01
        then, history = play(past, deaf)
        assert figures_of(then, history, {})["not_told"] == [{"alert_id": str(alert.pk), "reason": "above_threshold"}]
        assert figures_of(then, history, {})["pushes"] == 0
        transaction.set_rollback(True)


def test_a_timer_decides_as_of_when_it_was_due_unless_it_is_a_minute_late(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "message_cap")])
        due = Alert.objects.get().due_at
        past.tell([("passes", 320, 40)])
        first = Transition.objects.filter(change="repeated").get()
        assert first.at == due < first.swept_at
        assert set(Push.objects.filter(occurrence=2).values_list("planned_at", flat=True)) == {due}
        past.passes(1200, 61)
        late = Transition.objects.filter(change="repeated").last()
        assert late.at == late.swept_at
        transaction.set_rollback(True)


def test_a_play_writes_nothing(db, django_assert_num_queries):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("passes", 400, 0)])
        before = [list(model.objects.order_by("pk").values()) for model in (Alert, Push, Transition, Policy)]
        history = read_history(past.org, past.begin, past.now)
        known = read_past(past.org, history.begin, past.now, (past.begin, policy_of(past.org)))
        with django_assert_num_queries(0):
            Stage(history, known, asked=True, tick=lambda _: None).play()
        assert [list(model.objects.order_by("pk").values()) for model in (Alert, Push, Transition, Policy)] == before
        assert type(stored()).__name__ == "Stored"
        transaction.set_rollback(True)


def plays_again(past):
    """What is played of it is what was planned."""
    played, history = play(past)
    assert changed(played) == past.changed()
    assert planned(played) == past.planned()
    assert not_reproduced(played, history) == 0


def test_the_outage_of_a_source_is_the_same_alert_again(db):
    with transaction.atomic(), scopes_disabled():
        past = Past(outage_rooms=2)
        for place in range(3):
            past.tick()
            past.fails(f"room-{place}", "agent_error", agent_name=f"bot {place}")
            past.send()
        plays_again(past)
        outage = Alert.objects.get(scope="source")
        assert Push.objects.filter(alert=outage).exists()
        past.tell([("passes", 1900, 0)])
        plays_again(past)
        transaction.set_rollback(True)


def held_on(monkeypatch):
    """The times at which a replay held a room on without a book."""
    times, stays_held = [], timers.stays_held

    def held(alert, outage, policy, now, otherwise):
        otherwise = stays_held(alert, outage, policy, now, otherwise)
        times.extend([now] if otherwise else [])
        return otherwise

    monkeypatch.setattr(timers, "stays_held", held)
    return times


def test_a_room_under_an_outage_that_goes_on_is_held_as_long(db, monkeypatch):
    with transaction.atomic(), scopes_disabled():
        past, times = Past(outage_rooms=2), held_on(monkeypatch)
        past.tell([("fails", "room-1", "agent_error"), ("happens", "room-1", "customer_message")])
        for room in ("room-2", "room-3", "room-4"):
            past.tell([("fails", room, "agent_error"), ("passes", 500, 0)])
        past.tell([("acts", "take", 0, 1), ("passes", 4000, 0), ("passes", 24 * 3600, 0)])
        plays_again(past)
        assert len(times) > 3
        then, _ = play(past, policy_of(past.org))
        assert planned(then) == past.planned()
        transaction.set_rollback(True)


def test_what_is_due_beside_what_an_outage_holds_is_done(db):
    with transaction.atomic(), scopes_disabled():
        past = Past(outage_rooms=2)
        past.tell([("fails", "room-1", "agent_error"), ("fails", "room-2", "agent_error")])
        past.tell([("fails", "room-3", "unexpected_handoff"), ("passes", 400, 200)])
        assert ("worsened", "held_by_agent_outage") in {row[2:4] for row in past.changed()}
        plays_again(past)
        transaction.set_rollback(True)


@pytest.mark.parametrize("rooms", [2, 0])
def test_holding_a_room_on_without_a_book_comes_to_the_same(db, monkeypatch, rooms):
    with transaction.atomic(), scopes_disabled():
        past, times = Past(outage_rooms=2), held_on(monkeypatch)
        past.tell([("fails", "room-1", "agent_error"), ("fails", "room-2", "agent_error"), ("passes", 400, 0)])
        past.tell([("fails", "room-3", "agent_error"), ("passes", 290, 0)])
        draft, since = policy_of(past.org, outage={"rooms": rooms}), past.now
        past.tell([("fails", "room-4", "agent_error"), ("passes", 4000, 0)])
        short, _ = play(past, draft, since)
        assert bool([at for at in times if at > since]) == bool(rooms)
        assert [at for at in times if at <= since]
        monkeypatch.setattr(Stage, "_stays_held", lambda *about: False)
        long, _ = play(past, draft, since)
        assert (changed(short), planned(short)) == (changed(long), planned(long))
        transaction.set_rollback(True)


def test_a_room_that_is_held_on_ends_as_what_happened_in_it_has_it(db, monkeypatch):
    with transaction.atomic(), scopes_disabled():
        past, times = Past(outage_rooms=2), held_on(monkeypatch)
        past.tell([("fails", "room-1", "agent_error"), ("happens", "room-1", "customer_message")])
        past.tell([("fails", "room-2", "agent_error"), ("passes", 400, 0)])
        for room in ("room-3", "room-4", "room-5"):
            past.tell([("fails", room, "agent_error"), ("passes", 590, 0)])
        held = len(times)
        past.tell([("happens", "room-1", "bot_message")])  # nobody waits there any more
        for number in range(6, 12):
            past.tell([("fails", f"room-{number}", "agent_error"), ("passes", 590, 0)])
        plays_again(past)
        assert len(times) > held
        assert ("resolved", "quiet") in {row[2:4] for row in past.changed()}
        transaction.set_rollback(True)


def test_a_human_who_stalls_is_told_of_again(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("happens", "room-1", "human_message")])
        past.tell([("happens", "room-1", "customer_message")] * 2 + [("passes", 4000, 0)])
        assert "human_stalled" in {reason for _, _, _, reason, _, _ in past.changed()}
        plays_again(past)
        transaction.set_rollback(True)


def test_a_reply_window_that_closes_is_told_of_again(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "help_requested"), ("happens", "room-1", "customer_message")])
        past.tell([("passes", 23 * 3600, 0)])
        assert "window_closing" in {reason for _, _, _, reason, _, _ in past.changed()}
        plays_again(past)
        transaction.set_rollback(True)


def test_both_halves_come_to_the_same_in_two_processes_as_in_one(db, monkeypatch):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("passes", 1200, 0), ("acts", "take", 0, 0)])
        policy = policies.POLICY_DEFAULTS | {"repeat_minutes": [1, 2]}
        asked = PolicyPreview(org=past.org, policy=policy, since=past.begin, until=past.now)
        said = []
        in_turn = requests.play_preview(asked, lambda _: None)
        monkeypatch.setattr(requests, "WORTH_FORKING", 0)
        assert requests.play_preview(asked, said.append) == in_turn
        assert in_turn["now"] != in_turn["then"]
        assert said == sorted(said)
        assert 0.0 < said[0] < said[-1] <= 1.0
        transaction.set_rollback(True)


def test_another_draft_over_the_same_past_plays_one_half_only_until_something_changed(db, monkeypatch):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("passes", 1200, 0), ("acts", "take", 0, 0)])
        played = []
        play = Stage.play
        monkeypatch.setattr(Stage, "play", lambda stage: played.append(stage._asked) or play(stage))

        def preview(**changed):
            played.clear()
            about = {"since": past.begin, "until": past.begin + timedelta(minutes=30), "asked_at": past.now}
            policy = policies.POLICY_DEFAULTS | changed
            asked = PolicyPreview(org=past.org, policy=policy, expires_at=past.now, state="done", **about)
            asked.answer = requests.play_preview(asked, lambda _: None)
            asked.save()
            return asked.answer

        first = preview(repeat_minutes=[1, 2])
        assert played == [True, False]
        second = preview(severities={"agent_error": "info"})
        assert played == [True]
        assert (second["now"], second["not_reproduced"]) == (first["now"], first["not_reproduced"])
        assert second["then"] != first["then"]
        Push.objects.filter(kind="alert").update(push="no_token")  # what became of a push is heard later
        assert preview(severities={"agent_error": "info"})["now"]["interruptions"] < first["now"]["interruptions"]
        assert sorted(played) == [False, True]
        policies.save_policy(past.org, None, policies.POLICY_DEFAULTS | {"throttle_minutes": 1}, None)
        preview(severities={"agent_error": "info"})
        assert sorted(played) == [False, True]
        transaction.set_rollback(True)


def test_what_happens_after_a_span_changes_nothing_it_hangs_on(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error"), ("passes", 1200, 0), ("acts", "resolve", 0, 0)])
        until = past.now

        def basis():
            return basis_of(read_history(past.org, past.begin, until))

        before = basis()
        past.tell([("passes", 1, 0), ("fails", "room-1", "agent_error"), ("fails", "room-2", "agent_error")])
        past.tell([("happens", "room-2", "human_message")])
        policies.save_policy(past.org, None, policies.POLICY_DEFAULTS | {"throttle_minutes": 1}, None)
        changed = tracked()[Policy].objects.filter(org_id=past.org.pk).latest("pgh_id")
        assert basis() != before  # for the histories of the set-up, all this is one transaction of before
        changed.pgh_created_at = past.now
        changed.save()
        assert Alert.objects.filter(opened_at__gt=until).count() == 2
        assert basis() == before
        transaction.set_rollback(True)


def test_until_now_is_until_the_last_preview_of_as_many_days(db):
    with transaction.atomic(), scopes_disabled():
        past = Past()
        since, until = requests.span_of_days(past.org, 7)
        assert (since, until) == (past.now - requests.SETTLES - timedelta(days=7), past.now - requests.SETTLES)
        about = {"org": past.org, "policy": {}, "asked_at": past.now, "expires_at": past.now, "state": "done"}
        PolicyPreview.objects.create(since=since, until=until, **about)
        past.tick(minutes=14)
        assert requests.span_of_days(past.org, 7) == (since, until)
        assert requests.span_of_days(past.org, 1)[1] == past.now - requests.SETTLES
        past.tick(minutes=2)
        assert requests.span_of_days(past.org, 7)[1] == past.now - requests.SETTLES
        transaction.set_rollback(True)


def test_what_phones_read_once_somebody_has_it_counts_as_nothing(db):
    with transaction.atomic(), scopes_disabled():
        past = Past().tell([("fails", "room-1", "agent_error")])
        Push.objects.filter(kind="alert").update(push="queued")  # their phones showed it
        past.tell([("acts", "take", 0, 0)])
        assert Push.objects.filter(kind="revoke", state="sent").exclude(body="").exists()
        plays_again(past)
        transaction.set_rollback(True)
