"""Tells machines that look after this one whether it is alive and ready, and its metrics."""

import time
from concurrent.futures import Future, ThreadPoolExecutor
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
CHECK_SECONDS = 2.0
REDIS_AWAY = "away: delivery and the feed go on by polling"

log = structlog.get_logger(__name__)
# In threads of their own, so that an answer comes in time whatever the database or Redis is doing.
_database_thread = ThreadPoolExecutor(1, thread_name_prefix="ready-database")
_redis_thread = ThreadPoolExecutor(1, thread_name_prefix="ready-redis")


@require_safe
@never_cache
def livez(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when the database answers and is migrated, else 503. It says so when Redis is away, and stays ready."""
    asked = _database_thread.submit(_database), _redis_thread.submit(_redis)
    until = time.monotonic() + CHECK_SECONDS
    database, redis = (_in_time(one, until, late) for one, late in zip(asked, ("away", REDIS_AWAY), strict=True))
    return JsonResponse({"database": database, "redis": redis}, status=200 if database == "ok" else 503)


def _in_time(asked: "Future[str]", until: float, late: str) -> str:
    try:
        return asked.result(max(0.0, until - time.monotonic()))
    except TimeoutError:
        asked.cancel()  # if it only waits for the one before, which hangs
        return late


def _database() -> str:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        log.warning("not_ready", error=described(error))
        return "away"
    finally:
        connection.close()  # no request ends in this thread
    return "migrations are missing" if waiting else "ok"


def _redis() -> str:
    try:
        with Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()
    except (RedisError, OSError, ValueError):
        return REDIS_AWAY
    return "ok"


@require_safe
@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus text; for loopback, for specialists, and for everybody in demo mode."""
    if not (settings.DEMO or _is_loopback(request) or getattr(request.user, "is_specialist", False)):
        return HttpResponse("forbidden\n", status=403, content_type="text/plain")
    try:  # from the rows, whichever process found them; with the database away the figure stays
        with scopes_disabled():
            BROKEN.set(Alert.objects.filter(BROKEN_TIMERS).count())
    except DatabaseError as error:
        log.warning("broken_timers_not_counted", error=type(error).__name__)
    return ExportToDjangoView(request)


def _is_loopback(request: HttpRequest) -> bool:
    """Straight from this machine: what a proxy passed on came from elsewhere."""
    if "X-Forwarded-For" in request.headers:
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False
