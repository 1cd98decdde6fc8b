"""The outbox: a sweep claims due pushes, sends them and writes down what became of them.

The rows are the truth; a kick, a beat or the dispatcher only says "look now", and any number of sweeps may run at
once.
"""

import random
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from uuid import UUID

import structlog
from django.db import transaction
from django_scopes import scopes_disabled

from alerts import feed
from alerts.delivery.claim import Claim, claim
from alerts.delivery.finish import finish
from alerts.delivery.message import idempotency_key, push_body
from alerts.delivery.sender import PushSender
from alerts.models import Push
from orgs import clock
from orgs.models import Assignment, Org, Severity, User
from orgs.routing import Recipient

TESTS_AT_ONCE = 25  # people: a round shows each hop of each, and every one of them is looked at again and again
TESTED_WITHIN = timedelta(seconds=30)  # a round leaves out people tested since: a double click tells nobody twice
SWEEP_LASTS = 18.0  # seconds; with a deadline of 10 it ends before the task limit of 30
FLUSH = 0.1  # seconds that a sweep waits for an answer, or an empty bucket to fill, before it looks again
GATHER = 0.02  # seconds between the first answer and the statement that writes all that came meanwhile
STOP_PATIENCE = 8.0  # seconds for what is in flight when the process is told to end
REFILL = 200  # pushes still to be sent below which the next claim is made, so that 50 stay in flight

log = structlog.get_logger(__name__)


class NotDead(Exception):
    """Only a dead push can be replayed."""


def sweep_outbox(
    *,
    until: float | None = None,
    min_age: float = 0.0,
    rng: random.Random | None = None,
    stop: threading.Event | None = None,
    kick: feed.Kick | None = None,
) -> int:
    """Send what has been due for `min_age` seconds, until nothing is due, the gate closes or `until` has come.

    `until` is on `time.monotonic()`, default 18 s from now; `stop` ends it early, within 8 s; `kick` is what woke it,
    if anything did. Returns how many attempts were made. Safe to run any number of times at once.
    """
    until = time.monotonic() + SWEEP_LASTS if until is None else until
    age = timedelta(seconds=min_age)
    with scopes_disabled():
        first = _claim(age, kick)
        if not (first.pushes or first.more):
            return 0
        return _Sweep(until, age, rng or random.SystemRandom(), stop or threading.Event()).run(first)


class _Sweep:
    """One sweep in progress: the database work beside a sender's thread."""

    def __init__(self, until: float, min_age: timedelta, rng: random.Random, stop: threading.Event) -> None:
        self.until, self.min_age, self.rng, self.stop = until, min_age, rng, stop
        self.attempts = 0
        self.more = False  # something may still be due

    def run(self, first: Claim) -> int:
        with PushSender() as sender:
            self._hand(sender, first)
            while (self.more or sender.unfinished) and not (
                sender.held or self.stop.is_set() or time.monotonic() >= self.until
            ):
                if self.more and sender.unfinished < (1 if self.recovering else REFILL):
                    self._hand(sender, _claim(self.min_age))
                self._finish(sender)
                self.more |= sender.unfinished > 0  # a slow answer holds up nothing that was planned meanwhile
            sender.hold()
            self._drain(sender)
        return self.attempts

    def _drain(self, sender: PushSender) -> None:
        """Wait for what is in flight; once told to stop, 8 s at most: leases run out, the same keys go again."""
        stopping_at = None
        while sender.unfinished:
            self._finish(sender)
            if self.stop.is_set():
                stopping_at = stopping_at or time.monotonic()
                if time.monotonic() - stopping_at > STOP_PATIENCE:
                    return

    def _hand(self, sender: PushSender, claimed: Claim) -> None:
        self.more = claimed.more
        self.recovering = claimed.recovering  # then nothing more before these are answered
        sender.hand(claimed.pushes)
        if self.more and not (claimed.pushes or claimed.cancelled):
            time.sleep(FLUSH)  # the bucket is empty; it fills by the second

    def _finish(self, sender: PushSender) -> None:
        gather = FLUSH if self.recovering else GATHER  # the rate doubles with every good batch
        batch = sender.results(first_within=FLUSH, gather=gather)
        if not batch:
            return
        self.attempts += sum(done.outcome.kind != "given_back" for done in batch)
        changed, closed = finish(batch, self.rng)
        feed.publish(changed)
        self.more |= any(done.outcome.kind == "retry" for done in batch)  # the first retry may be due at once
        if closed:
            sender.hold()


