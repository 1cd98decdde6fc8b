"""For machines that look after this one: alive, ready, metrics."""

from ipaddress import ip_address

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django_prometheus.exports import ExportToDjangoView
from redis import Redis
from redis.exceptions import RedisError

from orgs.logs import described

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
    return ExportToDjangoView(request)


def _is_loopback(request: HttpRequest) -> bool:
    """Straight from this machine: what a proxy passed on came from elsewhere."""
    if "X-Forwarded-For" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
