"""Who has a phone: push tokens, asked of notification-service and kept on the person (proof of reach)."""

import threading
from collections.abc import Iterable

import aiohttp
import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django_scopes import scopes_disabled

from alerts.delivery import notification_service
from orgs import clock
from orgs.models import Assignment, User

AT_ONCE = 500  # people
ASKED_WITHIN = 30  # seconds between two questions of one person at a page
_asking = threading.BoundedSemaphore(2)  # a page that asks holds its slot until the other side answers

log = structlog.get_logger(__name__)


def ask_tokens_of(users: Iterable[User]) -> int:
    """Ask how many phones these people have and write it down; returns for how many an answer came.

    Fails softly: what could not be asked keeps its old figure and its old `push_tokens_at`.
    """
    people = sorted({user.sso_id for user in users})
    if not settings.NOTIFICATION_SERVICE_URL:
        return 0
    answered = 0
    if not connection.in_atomic_block:
        connection.close()  # back to the pool while the other side takes its time
    for start in range(0, len(people), AT_ONCE):
        try:
            found = notification_service.ask_tokens(people[start : start + AT_ONCE])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("push_tokens_not_asked", error=type(error).__name__)
            break
        now = clock.now()
        for tokens in set(found.values()):
            sso_ids = [sso_id for sso_id, n in found.items() if n == tokens]
            User.objects.filter(sso_id__in=sso_ids).update(push_tokens=tokens, push_tokens_at=now)
        answered += len(found)
    return answered


class AskedJustNow(Exception):
    """This person asked less than 30 s ago."""


class OthersAsk(Exception):
    """Two people are asking at this moment."""


def ask_on_demand(by: User, users: Iterable[User]) -> int:
    """The same for somebody at a page, at most once in 30 s for each who asks. Raises AskedJustNow, OthersAsk."""
    if not _asking.acquire(blocking=False):
        raise OthersAsk
    try:
        if not cache.add(f"push-tokens-asked-by-{by.pk}", True, ASKED_WITHIN):
            raise AskedJustNow
        return ask_tokens_of(users)
    finally:
        _asking.release()


def ask_everybody() -> int:
    """The same for everybody with an assignment."""
    with scopes_disabled():
        return ask_tokens_of(User.objects.filter(is_active=True, pk__in=Assignment.objects.values("user")))
