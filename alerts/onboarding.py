"""The six steps from a new org to its first follow-up, each proven by a row; nobody ticks them off."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django_scopes import scopes_disabled

from alerts.models import Alert, FailureEvent, Push, Transition
from alerts.prepared import PreparedQuery
from orgs.models import Agent, Assignment, Org, SourceHeard

STEPS = ("source", "event", "people", "phone", "room", "follow_up")
NEWEST = 20  # unfinished orgs that are looked at


def _proofs() -> dict[str, QuerySet[Any]]:
    """Per step the rows of which one is enough, in the order of an index, so that an org without one costs no more.

    Run it inside a scope. A stand-in's receipt proves no phone: its caller knows.
    """
    return {
        "source": SourceHeard.objects.order_by("pk"),
        "event": FailureEvent.objects.order_by("org_id", "source_id", "event_id"),
        "people": Assignment.objects.filter(user__is_active=True).order_by("pk"),
        "phone": Push.objects.filter(delivered_at__isnull=False).order_by("org_id", "supervisor_id", "delivered_at"),
        "room": Transition.objects.filter(change=Transition.Change.OPENED_ROOM).order_by("at"),
        "follow_up": Transition.objects.filter(change=Transition.Change.INTERVENED).order_by("at"),
    }


@dataclass(frozen=True)
class Progress:
    """How far an org is: the steps that are done, which need not be the first ones."""

    org: Org
    done: frozenset[str]
    total: ClassVar[int] = len(STEPS)

    @property
    def n(self) -> int:
        return len(self.done)

    @property
    def finished(self) -> bool:
        return self.n == self.total


def _proven() -> QuerySet[Org]:
    """Orgs, the newest first, each with a proof of each step."""
    with scopes_disabled():
        proofs = {
            f"proof_of_{step}": Subquery(
                rows.filter(org=OuterRef("pk")).values("pk")[:1]
            )  # Exists would drop the order
            for step, rows in _proofs().items()
        }
    return Org.objects.order_by("-created_at", "-pk").annotate(**proofs)


PROVEN = PreparedQuery(_proven)


def progress(orgs: Iterable[Org]) -> list[Progress]:
    """Of each of these orgs, the newest first; one query, inside a scope."""
    unprovable = {"phone"} if settings.NOTIFICATION_SERVICE_IS_STANDIN else set()
    return [
        Progress(org, frozenset(step for step in STEPS if getattr(org, f"proof_of_{step}") is not None) - unprovable)
        for org in PROVEN.rows([org.pk for org in orgs])
    ]


def unfinished(orgs: Iterable[Org]) -> list[Progress]:
    """Of the newest 20 of these orgs those that are not through, the newest first."""
    newest = sorted(orgs, key=lambda org: (org.created_at, org.pk), reverse=True)[:NEWEST]
    return [one for one in progress(newest) if not one.finished]


@dataclass(frozen=True)
class SetupFacts:
    """What proves each step of one org, where it is proven."""

    source: SourceHeard | None
    event: FailureEvent | None
    people: int
    tiers: int
    phone: Push | None
    room: Transition | None
    follow_up: Transition | None
    alert: Alert | None  # the newest one whose room can be opened


def facts(org: Org) -> SetupFacts:
    """Seven queries; run it inside a scope."""
    rows = {step: found.filter(org=org) for step, found in _proofs().items()}
    acts = ("actor", "alert__room")
    alerts = Alert.objects.filter(org=org, scope=Alert.Scope.ROOM)
    first_of_agent = FailureEvent.objects.filter(agent=OuterRef("pk")).order_by("received_at").values("pk")[:1]
    firsts = Agent.objects.filter(org=org).values(first=Subquery(first_of_agent))
    return SetupFacts(
        source=rows["source"].select_related("source").order_by("-at").first(),
        event=rows["event"].filter(pk__in=firsts).select_related("agent").order_by("received_at").first(),
        **rows["people"]
        .order_by()
        .aggregate(people=Count("user", distinct=True), tiers=Count("role__tier", distinct=True)),
        phone=None
        if settings.NOTIFICATION_SERVICE_IS_STANDIN
        else rows["phone"].select_related("supervisor").order_by("delivered_at").first(),
        room=rows["room"].select_related(*acts).first(),
        follow_up=rows["follow_up"].select_related(*acts).first(),
        alert=alerts.select_related("room").order_by("-last_event_at").first(),
    )
