"""With one org chosen the board is that org's, and the picker of every page names it."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_scopes import scopes_disabled

from alerts.figures import Estimate
from alerts.models import Alert
from orgs import clock
from orgs.models import Org, SourceHeard, User
from tests.api_client import signed_in, supervisor_of
from tests.factories import AgentFactory, AlertFactory, AssignmentFactory, OrgFactory, SourceFactory, UserFactory
from tests.runs_made import made_run
from tests.test_pages import text


@pytest.fixture
def sari(db: None) -> Org:
    """An org with one agent and one open alert."""
    org = OrgFactory(name="Toko Sari", external_id="toko-sari")
    AlertFactory(org=org, agent=AgentFactory(org=org, name="Sari Bot"))
    return org


@pytest.fixture
def both(org: Org, sari: Org) -> Client:
    """Somebody of this org, which has three open alerts and a customer who waits, and of `sari`."""
    loud = AgentFactory(org=org, name="Loud Bot")
    waits = clock.now() - timedelta(hours=3)
    for _ in range(3):
        AlertFactory(org=org, agent=loud, customer_waiting_since=waits)
    user = supervisor_of(org)
    AssignmentFactory(org=sari, user=user)
    return signed_in(user)


def head(client: Client, query: str) -> str:
    return text(client.get(f"/{query}{'&' if query else '?'}partial=head"))


def picked(page: Any) -> str:
    found = re.search(r'<details class="lm-menu lm-org">\s*<summary[^>]*>(.*?)</summary>', page.content.decode(), re.S)
    shown = re.sub(r"<span[^>]* aria-hidden.*?</span>|<[^>]+>", "", found[1]) if found else ""
    return shown.strip()


def test_the_head_of_the_board_is_of_the_org_that_is_chosen(both: Client) -> None:
    everything, one = head(both, ""), head(both, "?org=toko-sari")
    assert "4 alerts need a human" in everything and "3 customers waiting" in everything and "Loud Bot" in everything
    assert "1 alert needs a human" in one and "No customer is waiting" in one
    assert "Sari Bot" in one and "Loud Bot" not in one
    page = both.get("/?org=toko-sari")
    assert 'href="/?agent=Sari%20Bot&amp;org=toko-sari"' in page.content.decode(), "a tile leads on within the org"
    assert "<title>(1) 1 needs a human" in page.content.decode()
    assert re.findall(r'<option value="(\w+ Bot)"', page.content.decode()) == ["Sari Bot"]
    assert 'data-headline data-org="toko-sari"' in page.content.decode(), "the script counts the same"
    assert set(json.loads(re.findall(r'data-counts="([^"]+)"', page.content.decode())[0].replace("&quot;", '"'))) > {
        "toko-sari"
    }, "the count in the menu is of all"


def test_what_is_mine_and_the_median_are_of_the_org(both: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    me = User.objects.get(pk=both.session["_auth_user_id"])
    with scopes_disabled():
        Alert.objects.filter(agent__name="Loud Bot").update(acknowledged_by=me, state="acknowledged")
    mine = r'data-count="mine">(\d+)<'
    assert re.findall(mine, both.get("/").content.decode()) == ["3"]
    assert re.findall(mine, both.get("/?org=toko-sari").content.decode()) == ["0"]
    asked: list[list[str]] = []

    def noting(orgs: list[Org], *rest: Any) -> Estimate:
        asked.append([one.external_id for one in orgs])
        return Estimate()

    monkeypatch.setattr("console.pages.board.view.median_of_day", noting)
    both.get("/?org=toko-sari")
    assert asked == [["toko-sari"]]


def test_an_org_in_which_nothing_is_open_is_calm_not_filtered(both: Client, sari: Org) -> None:
    with scopes_disabled():
        SourceHeard.objects.create(org=sari, source=SourceFactory(org=sari), at=clock.now())
        Alert.objects.filter(org=sari).update(state="resolved", resolved_at=clock.now() - timedelta(days=1))
    calm = text(both.get("/?org=toko-sari"))
    assert "Nobody is waiting" in calm and "hidden by" not in calm
    filtered = both.get("/?org=toko-sari&severity=critical")
    assert "0 alerts are hidden by: Critical" in text(filtered)
    assert 'class="btn btn-primary" href="?org=toko-sari"' in filtered.content.decode(), "the org stays"
    assert "4 alerts need" not in text(filtered)


def test_an_org_that_is_not_mine_hides_everything(both: Client) -> None:
    page = text(both.get("/?org=nowhere"))
    assert "3 alerts need a human" not in page and "4 alerts are hidden by: nowhere" in page


@pytest.mark.parametrize("path", ["/", "/reach", "/kpis", "/runs", "/success", "/success/coverage_pct", "/duty"])
def test_the_picker_of_every_page_names_the_org_that_is_chosen(both: Client, path: str) -> None:
    assert picked(both.get(path, {"org": "toko-sari"})) == "Toko Sari"
    if path != "/duty":  # which is of one org always
        assert picked(both.get(path)) == "All my orgs (2)"


def test_the_pages_of_one_org_name_it(both: Client) -> None:
    agent = f"{reverse('agent', args=['Sari Bot'])}?org=toko-sari"
    for path in (agent, "/duty/mine?org=toko-sari"):
        assert picked(both.get(path)) == "Toko Sari", path


TWO = ("Toko Sari (toko-sari)", "toko  sari (sari-2)")


@pytest.fixture
def twins(sari: Org) -> Client:
    """A specialist, who sees two orgs of nearly one name, in each of which an agent fails."""
    other = OrgFactory(name="toko  sari", external_id="sari-2")
    AlertFactory(org=other, agent=AgentFactory(org=other, name="Other Bot"))
    return signed_in(UserFactory(is_specialist=True))


@pytest.mark.parametrize(
    "path",
    ["/", "/reach", "/kpis", "/success", "/duty", "/silences", "/settings/policy", "/walls", "/sources/webhooks/new"],
)
def test_two_orgs_of_one_name_are_told_apart(twins: Client, path: str) -> None:
    """Not in the menu of the top alone. Mutation: a form names both alike; one silences the wrong customer."""
    page = text(twins.get(path))
    said = re.findall(r"toko sari[^(]{0,2}(\(\S+\))?", page, re.IGNORECASE)
    assert set(said) == {"(toko-sari)", "(sari-2)"} and len(said) > 3


def test_the_rows_of_the_board_tell_them_apart_for_who_sees_both(twins: Client, sari: Org) -> None:
    """Mutation: the row of the board names the org alone."""
    rows = re.findall(r'class="lm-meta-org"[^>]*>([^<]*)<', twins.get("/").content.decode())
    assert sorted(rows) == sorted(TWO)
    frames = json.loads(re.findall(r'data-twins="([^"]+)"', twins.get("/").content.decode())[0].replace("&quot;", '"'))
    assert sorted(frames.values()) == sorted(TWO), "the script is told the same"


def test_a_page_about_one_of_them_says_which(twins: Client) -> None:
    """Mutation: the television of one customer hangs at the other's, the checklist is the other's."""
    other = Org.objects.get(external_id="sari-2")
    run = made_run(other, AgentFactory(org=other, name="Billing Bot"), clock.now())
    wall = twins.post("/walls", {"org": "sari-2", "name": "Hall", "language": "en", "theme": "auto"})
    answers = [wall, twins.get("/setup/sari-2"), twins.get(f"/runs/{run.run_id}?org=sari-2"), twins.get("/kpis")]
    for answer in answers:
        main = answer.content.decode().split("<main")[1]
        assert "sari (sari-2)" in re.sub(r"</?bdi>", "", main), answer.request["PATH_INFO"]


def test_who_sees_one_of_them_is_not_told_that_there_is_another(twins: Client, sari: Org) -> None:
    page = text(signed_in(supervisor_of(sari)).get("/"))
    assert "Toko Sari" in page and "(toko-sari)" not in page and "sari-2" not in page
