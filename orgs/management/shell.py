"""What the set-up commands share: sub-commands, and one clear sentence with exit code 2 for every refusal."""

import argparse
import logging
import re
import sys
from typing import Any, NoReturn

import pghistory
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import InterfaceError, OperationalError, ProgrammingError, connections
from django.db.models import QuerySet
from django_scopes import scopes_disabled
from psycopg.errors import UndefinedTable

from orgs.database import Unusable, look
from orgs.identifiers import Twins, spelled
from orgs.logs import described
from orgs.models import Org

ITEM = re.compile(r"Item \d+ in the array did not validate: ")
NO_TABLES = "The database has not the tables of this version: run migrate first."


class CommandRefused(CommandError):
    """What was asked cannot be done; the message is one sentence for the person at the keyboard."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, returncode=2)


class SentenceParser(CommandParser):
    """Answers a wrong option with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        if not self.called_from_command_line:
            raise CommandRefused(message)
        self.exit(2, f"{self.prog}: {message} (see --help)\n")


class SentenceCommand(BaseCommand):
    """Runs `work` past the tenant scope and says in one sentence why it could not. Its name is in the history."""

    requires_system_checks = []
    suppressed_base_arguments = {
        "--version", "-v", "--settings", "--pythonpath", "--no-color", "--force-color", "--skip-checks",
    }  # fmt: skip

    def work(self, options: dict[str, Any]) -> None:
        """What the command does. Raises CommandRefused."""
        raise TypeError(f"{type(self).__name__} does no work")

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.__class__ = SentenceParser  # Django leaves no other way to choose the class of this one
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        self._called_from_command_line = True
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # one sentence says it: see database.look
        if any("\udc80" <= one <= "\udcff" for one in "".join(argv)):  # bytes of another encoding, as Python keeps them
            sys.stderr.write(f"{argv[1]}: an argument is not UTF-8.\n")
            sys.exit(2)
        options = vars(self.create_parser(argv[0], argv[1]).parse_args(argv[2:]))
        try:
            self.execute(**options)
        except CommandError as refused:
            if options.get("traceback"):
                raise
            sys.stderr.write(f"{argv[1]}: {refused}\n")
            sys.exit(refused.returncode)
        finally:
            connections.close_all()

    def handle(self, *args: Any, **options: Any) -> None:
        name = type(self).__module__.rpartition(".")[2]
        try:
            with scopes_disabled(), pghistory.context(command=f"{name} {options.get('sub', '')}".strip()):
                self.work(options)
        except (OperationalError, InterfaceError) as error:
            try:
                look()
            except Unusable as unusable:
                raise CommandRefused(str(unusable)) from error
            raise CommandRefused(f"The database failed: {described(error)}.") from error
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            raise CommandRefused(NO_TABLES) from error

    def say(self, line: str) -> None:
        self.stdout.write(line)

    def name_twin(self, what: str, value: str, known: QuerySet[Any]) -> None:
        """Say on stderr, before it is made, that something known is nearly the same."""
        if twin := Twins(known.values_list(what, flat=True)).of(spelled(value)):
            self.stderr.write(f"Note: {value!r} is nearly the same as {twin!r}, which is there already.")


class ShellCommand(SentenceCommand):
    """A command that is called with what it does, its `verb`; `verb_help` says it in a line."""

    verb, verb_help = "create", ""

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="sub", metavar="COMMAND", required=True, parser_class=SentenceParser)
        self.add_options(verbs.add_parser(self.verb, help=self.verb_help))

    def add_options(self, parser: CommandParser) -> None:
        raise TypeError(f"{type(self).__name__} declares no options")


def org_named(external_id: str) -> Org:
    """The org with this external id. Raises CommandRefused."""
    org = Org.objects.filter(external_id=external_id).first()
    if org is None:
        raise CommandRefused(f"There is no org {external_id!r}.")
    return org


def checked(instance: Any, options: dict[str, str]) -> None:
    """Validate an unsaved row; `options` maps its fields to the options they came from. Raises CommandRefused."""
    try:
        instance.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        said = ITEM.sub("", " ".join(messages))  # of a list we say what is wrong, not the number of it
        raise CommandRefused(f"{options.get(field, field)}: {said}") from error


def whole_number(text: str, least: int, most: int) -> int:
    """A whole number within bounds, for argparse. Raises ArgumentTypeError."""
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
    return int(text)
