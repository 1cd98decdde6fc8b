"""`manage.py apikey create|list|revoke`."""

import argparse
import functools
from typing import Any

from django.core.management.base import CommandParser

from orgs import clock, keys
from orgs.clock import rfc3339
from orgs.management.shell import CommandRefused, SentenceCommand, SentenceParser, org_named, whole_number
from orgs.models import ApiKey, Source


class Command(SentenceCommand):
    help = "API keys of a source: two live at a time, so that a sender changes over without a gap."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="sub", metavar="COMMAND", required=True, parser_class=SentenceParser)
        create = verbs.add_parser("create", help="print a new key, once")
        create.set_defaults(run=self.create)
        _add_source(create)
        create.add_argument("--scopes", required=True, help="ingest,read,act or some of them")
        days = functools.partial(whole_number, least=1, most=3650)
        create.add_argument("--expires", type=days, metavar="DAYS", help="default: never")
        rate = functools.partial(whole_number, least=0, most=ApiKey.FASTEST)
        create.add_argument("--rate", type=rate, metavar="PER_MINUTE", help="0: no limit")
        listed = verbs.add_parser("list", help="print each live key of a source: its prefix, scopes, birth and end")
        listed.set_defaults(run=self.show)
        _add_source(listed)
        revoke = verbs.add_parser("revoke", help="end a key for good, and the client tokens made with it")
        revoke.set_defaults(run=self.revoke)
        revoke.add_argument("--key", required=True, metavar="PREFIX", help="what goes before the dot of the key")

    def work(self, options: dict[str, Any]) -> None:
        """Make, list or revoke. Raises CommandRefused."""
        options["run"](options)

    def create(self, options: dict[str, Any]) -> None:
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
            wrong = f"{str(error)!r} is not" if str(error) else "say"
            raise CommandRefused(f"--scopes: {wrong} ingest, read or act.") from error
        except keys.TooManyKeys as error:
            raise CommandRefused(f"Source {source.name!r} has two live keys: revoke one of them first.") from error
        self.say(secret)

    def show(self, options: dict[str, Any]) -> None:
        """One line for each live key, the oldest first. Raises CommandRefused for an unknown source."""
        for key in keys.live_keys([_source(options).pk], clock.now()):
            until = rfc3339(key.expiry_date) if key.expiry_date else "never"
            self.say(f"{key.prefix}\t{','.join(key.scopes)}\tmade {rfc3339(key.created)}\tends {until}")

    def revoke(self, options: dict[str, Any]) -> None:
        """Revoke. Raises CommandRefused if no live key begins so; a whole key is taken too, and not repeated."""
        key = keys.live_key(options["key"].partition(".")[0])
        if key is None:
            raise CommandRefused("--key: there is no live key of this prefix.")
        keys.revoke(key)
        self.say(f"Key {key.prefix} of source {key.source.name} is revoked; it is refused within 5 s.")


def _add_source(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--source", required=True, metavar="N", help="the source's name")
    which = verb.add_mutually_exclusive_group()
    which.add_argument("--org", metavar="ID", help="where sources of several orgs have this name")
    which.add_argument("--platform", action="store_true", help="the platform source of this name")


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
