"""The people who back up the agents of my orgs, whether a push reaches them, and a test of it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from alerts.delivery.outbox import send_test_push
from alerts.models import Push
from console.reach import Chain, chain
from console.views.access import may_replay, person, signed_in
from orgs import clock
from orgs.conflicts import removed_by_sync, sentences, with_conflicts, word
from orgs.models import Assignment, Org, User

TEST_SHOWN = timedelta(hours=1)


@dataclass(frozen=True)
class Held:
    """A role that a person has, who said so last, and what another says of it."""

    role: str
    tier: int
    org: str
    provenance: str
    conflicts: list[str]


@dataclass
class Supervisor:
    """One person on the page; `tests`: whether the reader may send them a test push."""

    user: User
    roles: list[Held] = field(default_factory=list)
    told_at: datetime | None = None
    delivered_at: datetime | None = None
    opened_at: datetime | None = None
    tests: bool = False
    test: Chain | None = None
    test_push: Push | None = None


@require_safe
@signed_in
def supervisors(request: HttpRequest) -> HttpResponse:
    """`/supervisors`: roles, phones, last told; by org."""
    me, now = person(request), clock.now()
    people = _people(me)
    _add_reach(people)
    _add_tests(people, now)
    found = sorted(people.values(), key=lambda one: (str(one.user).lower(), one.user.pk))
    context = {
        "supervisors": found,
        "removed": [(gone, word(gone.provenance)) for gone in removed_by_sync(request.org_ids, now)],  # type: ignore[attr-defined]
        "reachable": sum(1 for one in found if one.user.push_tokens),
        "now": now,
        "page": "supervisors",
    }
    return render(request, "console/supervisors.html", context)


def _people(me: User) -> dict[int, Supervisor]:
    people: dict[int, Supervisor] = {}
    rows = Assignment.objects.filter(user__is_active=True).select_related("user", "role", "org")
    for row in with_conflicts(rows).order_by("org__name", "role__tier", "role__name"):
        one = people.setdefault(row.user_id, Supervisor(row.user))
        said = word(row.provenance)
        one.roles.append(Held(row.role.name, row.role.tier, row.org.name, said, sentences(row)))
        one.tests = one.tests or row.user_id == me.pk or may_replay(me, row.org_id)
    return people


def _add_reach(people: dict[int, Supervisor]) -> None:
    rows = (
        Push.objects.filter(supervisor__in=people)
        .order_by()
        .values("supervisor")
        .annotate(told=Max("sent_at"), delivered=Max("delivered_at"), opened=Max("opened_at"))
    )
    for row in rows:
        one = people[row["supervisor"]]
        one.told_at, one.delivered_at, one.opened_at = row["told"], row["delivered"], row["opened"]


def _add_tests(people: dict[int, Supervisor], now: datetime) -> None:
    """The newest test of each, while it is worth showing."""
    rows = (
        Push.objects.filter(kind=Push.Kind.TEST, supervisor__in=people, planned_at__gt=now - TEST_SHOWN)
        .select_related("supervisor")
        .order_by("supervisor_id", "-planned_at")
        .distinct("supervisor_id")
    )
    for push in rows:
        people[push.supervisor_id].test_push = push
        people[push.supervisor_id].test = chain(push, timezone.get_current_timezone_name(), now)


@require_POST
@signed_in
def test_push(request: HttpRequest, sso_id: str) -> HttpResponse:
    """`POST /supervisors/<sso_id>/test-push`: for leads and specialists, and for everybody to themselves."""
    me = person(request)
    user, org = _target(me, sso_id)
    push = send_test_push(org, user, me)
    if not request.headers.get("HX-Request"):
        return redirect("supervisors")
    return _hops(request, push)


def _target(me: User, sso_id: str) -> tuple[User, Org]:
    held = Assignment.objects.filter(user__sso_id=sso_id, user__is_active=True).select_related("user", "org")
    for row in held.order_by("role__tier", "org__name"):
        if row.user_id == me.pk or may_replay(me, row.org_id):
            return row.user, row.org
    raise Http404


@require_safe
@signed_in
def test_hops(request: HttpRequest, sso_id: str, push_id: UUID) -> HttpResponse:
    """The hop chain of a test push; the page asks again until it ends."""
    me = person(request)
    _target(me, sso_id)
    push = Push.objects.filter(pk=push_id, supervisor__sso_id=sso_id, kind=Push.Kind.TEST).select_related("supervisor")
    found = push.first()
    if found is None:
        raise Http404
    return _hops(request, found)


def _hops(request: HttpRequest, push: Push) -> HttpResponse:
    now = clock.now()
    hops = chain(push, timezone.get_current_timezone_name(), now)
    context = {"one": {"user": push.supervisor, "test": hops, "test_push": push}, "now": now}
    response = render(request, "console/_test_push.html", context)
    response["Cache-Control"] = "no-store"
    return response
