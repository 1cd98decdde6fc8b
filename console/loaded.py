"""What a process loaded at its start, and keeps."""

import gc
from importlib import import_module

from django.conf import settings


def keep_loaded(*, pages: bool) -> None:
    """Let no garbage collection look through what is loaded: each full one stopped the process for 100 ms and more.

    `pages`: load what the first page would load first.
    """
    if pages:
        import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
