"""For machines that look after this one: alive, ready, metrics."""

from ipaddress import ip_address

import prometheus_client
import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from django_scopes import scopes_disabled
from redis import Redis
from redis.exceptions import RedisError

from alerts.models import BROKEN_TIMERS, Alert
from orgs.logs import described

BROKEN = prometheus_client.Gauge(
    "live_broken_timers", "Open alerts whose timers fail: each is tried again, more seldom"
)

log = structlog.get_logger(__name__)


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated; 503 else. Redis away is said, and no reason to be unready."""
    database = _database()
    body = {"database": database, "redis": _redis()}
    return JsonResponse(body, status=200 if database == "ok" else 503)


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        log.warning("not_ready", error=described(error))
        return "away"
    return "migrations are missing" if waiting else "ok"


def _redis() -> str:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except (RedisError, OSError, ValueError):
        return "away: delivery and the feed go on by polling"
    return "ok"


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text; for loopback, for specialists, and for everybody in demo mode."""
    if not (settings.DEMO or _is_loopback(request) or getattr(request.user, "is_specialist", False)):
        return HttpResponse("forbidden\n", status=403, content_type="text/plain")
    _count_broken()
    return ExportToDjangoView(request)


def _count_broken() -> None:
    """From the rows, whichever process found them; with the database away the figure stays."""
    try:
        with scopes_disabled():
            BROKEN.set(Alert.objects.filter(BROKEN_TIMERS).count())
    except DatabaseError as error:
        log.warning("broken_timers_not_counted", error=type(error).__name__)


def _is_loopback(request: HttpRequest) -> bool:
    """Straight from this machine: what a proxy passed on came from elsewhere."""
    if "X-Forwarded-For" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