def _claim(min_age: timedelta, kick: feed.Kick | None = None) -> Claim:
    claimed = claim(min_age, kick)
    feed.publish(claimed.cancelled)
    return claimed


def send_test_push(org: Org, user: User, by: User | None) -> Push:
    """Plan a test push to `user` about no alert, to be sent at once; `by` asked for it (None: a machine).

    Every hop shows on the row: `attempts` and `last_answer`, `sent_at` and `push` (queued | no_token),
    `delivered_at`, `opened_at`. Needs a scope that covers `org`.
    """
    now = clock.now()
    held = Assignment.objects.filter(org=org, user=user).order_by("role__tier").values_list("role__tier", flat=True)
    person = Recipient(user.id, user.sso_id, user.name, user.locale, held.first() or 1)
    push = Push(
        org=org,
        supervisor=user,
        kind=Push.Kind.TEST,
        tier=person.tier,
        reason="test",
        severity=Severity.INFO,
        planned_at=now,
        next_attempt_at=now,
    )
    push.idempotency_key = idempotency_key(push.id)
    push.body = push_body(push=push, alert=None, org=org, room=None, subject="", recipient=person)
    with transaction.atomic():
        push.save(force_insert=True)
        transaction.on_commit(feed.kick, robust=True)
    log.info("test_push_planned", push=str(push.id), org=org.external_id, by=by.pk if by else None)
    return push


def send_test_round(people: Iterable[tuple[Org, User]], by: User) -> tuple[list[Push], int]:
    """A test push to each of these people who was not tested in the last 30 s, to at most 25 of them.

    Gives the pushes and how many people are left for another round. The lock is the rows of the orgs, in order, so
    that of two rounds at once the second finds everybody tested. Needs a scope that covers the orgs.
    """
    wanted = {(org.pk, user.pk): (org, user) for org, user in people}
    with transaction.atomic():
        list(Org.objects.select_for_update(no_key=True).filter(pk__in={org for org, _ in wanted}).order_by("pk"))
        tests = Push.objects.filter(kind=Push.Kind.TEST, org__in={org for org, _ in wanted})
        tested = set(tests.filter(planned_at__gt=clock.now() - TESTED_WITHIN).values_list("org_id", "supervisor_id"))
        due = [pair for key, pair in wanted.items() if key not in tested]
        return [send_test_push(org, user, by) for org, user in due[:TESTS_AT_ONCE]], len(due[TESTS_AT_ONCE:])


def replay(push_id: UUID, by: User | None = None) -> Push:
    """Put a dead push back in line: planned anew now, the same bytes under the same key.

    Raises Push.DoesNotExist outside the current scope, NotDead if it is not dead (any more).
    """
    now = clock.now()
    with transaction.atomic():
        revived = Push.objects.filter(id=push_id, state=Push.State.DEAD).update(
            state=Push.State.PENDING, ended_reason="", ended_at=None, attempts=0, planned_at=now, next_attempt_at=now
        )
        push = Push.objects.get(id=push_id)
        if not revived:
            raise NotDead(push.state)
        transaction.on_commit(feed.kick, robust=True)
        if push.alert_id is not None:
            transaction.on_commit(partial(feed.publish, [push.alert_id]), robust=True)
    log.info("push_replayed", push=str(push.id), by=by.pk if by else None)
    return push
