"""What a process loaded at its start, and how seldom it looks for garbage."""

import gc
from importlib import import_module

from django.conf import settings

GARBAGE = 20_000  # objects that are made until it is looked which of them nobody needs


def keep_loaded(*, pages: bool = False) -> None:
    """Keep what is loaded for good: each full collection looked through it, which stopped all for 100 ms and more.

    What a batch is made of lives until it is answered: to look through that every 700 objects, in vain, took a third
    of the lane's time. `pages`: load what the first page would load first.
    """
    if pages:
        import_module(settings.ROOT_URLCONF)
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE)
