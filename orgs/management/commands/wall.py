"""`manage.py wall create|list|revoke`."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from orgs import clock
from orgs.management.shell import CommandRefused, SentenceCommand, SentenceParser, org_named
from orgs.models import NAME, THEMES, Wall
from orgs.walls import make_wall, revoke_wall


class Command(SentenceCommand):
    help = "Wall boards of an org: the live board for a television, read only, without a log-in."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="sub", metavar="COMMAND", required=True, parser_class=SentenceParser)
        create = verbs.add_parser("create", help="make one; prints its address, once")
        create.add_argument("--org", required=True, metavar="ID")
        create.add_argument("--name", default="", help="where it hangs")
        create.add_argument("--language", default="", choices=[code for code, _ in settings.LANGUAGES])
        create.add_argument("--theme", default="dark", choices=[theme for theme, _ in THEMES])
        create.set_defaults(run=self.create)
        listed = verbs.add_parser("list", help="print the id and name of each that is live")
        listed.add_argument("--org", required=True, metavar="ID")
        listed.set_defaults(run=self.show)
        revoke = verbs.add_parser("revoke", help="end one, or all of an org, for good")
        revoke.add_argument("--org", required=True, metavar="ID")
        which = revoke.add_mutually_exclusive_group(required=True)
        which.add_argument("--id", metavar="ID", help="the first part of its address, before the dot")
        which.add_argument("--all", action="store_true")
        revoke.set_defaults(run=self.revoke)

    def work(self, options: dict[str, Any]) -> None:
        """Make, list or revoke. Raises CommandRefused."""
        options["run"](options)

    def create(self, options: dict[str, Any]) -> None:
        """Print the address, which is shown once. Raises CommandRefused for an unknown org or a long name."""
        org = org_named(options["org"])
        if len(options["name"]) > NAME:
            raise CommandRefused(f"--name: at most {NAME} characters.")
        _, url = make_wall(org, options["name"], locale=options["language"], theme=options["theme"])
        self.say(url)

    def show(self, options: dict[str, Any]) -> None:
        """One line for each live wall board. Raises CommandRefused for an unknown org."""
        for one in Wall.objects.filter(org=org_named(options["org"]), revoked_at=None):
            self.say(f"{one.public_id} {one.name}".rstrip())

    def revoke(self, options: dict[str, Any]) -> None:
        """Revoke. Raises CommandRefused if the org has no such live wall board."""
        org = org_named(options["org"])
        live = Wall.objects.filter(org=org, revoked_at=None)
        found = list(live if options["all"] else live.filter(public_id=options["id"]))
        if not found:
            which = "no live wall board" if options["all"] else f"no live wall board {options['id']!r}"
            raise CommandRefused(f"Org {org.external_id!r} has {which}.")
        for one in found:
            revoke_wall(one, clock.now())
            self.say(f"Wall board {one} is revoked.")
