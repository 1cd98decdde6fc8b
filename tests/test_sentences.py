"""Every decision is a sentence that says who and when, in both languages; no text is left untranslated."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation
from django.utils.html import strip_tags

from alerts.models import Alert, Room, Transition
from console.pages.alert import changes
from console.text import sentences, wording
from console.text.sentences import BECAUSE, ENDED, QUIETLY, Told, telling
from console.text.translations import Entry, complaints, entries, wanted
from demo.simulator.words import HANDOFF_REASONS
from orgs.models import Agent, Org, User
from orgs.signals import SIGNALS

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
RINA, BAYU = User(sso_id="rina", name="Rina Wulandari"), User(sso_id="bayu", name="Bayu Pratama")
SINTA, YOGA = User(sso_id="sinta", name="Sinta Maharani"), User(sso_id="yoga", name="Yoga Saputra")


def plain(text: str) -> str:
    """What somebody reads who is not named in it."""
    text = re.sub(r"<span data-yours hidden>.*?</span>(?=</span>)", "", text)
    return strip_tags(text).strip()


@pytest.fixture(params=["en", "id"])
def language(request: pytest.FixtureRequest) -> Iterator[str]:
    with translation.override(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with translation.override("en"):
        yield


def alert(**fields: object) -> Alert:
    org = Org(name="Toko", zone="Asia/Jakarta")
    room = Room(org=org, room_id="r1", human_since=fields.pop("human_since", None), human=fields.pop("human", None))
    return Alert(org=org, room=room, agent=Agent(name="Refund Guide"), severity="critical", **fields)


def test_who_was_pushed_to_and_why() -> None:
    told = [Told(RINA, "sent"), Told(BAYU, "pending")]
    ((text, push),) = telling("first", told, NOW - timedelta(seconds=58), NOW)
    assert plain(text) == "Pushed to Rina and Bayu 58 s ago: first failure in this room."
    assert push


def test_who_was_not_pushed_to_and_when_they_were_told() -> None:
    before = NOW - timedelta(minutes=2)
    told = [Told(RINA, "sent"), Told(BAYU, "skipped", "throttled", before)]
    first, second = telling("rearmed", told, None, NOW)
    assert plain(first[0]) == "Pushed again to Rina: it failed again."
    assert plain(second[0]) == "Not pushed: Bayu was told 2 min before."
    assert not second[1]


def test_several_of_one_reason_stand_behind_it_so_that_you_may_begin_no_sentence() -> None:
    told = [Told(one, "skipped", "over_budget") for one in (RINA, BAYU)]
    ((text, push),) = telling("first", told, NOW, NOW)
    said = "Not pushed alone: too many at this time, so the next digest names it. (Rina and Bayu)"
    assert plain(text) == said and not push
    with wording.read_by(RINA):
        ((text, _),) = telling("first", told, NOW, NOW)
    assert plain(text) == said.replace("Rina", "you")


def test_one_person_reads_the_sentence_with_you() -> None:
    text = sentences.not_pushed([RINA], wording.ago(NOW - timedelta(minutes=2), NOW))
    assert "<span data-yours hidden>Not pushed: you were told " in text
    assert 'data-person="rina"' in text


def test_many_people_are_named_and_counted() -> None:
    assert plain(wording.people([RINA, BAYU, SINTA])) == "Rina, Bayu and Sinta"
    assert plain(wording.people([RINA, BAYU, SINTA, YOGA])) == "Rina, Bayu, Sinta and 1 more"
    assert plain(wording.people([])) == ""


def test_nobody_can_be_told() -> None:
    assert plain(sentences.unroutable("Refund Guide")) == "Nobody can be told: no supervisor backs up Refund Guide."


def test_names_that_say_little_keep_their_second_word() -> None:
    assert wording.short_name("Muhammad Rizki Pratama") == "Muhammad Rizki"
    assert wording.short_name("Rina Wulandari") == "Rina"
    assert wording.initials("Rina Sari Wulandari") == "RW"


def test_a_name_is_text_never_markup() -> None:
    evil = User(sso_id='"><script>', name="<script>alert(1)</script>")
    for text in (wording.person(evil), sentences.not_pushed([evil], wording.ago(NOW, NOW))):
        assert "<script" not in text


def test_clocks_and_lengths_in_both_languages() -> None:
    assert (wording.duration(278), wording.duration(3900)) == ("04:38", "1 h 05")
    assert [wording.span(n) for n in (20, 300, 7200, 3 * 86400)] == ["20 s", "5 min", "2 h", "3 days"]
    assert plain(wording.clock(NOW, "Asia/Jakarta")) == "10:00"
    with translation.override("id"):
        assert (wording.duration(278), wording.duration(3900)) == ("04:38", "1 jam 05")
        assert [wording.span(n) for n in (20, 300, 7200, 3 * 86400)] == ["20 dtk", "5 mnt", "2 jam", "3 hari"]
        assert plain(wording.clock(NOW, "Asia/Jakarta")) == "10.00"


def test_a_snoozed_alert_says_until_when() -> None:
    snoozed = alert(state="open", last_reason="first", snoozed_until=NOW + timedelta(minutes=15))
    text = sentences.last_decision(snoozed, [], "Asia/Jakarta", NOW)
    assert plain(text) == "Snoozed until 10:15; getting worse breaks it."


def test_a_time_of_another_day_says_the_day() -> None:
    late = NOW + timedelta(hours=13, minutes=50)  # 23:50 in Jakarta
    assert plain(wording.moment(late, "Asia/Jakarta", NOW, seconds=True)) == "23:50:00"
    assert plain(wording.moment(late + timedelta(minutes=20), "Asia/Jakarta", NOW, seconds=True)) == "5 May 00:10"
    assert plain(wording.moment(late + timedelta(minutes=20), "UTC", NOW)) == "17:10"
    snoozed = alert(state="open", last_reason="first", snoozed_until=NOW + timedelta(hours=21))
    text = sentences.last_decision(snoozed, [], "Asia/Jakarta", NOW)
    assert plain(text) == "Snoozed until 5 May 07:00; getting worse breaks it."


def test_who_took_it_and_when_it_opens_again() -> None:
    taken = alert(
        state="acknowledged",
        assigned_to=BAYU,
        acknowledged_by=BAYU,
        acknowledged_at=NOW - timedelta(minutes=1),
        acknowledge_expires_at=NOW + timedelta(minutes=4),
    )
    who, why = sentences.on_it(taken, "Asia/Jakarta", NOW, None)
    assert plain(who) == "Bayu took it 1 min ago"
    assert plain(why) == "Not in the room yet. Opens again at 10:04 if nobody enters."


def test_who_is_in_the_room() -> None:
    held = alert(state="intervened", intervened_by=RINA, human_since=NOW, human=RINA)
    assert plain(sentences.in_room(held, NOW)[0]) == "Rina is in the room"
    left = alert(state="intervened", intervened_by=RINA)
    assert plain(sentences.in_room(left, NOW)[0]) == "Rina was in the room"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("human", "Resolved by Bayu 4 min ago"),
        ("quiet", "Closed: quiet for 30 min"),
        ("abandoned", "Closed after 24 h: nobody came"),
    ],
)
def test_how_it_ended(kind: str, text: str) -> None:
    ended = alert(state="resolved", resolved_kind=kind, resolved_by=BAYU, resolved_at=NOW - timedelta(minutes=4))
    assert plain(sentences.ended(ended, NOW)) == text


def test_every_reason_of_the_rules_has_a_sentence(language: str) -> None:
    """Every reason of a decision, and every reason of a push."""
    reasons = {"first", "worsened", "repeat_due", "rearmed", "escalated"}
    quiet = {"attached", "late", "human_present", "acknowledged", "snoozed", "above_threshold"}
    ended = {"throttled", "superseded", "expired", "no_longer_needed", "removed", "refused", "gave_up"}
    assert reasons <= set(BECAUSE)
    assert quiet <= set(QUIETLY)
    assert ended <= set(ENDED)
    for text in [*BECAUSE.values(), *QUIETLY.values(), *ENDED.values()]:
        assert str(text).endswith(".")


RAW = re.compile(r"[a-z]+_[a-z_]+|^(policy|quiet|late|first)$")


def unquoted(text: str) -> str:
    return re.sub(r"“.*?”", "", plain(text))


def every_sentence() -> Iterator[str]:
    """All that is said of reasons and changes: known ones, and one that a newer sender or rule brings."""
    shown = alert(id=None, last_reason="first", ladder_from=NOW)
    for reason in [*BECAUSE, *QUIETLY, *ENDED, *SIGNALS, "a_new_code", ""]:
        for told in ([], [Told(RINA, "sent")], [Told(BAYU, "skipped", reason, NOW)]):
            yield from (text for text, _ in telling(reason, told, NOW, NOW))
            shown.last_reason = reason
            yield sentences.last_decision(shown, told, "Asia/Jakarta", NOW)
        yield sentences.quietly(reason)
        yield sentences.why_not(reason)
        for change in [*Transition.Change.values, "a_new_change"]:
            for who in (RINA, None):
                made = Transition(alert=shown, at=NOW, change=change, reason=reason, actor=who)
                yield changes.change_title(made, shown)
                made.detail = {"cause": "assigned", "name": "Bayu", "sso_id": "bayu", "from": "info", "to": "critical"}
                yield changes.change_title(made, shown)
    for reason in [*HANDOFF_REASONS, *sentences.SAID_BY_SENDERS, "a_new_code", "policy"]:
        yield sentences.as_said(reason)


def test_no_sentence_says_a_code(language: str) -> None:
    assert [text for text in every_sentence() if RAW.search(unquoted(text))] == []
    assert plain(sentences.as_said("brand_new")) == "“brand_new”"
    assert plain(sentences.as_said("")) == ""


def test_every_text_is_translated() -> None:
    out = StringIO()
    call_command("check_translations", stdout=out)
    assert "Every text is translated." in out.getvalue()


def test_a_text_without_a_translation_fails_the_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.text.translations.wanted", lambda base: {"A new text"})
    with pytest.raises(CommandError, match="missing: 'A new text'"):
        call_command("check_translations")


def test_fuzzy_and_empty_entries_fail_the_check(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Entry("Take it", ("",), False), Entry("Live", ("Pantauan",), True)]
    monkeypatch.setattr("console.text.translations.entries", lambda path: found)
    monkeypatch.setattr("console.text.translations.wanted", lambda base: {"Take it", "Live"})
    from django.conf import settings

    wrong = complaints(settings.BASE_DIR, "id")
    assert wrong == ["untranslated: 'Take it'", "fuzzy: 'Live'"]


def test_texts_are_found_in_code_and_templates() -> None:
    from django.conf import settings

    texts = wanted(settings.BASE_DIR)
    assert {"Take it", "Skip to content", "{n} push is in line again.", "Waiting for a human"} <= texts
    assert len(entries(settings.BASE_DIR / "locale/id/LC_MESSAGES/django.po")) == len(texts)
