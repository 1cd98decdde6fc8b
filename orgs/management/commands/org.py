"""`manage.py org create`."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import IntegrityError

from orgs.management.shell import CommandRefused, ShellCommand, checked
from orgs.models import LOCALES, Org, locale_of

OPTIONS = {
    "external_id": "--external-id",
    "name": "--name",
    "zone": "--zone",
    "locale": "--locale",
    "room_url_template": "--room-url",
}


class Command(ShellCommand):
    help = "Make an org."
    verb_help = "make an org"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--external-id", required=True, metavar="ID", help="its name everywhere outside")
        parser.add_argument("--name", required=True)
        parser.add_argument("--zone", default="Asia/Jakarta", help="default %(default)s")
        parser.add_argument("--locale", default="id", type=locale_of, choices=[code for code, _ in LOCALES])
        parser.add_argument(
            "--room-url",
            dest="room_url_template",
            metavar="TEMPLATE",
            default=Org._meta.get_field("room_url_template").get_default(),
            help="with {room_id}, {org_id}, {account_id}; default %(default)s",
        )

    def work(self, options: dict[str, Any]) -> None:
        """Make the org. Raises CommandRefused if the external id is taken or a value is wrong."""
        org = Org(**{field: options[field] for field in OPTIONS})
        taken = CommandRefused(f"There is an org {org.external_id!r} already.")
        if Org.objects.filter(external_id=org.external_id).exists():
            raise taken
        checked(org, OPTIONS)
        self.name_twin("external_id", org.external_id, Org.objects.all())
        try:
            org.save()
        except IntegrityError:
            raise taken from None
        self.say(f"Org {org.external_id} ({org.name}) made: {org.zone}, {org.locale}, {org.room_url_template}")
