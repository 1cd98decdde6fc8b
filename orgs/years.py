"""The years in which there is anything to look at: what lies further off is refused before anybody reckons with it.
Pure.
"""

from datetime import date

FIRST_YEAR, LAST_YEAR = 2000, 2100


def off_years(starts: date | None, ends: date | None) -> tuple[str, str] | None:
    """`from` or `to`, whichever of these days or instants lies further off, and what to say of it; None: neither."""
    for field, moment in (("from", starts), ("to", ends)):
        if moment is not None and not FIRST_YEAR <= moment.year <= LAST_YEAR:
            return field, f"{field} must be in the years {FIRST_YEAR} to {LAST_YEAR}."
    return None
