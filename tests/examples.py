"""How many generated examples a test tries: as many as it names, or what the profile allows (tests/conftest.py)."""

from hypothesis import settings

FAST, THOROUGH = 3, 1_000  # examples a profile allows at most; usually 100


def at_most(many: int, usually: int | None = None) -> int:
    """So many, or fewer where the profile says so; where one example takes long, `usually` unless it is thorough."""
    allowed = settings.default.max_examples
    return min(many if usually is None or allowed == THOROUGH else usually, allowed)
