"""`manage.py webhook create`."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser

from orgs import webhooks
from orgs.identifiers import check_identifier
from orgs.management.shell import CommandRefused, ShellCommand, org_named
from orgs.models import NAME, WebhookEndpoint
from orgs.models.sources import check_network


class Command(ShellCommand):
    help = "Make a webhook endpoint of an org: the address that its chat product posts to."
    verb_help = "make an endpoint; prints its address, then the secret in it"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--kind", required=True, choices=WebhookEndpoint.Kind.values)
        parser.add_argument("--org", required=True, metavar="ID")
        parser.add_argument(
            "--organization-id",
            default="",
            metavar="ID",
            help="of the org in the chat product, where it is not the same as its external id",
        )
        parser.add_argument(
            "--allow", action="append", default=[], metavar="ADDRESS", help="only from this address or network; again"
        )

    def work(self, options: dict[str, Any]) -> None:
        """Print the address and the secret, which are shown once. Raises CommandRefused if a value is wrong."""
        org = org_named(options["org"])
        if len(options["organization_id"]) > NAME:
            raise CommandRefused(f"--organization-id: at most {NAME} characters.")
        values = [("--organization-id", check_identifier, options["organization_id"])]
        values += [("--allow", check_network, address) for address in options["allow"]]
        for option, check, value in values:
            try:
                check(value)
            except ValidationError as error:
                raise CommandRefused(f"{option}: {' '.join(error.messages)}") from error
        _, url = webhooks.create(
            org,
            options["kind"],
            organization_id=options["organization_id"],
            allowed_addresses=options["allow"],
        )
        self.say(url)
        self.say(url.rpartition(".")[2])
