"""All settings in one file; every value that differs between installations is an environment variable.

docs/operations.md has the table of variables.
"""

import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import pghistory
import structlog
from celery.schedules import crontab
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from orgs import database, logs, variables

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = variables.read_switch("DEBUG")
DEMO = variables.read_switch("DEMO")  # allows http on loopback for room links, and for notification-service
SECRET_KEY = env.str("SECRET_KEY")
DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / ".run")))
BASE_URL = variables.read_site("BASE_URL", "http://127.0.0.1:8000")
_base = urlsplit(BASE_URL)
SECURE = _base.scheme == "https"

_host_name = _base.hostname or ""  # variables.read_site made sure that there is one
_name = f"[{_host_name}]" if ":" in _host_name else _host_name
_loopback = ["127.0.0.1", "localhost", "[::1]"]
# We accept a loopback Host only where BASE_URL is a loopback address; elsewhere somebody forged it.
ALLOWED_HOSTS = [_name, *env.list("ALLOWED_HOSTS", default=_loopback if _name in _loopback else [])]
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[BASE_URL])

# --- Proxies in front (console/http/proxies.py): how many append to X-Forwarded-For, and where the nearest comes from
TRUSTED_PROXIES = variables.read_whole("TRUSTED_PROXIES", 1 if variables.read_switch("BEHIND_PROXY") else 0)
_private = "127.0.0.0/8,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
try:
    FORWARDED_ALLOW_IPS = [ip_network(one) for one in env.list("FORWARDED_ALLOW_IPS", default=_private.split(","))]
except ValueError as error:
    raise ImproperlyConfigured(
        f"FORWARDED_ALLOW_IPS lists addresses and networks such as 10.0.0.0/8: {error}"
    ) from None
IPWARE_META_PRECEDENCE_ORDER = ("REMOTE_ADDR",)  # for the logs; it is the client's by then

INSTALLED_APPS = [
    # Serves runserver in development; elsewhere Twisted would only make every process start later.
    *(["daphne"] if DEBUG else []),
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "servestatic.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "channels",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "rest_framework_api_key",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "pgtrigger",
    "pghistory",
    "csp",
    "django_prometheus",
    "django_structlog",
    "orgs",
    "alerts",
    "runs",
    "console",
]
# Production does not load the demo: we load it in demo mode, and when one of its commands runs.
if DEMO or sys.argv[1:2] in (["demo_setup"], ["simulate"], ["standins"]):
    INSTALLED_APPS.append("demo")

MIDDLEWARE = [
    "console.http.middleware.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "console.http.middleware.TextMiddleware",
    # Elsewhere console/http/asgi.py answers for what was collected; this one lists every file for each handler.
    *(["servestatic.middleware.ServeStaticMiddleware"] if DEBUG else []),
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "console.http.middleware.PersonMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "console.http.middleware.RequestLog",
    "django_htmx.middleware.HtmxMiddleware",
    "orgs.auth.ScopeMiddleware",
]

ROOT_URLCONF = "console.http.urls"
ASGI_APPLICATION = "console.http.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "console.pages.frame.shell",
            ],
        },
    }
]

# --- PostgreSQL: the truth -------------------------------------------------------------------------------------
DB_POOL_MAX = variables.read_whole("DB_POOL_MAX", 24, least=1)
# A pooler in front that changes connections between transactions knows no prepared statements: 0.
DB_PREPARED_STATEMENTS = variables.read_switch("DB_PREPARED_STATEMENTS", True)
REPLICA_POOL = {"max_size": 8, "timeout": 1.0}  # what does not answer at once is read from the primary


def _database(name: str, **pool: float) -> dict[str, object]:
    found = database.read_url(env.str(name), name)
    own = {"connect_timeout": 3, "prepare_threshold": 1 if DB_PREPARED_STATEMENTS else None}
    pooled = {"pool": {"min_size": 0, "max_size": DB_POOL_MAX, "timeout": 3.0} | pool}
    return found | {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": own | found.get("OPTIONS", {}) | pooled,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": False,
        "ATOMIC_REQUESTS": False,
    }


