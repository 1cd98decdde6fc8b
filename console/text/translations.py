"""Which texts need a translation, and which have one: read from the sources, without gettext's tools."""

import ast
import gettext
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation.template import templatize

CALLS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy"}
CODE = ("alerts", "console", "orgs", "runs")
TEMPLATES = ("templates", "alerts/templates", "console/templates", "orgs/templates")
NO_TEXTS = {"migrations"}
IN_TEMPLATE = re.compile(r"""\b(?:n?gettext|_)\(\s*u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
ENTRY = re.compile(r'^(msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?) (".*")$')
IN_CONTEXT = "{context}\x04{text}".format  # as gettext itself keeps a text that means two things


def wanted(base: Path) -> set[str]:
    """Every msgid of our sources: Python code and templates."""
    found: set[str] = set()
    for folder in CODE:
        for path in (base / folder).rglob("*.py"):
            if not NO_TEXTS & set(path.parts):
                found |= set(_calls(path.read_text()))
    for folder in TEMPLATES:
        for path in (base / folder).rglob("*.*"):
            if path.suffix in (".html", ".txt"):
                blanked = templatize(path.read_text(), origin=str(path))  # all but the texts is X-ed out
                found |= {str(ast.literal_eval(literal)) for literal in IN_TEMPLATE.findall(blanked)}
    return found - {""}


def _calls(source: str) -> Iterator[str]:
    """The first argument of every call to a translating function, in f-strings too (where makemessages sees none)."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        said = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        if name in CALLS and said and isinstance(node.args[0], ast.Constant):
            yield said[0]
        elif name in ("pgettext", "pgettext_lazy") and len(said) == 2:
            yield IN_CONTEXT(context=said[0], text=said[1])


def _value(literal: str) -> str:
    return str(ast.literal_eval(literal))


@dataclass(frozen=True)
class Entry:
    """One entry of a .po file; a text in a context is named with it."""

    msgid: str
    translations: tuple[str, ...]
    fuzzy: bool


def entries(path: Path) -> list[Entry]:
    """The entries of a .po file, its header left out."""
    return [entry for entry in map(_entry, path.read_text().split("\n\n")) if entry is not None and entry.msgid]


def _entry(block: str) -> Entry | None:
    parts: dict[str, str] = {}
    current = ""
    fuzzy = False
    for line in block.splitlines():
        match = ENTRY.match(line)
        if line.startswith("#"):
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
        elif match:
            current = match[1]
            parts[current] = _value(match[2])
        elif current and line.startswith('"'):
            parts[current] += _value(line)
    if "msgid" not in parts:
        return None
    said = tuple(text for name, text in parts.items() if name.startswith("msgstr"))
    context = parts.get("msgctxt", "")
    msgid = IN_CONTEXT(context=context, text=parts["msgid"]) if context else parts["msgid"]
    return Entry(msgid, said, fuzzy)


def complaints(base: Path, language: str) -> list[str]:
    """What is wrong with a language: missing, left over, untranslated, fuzzy, or a .mo that is not of this .po."""
    folder = base / "locale" / language / "LC_MESSAGES"
    found = entries(folder / "django.po")
    known, needed = {entry.msgid for entry in found}, wanted(base)
    wrong = [f"missing: {text!r}" for text in sorted(needed - known)]
    wrong += [f"no longer used: {text!r}" for text in sorted(known - needed)]
    wrong += [f"untranslated: {e.msgid!r}" for e in found if not all(e.translations)]
    wrong += [f"fuzzy: {e.msgid!r}" for e in found if e.fuzzy]
    with (folder / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    stale = [e.msgid for e in found if all(e.translations) and _compiled(compiled, e.msgid) != e.translations[0]]
    return wrong + [f"not compiled: {text!r}" for text in stale]


def _compiled(catalog: gettext.GNUTranslations, msgid: str) -> str:
    plain = catalog.gettext(msgid)
    return plain if plain != msgid else catalog.ngettext(msgid, msgid, 1)
