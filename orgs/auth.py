"""Who asks, and which orgs they may see: the one place a request gets its scope."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django_scopes import scope, scopes_disabled
from rest_framework import authentication, exceptions, permissions
from rest_framework.request import Request

from orgs.models import ApiKey, Assignment, Membership, Org, Scope, Source, User

ACTING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class InvalidKey(Exception):
    """No such key, or it is revoked or has expired."""


def find_key(raw: str) -> ApiKey:
    """The live key for the secret text `prefix.secret`; found by prefix, hash compared in constant time.

    Raises InvalidKey.
    """
    prefix, dot, _ = raw.partition(".")
    key = ApiKey.objects.select_related("source__org").filter(prefix=prefix, revoked=False).first()
    if not dot or key is None or not key.is_valid(raw) or key.has_expired:
        raise InvalidKey
    return key


def visible_orgs(user: User | AnonymousUser) -> list[int] | None:
    """Ids of the orgs this person may see; None means all (a specialist)."""
    if not user.is_authenticated or not user.is_active:
        return []
    if user.is_specialist:
        return None
    with scopes_disabled():
        return sorted(set(Assignment.objects.filter(user=user).values_list("org_id", flat=True)))


def leads(user: User) -> list[int] | None:
    """Ids of the orgs this person sees and is a lead of; None means all (a specialist)."""
    if user.is_specialist:
        return None
    with scopes_disabled():
        lead = Membership.objects.filter(user=user, role=Membership.Role.LEAD, org__in=visible_orgs(user) or [])
        return sorted(lead.values_list("org_id", flat=True))


def find_supervisor(sso_id: str, org_id: int, *, specialists: bool) -> User | None:
    """The active person with a role in this org, or, if `specialists` may be named too, one of them.

    None for all others alike: unknown, of another org, or waiting for a word.
    """
    person = User.objects.filter(sso_id=sso_id.replace("\0", ""), is_active=True).first()
    if person is None or (person.is_specialist and specialists):
        return person
    with scopes_disabled():
        return person if Assignment.objects.filter(user=person, org=org_id).exists() else None


def orgs_of(org_ids: list[int] | None) -> list[Org]:
    """The orgs behind `visible_orgs`, by name."""
    orgs = Org.objects.order_by("name")
    return list(orgs if org_ids is None else orgs.filter(id__in=org_ids))


class ScopeMiddleware:
    """Enters the scope of the signed-in person for everything a page does. `request.org_ids`: None = all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.org_ids = visible_orgs(request.user)  # type: ignore[attr-defined]
        with scope(org=request.org_ids):  # type: ignore[attr-defined]
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


def caller_orgs(caller: User | KeyCaller | AnonymousUser) -> list[int] | None:
    """Ids of the orgs a caller of the API may see; None = all (a specialist, or a platform source's key)."""
    if isinstance(caller, KeyCaller):
        return None if caller.source.org_id is None else [caller.source.org_id]
    return visible_orgs(caller)


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer prefix.secret`."""

    def authenticate(self, request: Request) -> tuple[KeyCaller, ApiKey] | None:
        kind, _, raw = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return None
        try:
            key = find_key(raw.strip())
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
