"""`manage.py apikey create`."""

import functools
from typing import Any

from django.core.management.base import CommandParser

from orgs import keys
from orgs.management.shell import CommandRefused, ShellCommand, org_named, whole_number
from orgs.models import ApiKey, Source


class Command(ShellCommand):
    help = "Issue an API key for a source."
    verb_help = "print a new key, once"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--source", required=True, metavar="N", help="the source's name")
        parser.add_argument("--scopes", required=True, help="ingest,read,act or some of them")
        days = functools.partial(whole_number, least=1, most=3650)
        parser.add_argument("--expires", type=days, metavar="DAYS", help="default: never")
        rate = functools.partial(whole_number, least=0, most=ApiKey.FASTEST)
        parser.add_argument("--rate", type=rate, metavar="PER_MINUTE", help="0: no limit")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--org", metavar="ID", help="where sources of several orgs have this name")
        which.add_argument("--platform", action="store_true", help="the platform source of this name")

    def work(self, options: dict[str, Any]) -> None:
        """Print the key alone. Raises CommandRefused for an unknown source or scope, or a third live key."""
        source = _source(options)
        try:
            _, secret = keys.issue(
                source,
                [scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
                expires_days=options["expires"],
                rate_per_minute=options["rate"],
            )
        except keys.UnknownScope as error:
            raise CommandRefused(f"--scopes: {str(error) or 'nothing'!r} is not ingest, read or act.") from error
        except keys.TooManyKeys as error:
            raise CommandRefused(f"Source {source.name!r} has two live keys: revoke one of them first.") from error
        self.say(secret)


def _source(options: dict[str, Any]) -> Source:
    found = Source.objects.filter(name=options["source"]).select_related("org")
    if options["org"] is not None:
        found = found.filter(org=org_named(options["org"]))
    elif options["platform"]:
        found = found.filter(org=None)
    if not found:
        raise CommandRefused(f"--source: there is no source {options['source']!r}.")
    if len(found) > 1:
        raise CommandRefused(f"--source: several sources are called {options['source']!r}: say --org or --platform.")
    return found[0]
