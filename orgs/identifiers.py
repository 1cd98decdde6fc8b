"""One spelling for each identifier, wherever it comes from: lane, webhooks, CSV, sync, admin, shell, query.

What looks the same is the same: NFC, no blanks around it, every kind of blank inside it a plain one, UUIDs in lower
case. What cannot be seen is refused: two people must never differ by a character that no page shows.
"""

import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext as _

UUID_TEXT = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
BLANK = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
# Controls, line separators, halves of surrogate pairs, formats and everything else that is drawn as nothing. What
# joins or colours the parts of one emoji may follow it.
HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
    "|(?<![\u203c-\u27bf\u2934-\u2b55\u3030\u303d\u3297\u3299\U0001f000-\U0001faff\ufe0f])[\u200d\ufe0f]"
)


class BadIdentifier(ValueError):
    """It holds a character that nobody can see; the message names it, such as U+200B."""

    def __init__(self, character: str) -> None:
        super().__init__(f"U+{ord(character):04X}")


def identifier(text: str) -> str:
    """The one spelling of `text`. Raises BadIdentifier."""
    if not (text.isascii() and text.isprintable()):
        text = BLANK.sub(" ", unicodedata.normalize("NFC", text)).strip()
        if hidden := HIDDEN.search(text):
            raise BadIdentifier(hidden[0])
    text = text.strip()
    return text.lower() if len(text) == 36 and UUID_TEXT.fullmatch(text) else text


def is_identifier(text: str) -> bool:
    """Whether `text` can be one, in whatever spelling."""
    try:
        return bool(identifier(text))
    except BadIdentifier:
        return False


def check_identifier(value: str) -> None:
    """Raise ValidationError if `value` holds a character that nobody can see."""
    try:
        identifier(value)
    except BadIdentifier as bad:
        raise ValidationError(
            _("It holds a character that cannot be seen (%(character)s)."), params={"character": str(bad)}
        ) from None


def spelled(text: str) -> str:
    """The one spelling, or `text` as it is if it cannot be an identifier: that is the name of nothing."""
    try:
        return identifier(text)
    except BadIdentifier:
        return text


def without_hidden(text: str) -> str:
    """The one spelling of a text that an older version stored: without its hidden characters."""
    return identifier(HIDDEN.sub("", text))


# --- near twins ------------------------------------------------------------------------------------------------------


def twin_key(text: str) -> str:
    """The same for identifiers that people take for each other: `Rina`, `rina ` and `ri na`; full width, ligatures."""
    folded = unicodedata.normalize("NFKC", HIDDEN.sub("", text)).casefold()
    return "".join(folded.split()) or text


class Twins:
    """Identifiers that are known, to ask whether a new one could be meant for one of them."""

    def __init__(self, known: Iterable[str]) -> None:
        self._of: dict[str, list[str]] = {}
        for one in known:
            self.add(one)

    def add(self, known: str) -> None:
        self._of.setdefault(twin_key(known), []).append(known)

    def of(self, text: str) -> str:
        """A known one that looks like `text`; empty: there is none, or `text` itself is known."""
        alike = self._of.get(twin_key(text), [])
        return "" if text in alike else next(iter(alike), "")


# --- in the database -------------------------------------------------------------------------------------------------


class IdentifierField(models.CharField):
    """Text that is stored, and looked for, in its one spelling. For the schema it is a CharField like any other."""

    def to_python(self, value: Any) -> Any:
        value = super().to_python(value)
        if isinstance(value, str):
            check_identifier(value)
            return identifier(value)
        return value

    def get_prep_value(self, value: Any) -> Any:
        value = super(models.CharField, self).get_prep_value(value)
        return spelled(value) if isinstance(value, str) else super().to_python(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)
        if isinstance(value, str):
            value = spelled(value)
            setattr(model_instance, self.attname, value)
        return value

    def deconstruct(self) -> Any:
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.CharField", args, kwargs