DATABASES = {"default": _database("DATABASE_URL")}
if env.str("DATABASE_REPLICA_URL", default=""):
    DATABASES["replica"] = _database("DATABASE_REPLICA_URL", **REPLICA_POOL)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The default cache holds the log-in rate limits. It is in the database, so people can log in while Redis is down.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"}}

# --- Valkey/Redis: speed, never truth -----------------------------------------------------------------------------
REDIS_URL = variables.read_redis("REDIS_URL", "redis://127.0.0.1:6379/0")
_redis_celery = REDIS_URL.replace("unix://", "redis+socket://", 1)
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_timeout": 15, "socket_connect_timeout": 2}]},
    }
}
VISIBILITY_TIMEOUT = 120
CELERY_BROKER_URL = _redis_celery
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "max_retries": 0,
}
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {"visibility_timeout": VISIBILITY_TIMEOUT}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 30
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# A sweep that sends ends as it would: cancelled, its pushes would wait for their leases and go twice.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Redis may be away for hours; the dispatcher sweeps meanwhile
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = 10**9  # tasks: console/celery.py keeps the pool, which Celery would close around every task
CELERY_TASK_DEFAULT_QUEUE = "live"
# Kicks and the dispatcher come sooner; these are for an hour without both. Finding nothing costs 5 ms of processor.
_every = {
    "sweep_pushes": 15,
    "run_timers": 15,
    "work_deliveries": 15,
    "play_previews": 20,
    "watch_sources": 60,
    "look_ahead": 300,
    "sweep_figures": 60,
    "ask_push_tokens": 600,
}
_of_runs = {"fold_runs": 30, "watch_runs": 20, "watch_agents": 60, "keep_sessions": 60}
CELERY_BEAT_SCHEDULE = {
    task: {"task": f"{app}.tasks.{task}", "schedule": float(seconds), "options": {"expires": seconds}}
    for app, tasks in (("alerts", _every), ("runs", _of_runs))
    for task, seconds in tasks.items()
} | {
    # in the small hours of Jakarta
    "purge_old": {
        "task": "alerts.tasks.purge_old",
        "schedule": crontab(hour="20", minute="10"),
        "options": {"expires": 3600},
    }
}
CELERY_TIMEZONE = "UTC"

# --- People ----------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "orgs.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "CommonPasswordValidator", "NumericPasswordValidator")
] + [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}}]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "board"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_ADAPTER = "orgs.invitations.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = True
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # we send mail only to people we know
ACCOUNT_EMAIL_SUBJECT_PREFIX = f"[{_base.hostname}] "  # not the Host of whoever asked for the mail
# The first key is (address, account), so that a stranger elsewhere locks nobody out; the last is the account alone.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/5m/key", "login_failed_anywhere": "100/h/key"}
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Live Monitoring"
MFA_TOTP_TOLERANCE = 1  # a phone whose clock is half a minute off
SESSION_ENGINE = "console.http.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # idle: from the last page opened or act done (console/http/middleware.py)
SESSION_ABSOLUTE_AGE = 7 * 24 * 3600
EMAIL_CONFIGURED = bool(env.str("EMAIL_URL", default=""))  # without it, a new invitation stands for a reset
EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default=f"live-monitoring@{_base.hostname}")
if EMAIL_CONFIGURED:
    vars().update(variables.read_mail("EMAIL_URL"))

# Every change of who is told and who may send is kept, deletions too.
PGHISTORY_DEFAULT_TRACKERS = (pghistory.InsertEvent(), pghistory.UpdateEvent(), pghistory.DeleteEvent())

# --- Language, zone --------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("id", _("Bahasa Indonesia"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_NAME = "language"
TIME_ZONE = "UTC"
USE_THOUSAND_SEPARATOR = True  # a number that a script or the browser reads is `unlocalize`d

# --- Static files ----------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = DATA_DIR / "static"
STATIC_COMPRESS = env.str("STATIC_COMPRESS", default="1")
SERVESTATIC_USE_BROTLI = (
    STATIC_COMPRESS != "gzip"
)  # which takes a minute: for images that are built once, not for bin/up
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "servestatic.storage.CompressedManifestStaticFilesStorage"
        if STATIC_COMPRESS != "0"
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}
SERVESTATIC_MANIFEST_STRICT = False

