"""`manage.py assignments import`."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from orgs import imports
from orgs.management.shell import CommandRefused, ShellCommand


class Command(ShellCommand):
    help = "Say who stands behind which supervisor role."
    verb, verb_help = "import", f"read a CSV file: {','.join(imports.COLUMNS)}"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")

    def work(self, options: dict[str, Any]) -> None:
        """Import all lines or none. Raises CommandRefused if the file or any line is refused."""
        try:
            with options["file"].open("rb") as file:
                content = file.read(imports.MOST_BYTES + 1)
            result = imports.run(content, dry_run=options["dry_run"])
        except OSError as error:
            raise CommandRefused(f"{options['file']} cannot be read: {error.strerror}.") from error
        except imports.Unreadable as error:
            raise CommandRefused(f"{options['file']}: {error}") from error
        for line in result.lines:
            if line.outcome != imports.UNCHANGED:
                column = f" (column {line.wrong.column})" if line.wrong else ""
                self.say(f"line {line.number}: {line.outcome}: {line.said}{column}")
        self.say(f"{result.summary()}{' (dry run)' if options['dry_run'] else ''}")
        if result.refused:
            raise CommandRefused("Nothing was written: correct the refused lines first.")
