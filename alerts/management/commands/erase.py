"""`manage.py erase`: forgets a room, or a person, and prints a certificate."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from alerts.retention.erase import LeftBehind, SubjectHeld, SubjectUnknown, erase_person, erase_room
from orgs import clock
from orgs.clock import rfc3339
from orgs.identifiers import spelled
from orgs.management.shell import CommandRefused, SentenceCommand
from orgs.models import Org


class CannotErase(CommandError):
    """Nothing was changed; the message says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, returncode=1)


class Command(SentenceCommand):
    help = "Forget a room with all that happened in it, or a person, and print a certificate as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--org", metavar="ID", help="the room's org; of a person: in this org alone")
        subject = parser.add_mutually_exclusive_group(required=True)
        subject.add_argument("--room", metavar="ROOM", help="its id in the chat product")
        subject.add_argument("--person", metavar="SSO_ID")
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")

    def work(self, options: dict[str, Any]) -> None:
        """Print `{"subject", "at", "tables", "remaining"}`. Raises CannotErase (exit 1), CommandRefused (exit 2)."""
        if options["room"] is not None and options["org"] is None:
            raise CommandRefused("--room needs --org.")
        subject = f"room {options['room']!r}" if options["room"] is not None else f"person {options['person']!r}"
        try:
            found = self._erase(options)
        except SubjectUnknown:
            where = f" in org {options['org']!r}" if options["org"] is not None else ""
            raise CannotErase(f"Nothing is known of {subject}{where}.") from None
        except (SubjectHeld, LeftBehind) as why:
            raise CannotErase(f"Nothing of {subject} was erased. {why}") from None
        self.say(json.dumps(found._asdict() | {"at": rfc3339(found.at)}, ensure_ascii=False))

    def _erase(self, options: dict[str, Any]) -> Any:
        org = None
        if options["org"] is not None:
            org = Org.objects.filter(external_id=spelled(options["org"])).first()
            if org is None:
                raise SubjectUnknown
        if options["room"] is None:
            return erase_person(spelled(options["person"]), clock.now(), org, dry_run=options["dry_run"])
        assert org is not None
        return erase_room(org, spelled(options["room"]), clock.now(), dry_run=options["dry_run"])
