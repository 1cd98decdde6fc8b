"""Who asks, and which orgs they may see: the one place a request gets its scope."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django_scopes import get_scope, scope, scopes_disabled
from django_scopes.exceptions import ScopeError
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from orgs import clock
from orgs.client_tokens import find_token, is_client_token
from orgs.errors import Refused
from orgs.keys import InvalidKey, find_key
from orgs.models import ApiKey, Assignment, Membership, Org, Scope, Source, User

ACTING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class OrgIds:
    """The orgs somebody may see: these pks, or `EVERY_ORG`. Functions that take one read None as no org."""

    pks: frozenset[int] = frozenset()
    every: bool = False

    @classmethod
    def of(cls, pks: Iterable[int]) -> "OrgIds":
        return cls(frozenset(pks))

    def __contains__(self, org_id: object) -> bool:
        return self.every or org_id in self.pks

    def __bool__(self) -> bool:
        return self.every or bool(self.pks)


EVERY_ORG = OrgIds(every=True)
NO_ORG = OrgIds()


def within(org_ids: OrgIds | None) -> AbstractContextManager[None]:
    """The scope in which queries find what is of these orgs. The only place that may say `scope(org=None)`: all."""
    org_ids = org_ids or NO_ORG
    return scope(org=None if org_ids.every else sorted(org_ids.pks))


def scoped_orgs() -> OrgIds:
    """The orgs of the present scope, for queries that go past the models' managers. Raises ScopeError without one."""
    state = get_scope()
    if not state.get("_enabled", True):
        return EVERY_ORG
    if "org" not in state:
        raise ScopeError("A scope on org needs to be active for this query.")
    return EVERY_ORG if state["org"] is None else OrgIds.of(state["org"])


def of_orgs(rows: QuerySet[Any], org_ids: OrgIds | None, field: str = "org") -> QuerySet[Any]:
    """Those of `rows` that are of these orgs. For rows that no scope narrows, or too little."""
    org_ids = org_ids or NO_ORG
    return rows if org_ids.every else rows.filter(**{f"{field}__in": sorted(org_ids.pks)})


def orgs_of(org_ids: OrgIds | None) -> list[Org]:
    """These orgs, by name."""
    return list(of_orgs(Org.objects.order_by("name"), org_ids, "pk"))


def visible_orgs(user: User | AnonymousUser) -> OrgIds:
    """The orgs this person may see; of a specialist EVERY_ORG."""
    return visible_to([user])[user.pk] if isinstance(user, User) else NO_ORG


def visible_to(users: Collection[User]) -> dict[int, OrgIds]:
    """The orgs each of these people may see, by pk of the user. At most one query."""
    assigned: dict[int, set[int]] = defaultdict(set)
    ask = [user.pk for user in users if user.is_active and not user.is_specialist]
    if ask:
        with scopes_disabled():
            for user_id, org_id in Assignment.objects.filter(user__in=ask).values_list("user_id", "org_id"):
                assigned[user_id].add(org_id)
    every = {user.pk for user in users if user.is_active and user.is_specialist}
    return {user.pk: EVERY_ORG if user.pk in every else OrgIds.of(assigned[user.pk]) for user in users}


def leads(user: User) -> OrgIds:
    """The orgs this person sees and is a lead of; of a specialist EVERY_ORG."""
    if user.is_specialist:
        return EVERY_ORG
    with scopes_disabled():
        lead = Membership.objects.filter(user=user, role=Membership.Role.LEAD)
        return OrgIds.of(of_orgs(lead, visible_orgs(user)).values_list("org_id", flat=True))


def find_supervisor(sso_id: str, org_id: int, *, specialists: bool) -> User | None:
    """The active person with a role in this org, or, if `specialists` may be named too, one of them.

    None for all others alike: unknown, of another org, or waiting for a word.
    """
    person = User.objects.filter(sso_id=sso_id.replace("\0", ""), is_active=True).first()
    if person is None or (person.is_specialist and specialists):
        return person
    with scopes_disabled():
        return person if Assignment.objects.filter(user=person, org=org_id).exists() else None


class ScopeMiddleware:
    """Enters the scope of the signed-in person for everything a page does, and says it: `request.org_ids`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.org_ids = visible_orgs(request.user)  # type: ignore[attr-defined]
        with within(request.org_ids):  # type: ignore[attr-defined]
            response = self.get_response(request)
            if hasattr(response, "render") and not getattr(response, "is_rendered", True):
                response = response.render()
            return response


@dataclass(frozen=True)
class KeyCaller:
    """A machine that called with an API key. Stands where a user would; `sso_id` in a body names the human."""

    key: ApiKey
    is_authenticated: bool = True
    is_active: bool = True
    is_specialist: bool = False

    @property
    def source(self) -> Source:
        return self.key.source

    @property
    def pk(self) -> str:
        return self.key.prefix


def caller_orgs(caller: User | KeyCaller | AnonymousUser) -> OrgIds:
    """The orgs a caller of the API may see; of a specialist, or the key of a platform source, EVERY_ORG."""
    if isinstance(caller, KeyCaller):
        return EVERY_ORG if caller.source.org_id is None else OrgIds.of([caller.source.org_id])
    return visible_orgs(caller)


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer prefix.secret`."""

    def authenticate(self, request: Request) -> tuple[KeyCaller, ApiKey] | None:
        kind, _, raw = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        raw = raw.strip()
        try:
            if is_client_token(raw):
                find_token(raw, clock.now())
                raise Refused(403, "missing_scope", "A client token opens the four ingest endpoints and nothing else.")
            key = find_key(raw)
        except InvalidKey:
            raise exceptions.AuthenticationFailed("This key is unknown, revoked or expired.") from None
        return KeyCaller(key), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class SessionAuthentication(authentication.SessionAuthentication):
    """The console's own session, CSRF checked; no session answers 401, not 403."""

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class MayReadOrAct(permissions.BasePermission):
    """A key needs scope `read` to read and `act` to change; a session may do what its views allow."""

    code, message = "missing_scope", "This key has not the scope that this needs."

    def has_permission(self, request: Request, view: Any) -> bool:
        caller: Any = request.user
        if not caller or not caller.is_authenticated:
            return False
        if not isinstance(caller, KeyCaller):
            return bool(caller.is_active)
        needed = Scope.ACT if request.method in ACTING else Scope.READ
        return needed in caller.key.scopes
