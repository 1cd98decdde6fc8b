"""Numbers as people read them, headlines that agree with what is below, pages without data that lead on."""

import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation

from alerts.models import Alert
from console.live.rows import rank_of, render_rows
from console.text import sentences
from console.text.translations import wanted
from orgs.models import Org
from tests.api_client import signed_in, supervisor_of
from tests.factories import MembershipFactory, OrgFactory, UserFactory
from tests.scene import Scene


def body(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def test_numbers_have_separators_for_people_and_none_for_scripts(system: None, org: Org) -> None:
    scene = Scene(org)
    scene.fails()
    alert = scene.alert()
    Alert.objects.filter(pk=alert.pk).update(version=12_345)
    for language, said in (("en", "1,234 failure events"), ("id", "1.234 kejadian gagal")):
        with translation.override(language):
            assert sentences.failures(1_234).startswith(said)
            badge = render_to_string("pages/frame/_waiting_count.html", {"shell": SimpleNamespace(waiting=1_234)})
            assert f">{said.split()[0]}<" in badge
        (row,) = render_rows([alert.pk], [language])[language].values()
        assert 'data-version="12345"' in row.html and f'data-rank="{rank_of(alert)}"' in row.html


def test_the_headline_of_a_board_without_data_agrees_with_it(db: None) -> None:
    page = body(signed_in(supervisor_of(OrgFactory())).get("/"))
    assert "No data yet" in page
    assert '<h1 data-headline data-none="Nothing is known yet">Nothing is known yet</h1>' in page


def test_an_empty_page_tells_each_reader_what_is_next(org: Org) -> None:
    lead, supervisor = supervisor_of(org), supervisor_of(org)
    MembershipFactory(org=org, user=lead, role="lead")
    specialist = signed_in(UserFactory(is_specialist=True))
    assert "A specialist connects agents: ask one." in body(signed_in(supervisor).get("/reach"))
    assert "Go on with the setup" in body(signed_in(lead).get("/reach"))
    assert "ask a specialist for a key" in body(signed_in(lead).get("/sources"))
    page = body(specialist.get("/sources"))
    assert reverse("admin:orgs_source_add") in page and "ask a specialist" not in page


def test_the_menu_leads_to_no_page_for_machines(org: Org) -> None:
    assert reverse("api_docs") not in body(signed_in(supervisor_of(org)).get("/"))
    assert reverse("api_docs") in body(signed_in(UserFactory(is_specialist=True)).get("/sources"))


@cache
def texts(base: Path) -> frozenset[str]:
    """Every text of ours, read once for all of these.

    CPython 3.11's parser trips over another thread that parses at the same time, as one does that writes a traceback.
    """
    for _ in range(5):
        with suppress(SystemError):
            return frozenset(wanted(base))
    return frozenset(wanted(base))


@pytest.mark.parametrize("jargon", [r"\bheard\b", r"\bdead\b", r"\bhop\b", r"\brefuse", r"\blag\b"])
def test_texts_for_supervisors_are_free_of_our_own_words(jargon: str, settings: Any) -> None:
    """What a lead reads while importing a file is told what was refused."""
    allowed = {"refused", "Nothing can be written until the refused lines are corrected."}
    allowed |= {text for text in texts(settings.BASE_DIR) if "%(refused)d" in text or "Whoever sends with it" in text}
    found = {text for text in texts(settings.BASE_DIR) if re.search(jargon, text, re.IGNORECASE)}
    assert found - allowed == set()
