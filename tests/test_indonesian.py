"""The Indonesian catalogue: one word for one thing, as a supervisor would say it."""

import ast
import re
from datetime import datetime

import pytest
from django.conf import settings
from django.template import Context, Template
from django.utils import translation

from console.text import wording
from console.text.translations import Entry, entries

# English that is meant -> what it must never be called. "": in every text.
NEVER = [
    ("", r"\btak\b"),
    ("", r"\bmanusia\b"),
    ("", r"\bperistiwa\b"),
    ("", r"\b[Ss]aringan\b"),
    ("", r"\btangga kegagalan\b"),
    ("", r"\bkata terakhir\b"),
    ("", r"\bagen produksi\b"),
    ("", r"\bketua organisasi\b"),
    ("", r"\bsenyap\b"),
    ("", r"\bsiaran langsung\b"),
    ("", r"\busang\b"),
    ("", r"\b(error agen|keyakinan rendah)\b"),
    ("", r"\buji\b"),
    ("", r"\bselang\b"),
    ("", r"\bruang\b"),
    (r"\bheld\b", r"\b(ditahan|penahanan)\b"),
    (r"\bseverit", r"\btingkat\b"),
    (r"\btiers?\b", r"\bkeparahan\b"),
    (r"^Live$", r"^Langsung$"),
    (r"^Nobody yet$", r"^Belum ada$"),
    (r"^Confirmed$", r"^Benar$"),
    (r"^Ingest$", r"^Kirim$"),
]  # fmt: skip
MUST = {
    "{n} alerts need a human": "{n} peringatan perlu ditangani",
    "Live": "Pantauan",
    "connection\x04Live": "Langsung",
    "Pause live": "Jeda pembaruan",
    "Stale": "Terputus",
    "Nobody yet": "Belum ditangani",
    "Agent error": "Agen error",
    "Low confidence": "Agen kurang yakin",
    "Silent source": "Sumber tidak mengirim data",
    "Failure ladder": "Urutan kegagalan",
    "A human agent": "Petugas",
    "Confirmed": "Memang gagal",
    "Interval": "Rentang keyakinan",
    "The customer's last words": "Pesan terakhir pelanggan",
    "Filters": "Filter",
    "Severity": "Keparahan",
    "Tier": "Tingkat",
    "Ingest": "Terima data",
    "Lead": "Pimpinan tim",
    "external id": "ID eksternal",
    "Test": "Tes",
    "No agent in production yet": "Belum ada agen aktif",
}


def catalogue() -> list[Entry]:
    return entries(settings.BASE_DIR / "locale/id/LC_MESSAGES/django.po")


@pytest.mark.parametrize(("meant", "never"), NEVER)
def test_no_text_uses_a_word_we_gave_up(meant: str, never: str) -> None:
    said = [(one.msgid, text) for one in catalogue() if re.search(meant, one.msgid) for text in one.translations]
    assert said
    assert [pair for pair in said if re.search(never, pair[1], re.IGNORECASE)] == []


def test_each_word_is_the_one_that_was_chosen() -> None:
    said = {one.msgid: one.translations[0] for one in catalogue()}
    assert {text: said.get(text) for text in MUST} == MUST
    assert "ditunda dulu" in said["%(n)s is held, none is lost. Watch this board."]


def test_an_id_is_an_ID() -> None:
    assert [
        text for one in catalogue() for text in one.translations if re.search(r"(?<![{(])\b[Ii]d\b(?!\))", text)
    ] == []


def test_a_text_keeps_its_end_and_its_spaces() -> None:
    """A sentence stays a sentence, a label a label."""
    ends = re.compile(r"[.:?!…]?\s*$")
    wrong = [
        (one.msgid, text)
        for one in catalogue()
        for text in one.translations
        if ends.search(text)[0] != ends.search(one.msgid)[0] or text != text.strip() or "  " in text  # type: ignore[index]
    ]
    assert wrong == []


def test_a_counted_text_stands_where_it_is_said() -> None:
    """makemessages reads literals alone: a text that reaches ngettext in a variable is English in every language."""
    calls = [
        (f"{path}:{node.lineno}", node.args[:2])
        for root in ("alerts", "console", "orgs", "runs")
        for path in sorted((settings.BASE_DIR / root).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.startswith("ngettext")
    ]
    hidden = [where for where, texts in calls if not all(isinstance(text, ast.Constant) for text in texts)]
    assert hidden == []


def test_a_clock_has_a_colon_and_a_time_of_day_a_full_stop() -> None:
    at = datetime.fromisoformat("2026-05-04T14:16:00+00:00")
    with translation.override("id"):
        assert (wording.duration(26 * 60 + 50), wording.span(43)) == ("26:50", "43 dtk")
        assert wording.clock(at, "Asia/Jakarta").endswith(">21.16</time>")


def test_a_plain_text_is_said_as_django_says_it() -> None:
    for text in ("Live", "Nobody's", "100 % of it"):
        for language in ("en", "id"):
            with translation.override(language):
                ours, theirs = (
                    Template(f'{{% load {libraries} %}}{{% translate "{text}" %}}').render(Context())
                    for libraries in ("i18n lm", "i18n")
                )
            assert ours == theirs
    with translation.override("id"):
        assert Template('{% load i18n lm %}{% translate "Duty" %}').render(Context()) != "Duty"
