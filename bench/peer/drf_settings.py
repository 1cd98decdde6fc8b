"""Our settings with the peer's front door: before its view only what the installed apps insist on."""

from console.settings import *  # noqa: F403
from console.settings import MIDDLEWARE

ROOT_URLCONF = "bench.peer.drf"
MIDDLEWARE[:] = ["django.middleware.common.CommonMiddleware", "allauth.account.middleware.AccountMiddleware"]
