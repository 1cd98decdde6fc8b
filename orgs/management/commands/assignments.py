"""`manage.py assignments import`."""

import argparse
from pathlib import Path
from typing import Any

from orgs import imports
from orgs.management.shell import CommandRefused, ShellCommand


class Command(ShellCommand):
    help = "Say who stands behind which supervisor role."

    def add_subcommands(self, subcommands: "argparse._SubParsersAction[Any]") -> None:
        load = subcommands.add_parser("import", help=f"read a CSV file: {','.join(imports.COLUMNS)}")
        load.add_argument("file", type=Path, metavar="FILE.csv")
        load.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        load.set_defaults(run=self.load)

    def load(self, options: dict[str, Any]) -> None:
        """Import all lines or none. Raises Refused if the file or any line is refused."""
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
