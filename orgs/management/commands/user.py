"""`manage.py user invite`."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import IntegrityError, transaction

from orgs import invitations
from orgs.management.shell import CommandRefused, ShellCommand, checked
from orgs.models import User


class Command(ShellCommand):
    help = "Invite a person to the console."
    verb, verb_help = "invite", "print a single-use link that lasts 7 days"

    def add_options(self, parser: CommandParser) -> None:
        parser.add_argument("--sso-id", required=True, metavar="ID")
        parser.add_argument("--email", required=True, metavar="MAIL")
        parser.add_argument("--specialist", action="store_true", help="sees every org and the admin")

    def work(self, options: dict[str, Any]) -> None:
        """Make the person, or take the one known by this SSO id, and print the link.

        A link that was never used is replaced by a new one. Raises CommandRefused if the person has a password,
        another e-mail address, or the address belongs to somebody else.
        """
        try:
            with transaction.atomic():
                self.say(invitations.invite(self._person(**options)))
        except invitations.CannotInvite as error:
            raise CommandRefused(str(error)) from error
        except IntegrityError:
            raise CommandRefused(f"Somebody else made {options['sso_id']!r} at the same moment.") from None

    def _person(self, sso_id: str, email: str, specialist: bool, **_: Any) -> User:
        try:
            person = invitations.person_to_invite(sso_id, email)
        except invitations.WrongPerson as wrong:
            raise CommandRefused(f"--{wrong.field}: {wrong}") from wrong
        if person.has_usable_password():
            raise CommandRefused(f"{sso_id!r} has a password already; `changepassword {person.email}` sets a new one.")
        person.is_specialist = person.is_specialist or specialist
        checked(person, {"sso_id": "--sso-id", "email": "--email"})
        if person._state.adding:
            self.name_twin("sso_id", person.sso_id, User.objects.all())
        person.save()
        return person