# --- Security --------------------------------------------------------------------------------------------------------
_host = "__Host-" if SECURE else ""
SESSION_COOKIE_NAME = f"{_host}session"
CSRF_COOKIE_NAME = f"{_host}csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "console.pages.errors.csrf_failure"
SECURE_SSL_REDIRECT = SECURE
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = 31536000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000  # an org's page in the admin has a form field per cell

# --- The ingest lane ---------------------------------------------------------------------------------------------
INGEST_RATE_PER_MINUTE = variables.read_whole("INGEST_RATE_PER_MINUTE", 6000)  # per key and web process; 0 = none
INGEST_THREADS = variables.read_whole("INGEST_THREADS", 8, least=1)
WEB_HEARTBEAT = variables.read_switch("WEB_HEARTBEAT", True)  # off: nobody notices when no web process is there
INGEST_WAITING = variables.read_whole("INGEST_WAITING", 200, least=1)  # requests that may wait for a thread; more = 503
DJANGO_SLOTS = variables.read_whole("DJANGO_SLOTS", 16, least=1)

# --- notification-service ----------------------------------------------------------------------------------------
NOTIFICATION_SERVICE_URL = variables.read_service("NOTIFICATION_SERVICE_URL", demo=DEMO)
NOTIFICATION_SERVICE_CLIENT_ID = env.str("NOTIFICATION_SERVICE_CLIENT_ID", default="")
NOTIFICATION_SERVICE_CLIENT_SECRET = env.str("NOTIFICATION_SERVICE_CLIENT_SECRET", default="")
NOTIFICATION_SERVICE_RECEIPT_SECRET = env.str("NOTIFICATION_SERVICE_RECEIPT_SECRET", default="")
# Whoever sets the address says so: what a stand-in takes never counts as having reached a phone.
NOTIFICATION_SERVICE_IS_STANDIN = variables.read_switch("NOTIFICATION_SERVICE_IS_STANDIN")
PUSH_RATE_PER_SECOND = variables.read_number("PUSH_RATE_PER_SECOND", 50.0, least=0.01)
PUSH_BURST = variables.read_number("PUSH_BURST", 200.0, least=1)

# Failpoints: `NAME` kills the process at that point, for the fault tests only (alerts/failpoints.py).
FAILPOINT = env.str("FAILPOINT", default="") if variables.read_switch("TESTING") else ""

# --- API -------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["orgs.auth.KeyAuthentication", "orgs.auth.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["orgs.auth.MayReadOrAct"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "orgs.errors.exception_handler",
}
SPECTACULAR_SETTINGS = {
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # it guesses at views; tests/test_openapi.py holds the document
    "TITLE": "AI Agent Live Monitoring",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # no badge: it would send the document's address to a public validator
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "validatorUrl": None, "defaultModelsExpandDepth": 0},
}

# --- Logs, errors ----------------------------------------------------------------------------------------------------
LOG_LEVEL = variables.read_log_level()
_told: list[Any] = [
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    logs.told_exceptions,
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [logs.cut, *_told],
            "use_get_message": False,
            "pass_foreign_args": True,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": []},  # its own would mail and print what `logs.cut` leaves out
        # These log two lines for each sweep: 11 MB a day on an idle service.
        **{name: {"level": "WARNING"} for name in ("celery.worker.strategy", "celery.app.trace", "celery.beat")},
    },
}
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.filter_by_level,
        *_told,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
DJANGO_STRUCTLOG_TRUST_UPSTREAM_REQUEST_ID = True  # console/http/asgi.py made it, or found it sane
if env.str("SENTRY_DSN", default=""):
    import sentry_sdk

    variables.check_sentry("SENTRY_DSN")
    sentry_sdk.init(
        dsn=env.str("SENTRY_DSN"),
        send_default_pii=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        before_send=logs.error_report,
    )
