"""`manage.py holidays copy`."""

from typing import Any

from django.core.management.base import CommandParser

from orgs import clock
from orgs.management.shell import CommandRefused, SentenceCommand, SentenceParser, org_named
from orgs.public_holidays import copy_holidays
from orgs.years import FIRST_YEAR, LAST_YEAR


class Command(SentenceCommand):
    help = "Holidays of an org: Indonesia's, with collective leave, to start from."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="sub", metavar="COMMAND", required=True, parser_class=SentenceParser)
        copy = verbs.add_parser("copy", help="add those that the org has not; what it has stays")
        copy.add_argument("--org", required=True, metavar="ID")
        copy.add_argument("--year", type=int, action="append", metavar="YEAR", help="default: this one and the next")

    def work(self, options: dict[str, Any]) -> None:
        """Copy them. Raises CommandRefused for an unknown org or a year out of reach."""
        this = clock.now().year
        years = options["year"] or [this, this + 1]
        if any(not FIRST_YEAR <= year <= LAST_YEAR for year in years):
            raise CommandRefused(f"--year: from {FIRST_YEAR} to {LAST_YEAR}.")
        added = copy_holidays(org_named(options["org"]), years)
        self.say(f"{added} holidays added.")
