"""Whom a decision tells, and who would be told but is absent: tiers, who of them is on duty, fallback roles."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from alerts.actions.outages import JOINED, Outages
from alerts.actions.stored import stored
from alerts.actions.tiers import (
    any_present,
    judge_tier_clock,
    may_stand_in,
    standing_for,
    start_holder_clock,
    start_tier_clock,
    tiers_together,
)
from alerts.decide import CRITICAL, INFO
from alerts.known import Known
from alerts.models import Alert
from alerts.rows import TransitionRow
from orgs.duty.roster import QUIET
from orgs.routing import NO_TIER, SPECIALISTS, Recipient, Standing, leads_of

if TYPE_CHECKING:
    from alerts.actions.telling import Telling

UNROUTABLE = "unroutable"
UNROUTABLE_EVERY = timedelta(hours=1)  # so often specialists are told that nobody can be told of an agent


class Whom:
    """The people of each telling of one transaction; `passed`: tiers with nobody on duty, for the book to write."""

    def __init__(self, now: datetime, known: Known, outages: Outages) -> None:
        self._now, self._known, self._outages = now, known, outages
        self._said: set[int] = set()  # agents of which specialists are told here that nobody can be
        self.passed: list[TransitionRow] = []

    def find(self, telling: "Telling", watching: list[Recipient], held: bool, now: datetime) -> list[Recipient]:
        """Of an org its leads; of a source the specialists; of an agent's failure the first tier with anybody on duty,
        later every tier told so far, or the next one alone; after the last one the specialists. Of a silent agent both.

        `held`: a silence or an outage holds it.
        """
        alert, self._now = telling.alert, now
        if not is_of_rooms(alert):
            found = (leads_of(alert.org_id) if alert.scope == Alert.Scope.ORG else []) or watching
            if not found:
                say_why(telling, UNROUTABLE)
            return found
        if telling.reason == JOINED:
            return self._concerned(alert, int(telling.transition.detail["agent"]))
        standing = standing_for(alert, telling.severity, now, self._known, self._outages.agent_keys(alert))
        if is_over(telling):
            stand_in = [] if any_present(standing.people) else standing.fallback
            return _instead([replace(one, tier=SPECIALISTS) for one in watching], stand_in)
        if holder := [one for one in standing.people if one.user_id == telling.holder and not one.absent]:
            if not held:
                start_holder_clock(alert, now)
            return holder
        if holder := [replace(one, tier=SPECIALISTS) for one in watching if _has_it(telling, one)]:
            return holder
        tier = telling.tier or alert.tier
        if telling.reason == "escalated":
            return [one for one in standing.people if one.tier == tier]
        if held and standing.people:
            return self._held(standing, tier)
        told = self._reach(telling, standing, tier)
        if is_wide(alert):
            known = {one.user_id for one in told if not one.absent}
            return _instead(told, [one for one in watching if one.user_id not in known])
        return _instead(told, self._watching_unroutable(telling, watching))

    def _held(self, standing: Standing, tier: int) -> list[Recipient]:
        """Who would be told if nothing held it. No clock starts."""
        first = next((one.tier for one in standing.people if not one.absent), standing.people[0].tier)
        return [one for one in standing.people if one.tier <= (tier or first)]

    def _concerned(self, outage: Alert, agent: int) -> list[Recipient]:
        """Of the supervisors of an agent whose first room falls under the outage of its source, those not told yet."""
        theirs = (outage.org_id, agent)
        others = [key for key in self._outages.agent_keys(outage) if key != theirs]
        known = {one.user_id for people in self._known.people(others).values() for one in people}
        people = standing_for(outage, outage.severity, self._now, self._known, [theirs]).people
        tier = max([outage.tier, *(one.tier for one in people[:1])])
        return [one for one in people if one.tier <= tier and one.user_id not in known]

    def _reach(self, telling: "Telling", standing: Standing, tier: int) -> list[Recipient]:
        """Every tier told so far; with nobody there on duty the next one that has anybody, else fallback roles. Info
        passes nothing.
        """
        alert, people, info = telling.alert, standing.people, telling.severity == INFO
        untold, stood = alert.duty_waits, alert.hours_until is not None
        alert.duty_waits, alert.hours_until = False, None
        if info and people:
            people = [one for one in people if one.tier <= (tier or people[0].tier)]
        first = next((one.tier for one in people if not one.absent), NO_TIER)
        if first > tier:
            self._pass_to(telling, first)
        elif first and stood:
            start_tier_clock(alert, self._now, self._known)
        if first and untold:  # what people hear of only now is not over because it is old
            alert.revived_at = self._now
        if first:
            return [one for one in people if one.tier <= max(first, tier)]
        if not info and may_stand_in(standing):
            if not alert.escalate_at:
                self._pass_to(telling, NO_TIER)
            return _instead(people, standing.fallback)
        return self._nobody(telling, people, standing.fallback)

    def _pass_to(self, telling: "Telling", tier: int) -> None:
        """The clock of this tier starts; those between it and what was told are passed. NO_TIER: all are."""
        alert = telling.alert
        tiers = tiers_together(self._known, self._outages.agent_keys(alert))
        for empty in [one for one in tiers if alert.tier < one and (one < tier or not tier)]:
            detail = {"passed": empty, "to": tier}
            about = (alert.org_id, alert.id, telling.transition.at, "escalated", "nobody_on_duty", alert.episode)
            self.passed.append(TransitionRow(*about, actor_id=None, detail=detail))
        alert.tier = tier or max([*tiers, alert.tier])
        start_tier_clock(alert, self._now, self._known)
        if (told := self._outages.clock_from(alert)) is not None:  # their clocks are held: it goes on from there
            alert.tier_from = min(told, self._now)
            judge_tier_clock(alert, self._now, self._known)

    def _nobody(self, telling: "Telling", people: list[Recipient], fallback: list[Recipient]) -> list[Recipient]:
        """With somebody on duty who is in quiet hours it is held until the first of these end; info waits for who comes
        on duty; else nobody can be told, and who comes on duty is told all the same.
        """
        alert, info = telling.alert, telling.severity == INFO
        everybody = people if info else _instead(fallback, people)
        alert.duty_waits = bool(everybody)
        alert.hours_until = min((one.quiet_until for one in everybody if one.quiet_until), default=None)
        if alert.hours_until is not None:
            say_why(telling, QUIET)
        elif not is_wide(alert):
            say_why(telling, "nobody_on_duty" if info and everybody else UNROUTABLE)
        return everybody

    def _watching_unroutable(self, telling: "Telling", watching: list[Recipient]) -> list[Recipient]:
        """Specialists, if nobody can be told of something critical: once an hour for each agent."""
        agent = telling.alert.agent_id or 0
        if telling.transition.reason != UNROUTABLE or telling.severity != CRITICAL or not watching:
            return []
        people = [one.user_id for one in watching]
        since = self._now - UNROUTABLE_EVERY
        if agent in self._said or stored().told_unroutable((telling.alert.org_id, agent), people, since):
            return []
        self._said.add(agent)
        return [replace(one, tier=SPECIALISTS) for one in watching]


def reason_for(telling: "Telling", person: Recipient) -> str:
    """Why this person is told: specialists of what is unroutable because it is."""
    of_it = telling.transition.reason == UNROUTABLE and person.tier == SPECIALISTS and not person.absent
    return UNROUTABLE if of_it and not is_wide(telling.alert) else telling.reason


def may_watch(telling: "Telling", standing: Iterable[Standing]) -> bool:
    """Whether specialists may be told of it: it is theirs, or perhaps nobody else can be told."""
    if is_wide(telling.alert) or is_over(telling) or _somebody_has_it(telling):
        return True
    return telling.severity == CRITICAL and not any(any_present(one.through_quiet().people) for one in standing)


def _somebody_has_it(telling: "Telling") -> bool:
    """It is told to who has the alert alone, who may be a specialist."""
    return telling.holder is not None and telling.reason == "window_closing"


def _has_it(telling: "Telling", person: Recipient) -> bool:
    """Whether it is told to this specialist alone, who has the alert."""
    return _somebody_has_it(telling) and person.user_id == telling.holder


def is_of_rooms(alert: Alert) -> bool:
    """It is told to the supervisors of agents: all but what is wrong with a source alone."""
    return alert.agent_id is not None or alert.room_id is not None or alert.is_outage


def is_wide(alert: Alert) -> bool:
    """Specialists know the source, or the agent, that it is about; an outage is about rooms."""
    return alert.scope != Alert.Scope.ROOM and not alert.is_outage


def is_over(telling: "Telling") -> bool:
    """Every tier was told, and nobody acted."""
    escalated = telling.transition.change == "escalated" and telling.reason != "nobody_on_duty"
    return escalated and telling.transition.detail.get("to") is None


def say_why(telling: "Telling", reason: str) -> None:
    """The decision gives this reason, and keeps what people would have been told for."""
    telling.transition.reason = telling.alert.last_reason = reason
    telling.transition.detail["wanted"] = telling.reason
    if telling.event is not None:
        telling.event.reason = reason


def _instead(people: Iterable[Recipient], others: Iterable[Recipient]) -> list[Recipient]:
    """These people and the others, each once: as one of the others who is both."""
    others = list(others)
    known = {one.user_id for one in others}
    return [one for one in people if one.user_id not in known] + others
