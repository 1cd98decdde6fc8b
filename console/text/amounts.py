"""Amounts as people read them: numbers, shares, lengths of time, money; a dash for none."""

from functools import lru_cache

from django.utils.formats import number_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _


def decimal(value: float | None, places: int = 1) -> str:
    """A number with so many places; a dash for none."""
    return "–" if value is None else _written(round(value, places), places, get_language())


@lru_cache(maxsize=5000)  # a page has hundreds, mostly those of the last time
def _written(value: float, places: int, language: str | None) -> str:
    return number_format(value, places, use_l10n=True)


def percent(value: float | None) -> str:
    """`8.9 %`"""
    return "–" if value is None else f"{decimal(value)} %"


def seconds(value: float | None) -> str:
    """`6.3 s`, `4.2 min`, `1.5 h`"""
    number, unit = seconds_parts(value)
    return f"{number} {unit}".strip()


def seconds_parts(value: float | None) -> tuple[str, str]:
    """A length of time as number and unit."""
    if value is None:
        return "–", ""
    if value < 120:
        return decimal(value), _("s")
    return (decimal(value / 60), _("min")) if value < 7200 else (decimal(value / 3600), _("h"))


def dollars(value: float | None) -> str:
    """`$0.041`; two places that tell something."""
    if value is None:
        return "–"
    return f"${decimal(value, 2 if value >= 10 else 3 if value >= 0.01 or value == 0 else 5)}"


def whole(n: int) -> str:
    """`12,480`"""
    return _written(n, 0, get_language())
