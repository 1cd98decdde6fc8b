"""How many generated examples a test tries: as many as it names, or what the profile of `bin/test --fast` allows."""

from hypothesis import settings


def at_most(many: int) -> int:
    """So many, or fewer where the profile says so."""
    return min(many, settings.default.max_examples)
