"""The public holidays of a country, copied into an org's own table, where they are edited."""

from collections.abc import Iterable
from datetime import date

import holidays

from orgs.models import Holiday, Org

COUNTRY = "ID"
CATEGORIES = ("public", "government")  # of Indonesia the second is collective leave (cuti bersama)
LANGUAGES = {"id": "id", "en": "en_US"}  # ours, as the package names them


def public_holidays(years: Iterable[int], locale: str) -> dict[date, str]:
    """Days and their names in this language: national holidays and collective leave of Indonesia."""
    language = LANGUAGES.get(locale, "en_US")
    found = holidays.country_holidays(COUNTRY, years=list(years), categories=CATEGORIES, language=language)
    return dict(sorted(found.items()))


def copy_holidays(org: Org, years: Iterable[int]) -> int:
    """Add those of these years that the org has not; what it has stays as it is. Gives how many are new."""
    known = set(Holiday.objects.filter(org=org).values_list("date", flat=True))
    new = [
        Holiday(org=org, date=day, name=name)
        for day, name in public_holidays(years, org.locale).items()
        if day not in known
    ]
    Holiday.objects.bulk_create(new, ignore_conflicts=True)  # somebody else may copy them at this moment
    return len(new)


def years_without_holidays(org: Org, today: date) -> list[int]:
    """This year and the next, as far as the org has holidays but none of that year: it should look at them."""
    years = set(Holiday.objects.filter(org=org).values_list("date__year", flat=True))
    return [year for year in (today.year, today.year + 1) if years and year not in years]
