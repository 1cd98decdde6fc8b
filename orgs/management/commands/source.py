"""`manage.py source create`."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import IntegrityError

from orgs.management.shell import CommandRefused, ShellCommand, checked, org_named
from orgs.models import Source


class Command(ShellCommand):
    help = "Make a source: a sending system."
    verb_help = "make a source"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--name", required=True)
        kind = parser.add_mutually_exclusive_group(required=True)
        kind.add_argument("--org", metavar="ID", help="it writes for this org only")
        kind.add_argument("--platform", action="store_true", help="it names the org in every item")
        parser.add_argument(
            "--origin",
            action="append",
            default=[],
            metavar="URL",
            help="a web page's origin that may send with a client token, such as https://shop.example; repeatable",
        )

    def work(self, options: dict[str, Any]) -> None:
        """Make the source. Raises CommandRefused if the org is unknown or has a source of this name."""
        org = org_named(options["org"]) if options["org"] is not None else None
        place = f"of org {org.external_id}" if org else "of the platform"
        taken = CommandRefused(f"There is a source {options['name']!r} {place} already.")
        if Source.objects.filter(org=org, name=options["name"]).exists():
            raise taken
        source = Source(org=org, name=options["name"], allowed_origins=list(dict.fromkeys(options["origin"])))
        checked(source, {"name": "--name", "allowed_origins": "--origin"})
        try:
            source.save()
        except IntegrityError:
            raise taken from None
        self.say(f"Source {source.name} {place} made.")
