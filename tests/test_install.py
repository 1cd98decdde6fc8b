"""What a phone needs to install the console, and what of it no device keeps."""

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from orgs.models import Org
from tests.api_client import signed_in, supervisor_of

pytestmark = pytest.mark.django_db
STATIC = Path(settings.BASE_DIR) / "static"


@pytest.mark.parametrize(("asked", "language"), [("en", "en"), ("id", "id"), ("xx", "en"), ("", "en")])
def test_the_manifest_is_in_the_language_its_page_asks_for(asked: str, language: str) -> None:
    answer = Client().get("/manifest.webmanifest", {"lang": asked}, headers={"Accept-Language": "id"})
    assert answer["Content-Type"] == "application/manifest+json"
    content = json.loads(answer.content)
    assert (content["lang"], content["id"], content["start_url"]) == (language, "/", "/")
    for icon in content["icons"]:
        picture = (STATIC / icon["src"].removeprefix("/static/")).read_bytes()
        sides = [int.from_bytes(picture[at : at + 4]) for at in (16, 20)]
        assert picture.startswith(b"\x89PNG") and "x".join(map(str, sides)) == icon["sizes"]


def test_pages_name_the_manifest_in_their_language_and_register_the_worker(org: Org) -> None:
    for page in (Client().get("/accounts/login/"), signed_in(supervisor_of(org, locale="id")).get("/reach")):
        language = re.search(r'<html lang="(\w+)"', page.content.decode())[1]  # type: ignore[index]
        assert f'href="/manifest.webmanifest?lang={language}"' in page.content.decode()
        assert "js/install.js" in page.content.decode() and "icons/apple-touch.png" in page.content.decode()
        assert "worker-src 'self'" in page["Content-Security-Policy"]
        assert "manifest-src 'self'" in page["Content-Security-Policy"]


def test_the_worker_and_its_card_are_of_nobody(org: Org) -> None:
    script = Client().get("/worker.js")
    assert (script["Content-Type"], script["Cache-Control"]) == ("text/javascript", "no-cache")
    card = signed_in(supervisor_of(org, name="Rina", email="rina@example.com")).get("/offline").content.decode()
    assert card == Client().get("/offline", headers={"Accept-Language": "id"}).content.decode()
    assert card.count('<section lang="') == 2 and "rina" not in card.lower()
    kept = json.loads(re.search(r"const ASSETS = (\[.*\])", script.content.decode().replace("\\u002D", "-"))[1])  # type: ignore[index]
    assert set(re.findall(r'(?:href|src)="(/static/[^"]+)"', card)) == set(kept)


def test_signing_out_empties_the_browsers_cache_and_nothing_else_does(org: Org) -> None:
    client = signed_in(supervisor_of(org))
    assert "Clear-Site-Data" not in client.get("/reach")
    answer = client.post("/accounts/logout/")
    assert (answer.status_code, answer["Clear-Site-Data"]) == (302, '"cache"')
    assert "Clear-Site-Data" not in client.post("/accounts/logout/")
