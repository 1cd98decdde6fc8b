"""`manage.py purge`: deletes what is older than its org keeps it."""

from typing import Any

from django.core.management.base import CommandParser

from alerts.retention.purge import purge, purgeable
from orgs import clock
from orgs.management.shell import SentenceCommand, org_named


class Command(SentenceCommand):
    help = "Delete what is older than its org keeps it, in small batches; as often and as many at once as you like."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
        parser.add_argument("--org", metavar="ID", help="of this org alone; default: of all, and what is of none")

    def work(self, options: dict[str, Any]) -> None:
        """One line a table, `name<TAB>rows`, and a total. Raises CommandRefused for an unknown org."""
        org = org_named(options["org"]) if options["org"] is not None else None
        rows = (purgeable if options["dry_run"] else purge)(clock.now(), org)
        for table in sorted(rows):
            self.say(f"{table}\t{rows[table]}")
        self.say(f"total\t{rows.total()}")
