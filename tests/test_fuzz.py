"""Every address of the URL conf x what nobody should send: whoever sends it, the answer is never 5xx."""

import base64
import json
import logging
import random
import re
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.db import transaction
from django.test import Client
from django_scopes import scopes_disabled

from alerts.api import pushes
from console.http.callers import known_caller
from orgs.models import User
from tests.tenants import MARK, Tenant, browser, insiders, specialist, tenant
from tests.test_tenancy import ALL, BODIES, PAGE_VERBS, Route, admin_path, filled, is_admin, is_of_nobody

FORM, JSON, MULTIPART = "application/x-www-form-urlencoded", "application/json", "multipart/form-data; boundary=x"
LOGIN = "/accounts/login/"
DIGITS = "9" * 4400
SPOILT = [
    *("", " ", "\x00", "a\x00b", DIGITS, "-1", "0", "²", "99999999999999999999", "1e999", "\u202e\ufeff\U0001f4a5"),
    *("\ud800", "x" * 3000, "[]", "{}", "%", "..", "//evil.example", "1", "true", "0001-01-01T00:00:00+23:59"),
    *("9999-12-31", "9999-12-31T23:59:59-23:59", "01a22359-2d71-7b2e-b751-c9cf2eb6bb46", "id__exact", "http://["),
]
# fmt: off
OF_THE_API = (
    "agent", "allow_empty", "cursor", "dry_run", "from", "limit", "opened_after", "org_id", "room_id", "severity",
    "signal", "state", "to",
)
OF_PAGES = (
    "_popup", "_to_field", "action", "app_label", "conflict", "cursor", "days", "e", "field_name", "from", "id",
    "index", "limit", "mark", "mine", "model_name", "next", "note", "o", "org", "org_id", "outcome", "p", "page",
    "partial", "password", "q", "severity", "sso_id", "t", "tab", "term", "tier", "to", "until", "verb", "verdict",
    "login", "code", "content", "agents__name", "id__exact", "org__id__exact", "role__tier",
    "user__is_active__exact", "user__password__startswith", "counts", "language", "name", "query", "theme", "view",
)
# fmt: on
ODD_METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW")
HOSTS = ("evil.example", "testserver,evil.example", "testserver testserver", "[::1", "x" * 300, "te_st\u0131")
ROUTES = [
    route._replace(pattern=route.pattern.replace("<slug:verb>", verb))
    for route in ALL
    for verb in (PAGE_VERBS if "<slug:verb>" in route.pattern else [""])
]


class Sent(NamedTuple):
    """One request."""

    method: str
    path: str
    body: bytes | str = ""
    content_type: str = FORM


class Spoiler:
    """Makes requests that nobody should send, the same in every run."""

    def __init__(self, route: Route, path: str) -> None:
        self.route, self.path = route, path
        self.some = random.Random(route.pattern)
        self.names = OF_THE_API if route.name.startswith("api_") else OF_PAGES

    def requests(self, thorough: bool) -> Iterator[Sent]:
        """Query, path and body, each spoilt; an odd method."""
        many = len(self.names) // 3
        yield Sent("GET", f"{self.path}?{self.query(many)}")
        yield Sent(self.some.choice(["GET", "POST"]), self.other_path())
        yield Sent("POST", self.path, self.query(many))
        yield Sent("POST", self.path, self.some.choice(["{", DIGITS, "[" * 9999, "\xff", "=", "--x\r\n"]), self.type())
        if thorough:
            yield Sent("GET", f"{self.path}?{self.query(1)}")
            yield Sent("GET", f"{self.path}?limit=1&cursor={self.cursor()}")
            yield Sent("POST", self.path)
            yield Sent("POST", self.path, self.item(), JSON)
            yield Sent(self.some.choice(ODD_METHODS), f"{self.path}?{self.query(1)}", self.item(), JSON)

    def text(self) -> str:
        return self.some.choice(SPOILT)

    def value(self) -> Any:
        """Something JSON can say, of the type of no field in particular."""
        odd = [None, True, -1, 10**30, 1.5, [], {}, [self.text()], {"a": self.text()}]
        return self.some.choice([self.text(), *odd])

    def query(self, count: int) -> str:
        """Some parameters, one of them unknown or repeated if there are several."""
        names = self.some.sample(self.names, count)
        names += [self.some.choice([names[0], self.text()])] if count > 1 else []
        return urlencode([(_bytes(name), _bytes(self.text())) for name in names])

    def other_path(self) -> str:
        parts = self.path.split("/")
        parts[self.some.randrange(1, len(parts))] = quote(_bytes(self.text()), safe="")
        return "/".join(parts)

    def cursor(self) -> str:
        way = self.some.choice(["after", "before", self.text()])
        content = json.dumps([way, *(self.value() for _ in range(self.some.randrange(4)))])
        return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")

    def item(self) -> str:
        """A body of this route with one field spoilt, or anything at all."""
        fields = dict(BODIES.get(self.route.name, {}))
        if fields:
            fields[self.some.choice(list(fields))] = self.value()
        return json.dumps(self.some.choice([fields, {**fields, "sso_id": self.value()}, self.value()]))

    def type(self) -> str:
        return self.some.choice(
            [JSON, FORM, MULTIPART, "multipart/form-data", "text/\u00e9", "application/json; charset=x"]
        )


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def address(route: Route, ours: Tenant) -> str:
    """With what is there, so that the request comes far."""
    if is_admin(route):
        return admin_path(route, ours)
    if is_of_nobody(route):
        return "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:\w+>", "x", route.pattern).strip("^").rstrip("$")
    return filled(route, ours)


def status_of(client: Client, sent: Sent, **headers: Any) -> int:
    """The status of the answer; what the request did is undone."""
    cookies = client.cookies.output(header="", sep=";")
    try:
        with transaction.atomic():
            answer = client.generic(sent.method, sent.path, sent.body, content_type=sent.content_type, **headers)
            transaction.set_rollback(True)
        return answer.status_code
    finally:
        client.cookies = SimpleCookie(cookies)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Thousands of refusals, each with its traceback, would take longer to write down than to make."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def ours(db: None, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    monkeypatch.setattr(pushes, "HOPS_WITHIN", 0.0)
    return tenant(MARK)


@pytest.fixture
def callers(ours: Tenant) -> dict[str, Client]:
    """Everybody, by what they are."""
    found = {"nobody": Client(), "a specialist": specialist(), **insiders(ours)}
    for client in found.values():
        client.raise_request_exception = False
    return found


WHO_ASKS = {  # who comes past the door, and nobody
    "nobody": [route for route in ROUTES if not is_admin(route)],
    "a lead": [route for route in ROUTES if not is_admin(route)],
    "a key": [route for route in ROUTES if route.name.startswith("api_")],
    "a specialist": [route for route in ROUTES if is_admin(route)],
}


@pytest.mark.parametrize("who", WHO_ASKS)
def test_no_request_however_odd_is_a_fault_of_ours(who: str, ours: Tenant, callers: dict[str, Client]) -> None:
    """Mutation: a text that reaches the database unchecked, a number that is not bounded."""
    asked = [
        (status_of(callers[who], sent), str(sent)[:300])
        for route in WHO_ASKS[who]
        for sent in Spoiler(route, address(route, ours)).requests(thorough=who != "nobody")
    ]
    assert not [(status, sent) for status, sent in asked if status >= 500]


def test_a_nul_in_path_query_or_form_is_400_at_every_address(ours: Tenant, callers: dict[str, Client]) -> None:
    wrong = []
    for route in ROUTES:
        path, client = address(route, ours), callers["a specialist"]
        tried = [Sent("GET", f"{path}?q=%00"), Sent("GET", f"{path}%00"), Sent("POST", path, "note=a%00b")]
        if [status_of(client, sent) for sent in tried] != [400] * 3:
            wrong.append(path)
    assert not wrong


def test_the_api_names_the_parameter_that_holds_a_nul(callers: dict[str, Client]) -> None:
    answer = callers["a key"].get("/api/alerts?agent=%00")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "agent")


@pytest.mark.parametrize("host", HOSTS)
def test_a_foreign_host_is_400_at_every_address(ours: Tenant, callers: dict[str, Client], host: str) -> None:
    """Mutation: an error page that asks who is signed in, or the database what time it is."""
    for path in ("/", "/admin/", "/api/alerts", "/nothing"):
        for client in (callers["nobody"], callers["a specialist"]):
            assert status_of(client, Sent("GET", path), HTTP_HOST=host) == 400


def test_error_pages_need_no_person_session_or_database() -> None:
    """This test may not use the database: whoever asks it gets an exception."""
    page = Client(raise_request_exception=False).get("/", HTTP_HOST="evil.example", HTTP_ACCEPT_LANGUAGE="id")
    assert page.status_code == 400
    assert '<html lang="id"' in page.content.decode()


def test_an_error_page_has_the_theme_of_its_reader(ours: Tenant) -> None:
    with scopes_disabled():
        User.objects.filter(pk=ours.lead.pk).update(theme="dark")
    assert 'data-bs-theme="dark"' in browser(ours.lead).get("/nothing").content.decode()
    assert 'data-lm-theme="auto"' in Client().get("/nothing").content.decode()


@pytest.mark.parametrize("back", ["x", "board", "", "http://[", "//evil.example", "\\\\evil", "x" * 5000, "/reach?a=b"])
def test_a_way_back_is_an_address_and_never_the_name_of_a_view(ours: Tenant, back: str) -> None:
    for client in (Client(), browser(ours.lead)):
        answer = client.post("/language", {"next": back, "language": "id"})
        assert (answer.status_code, "evil" in answer.headers["Location"]) == (302, False)
        act = client.post(f"/alerts/{ours.alert.pk}/acknowledge", headers={"Referer": back})
        assert act.status_code == 302 and "evil" not in act.headers["Location"]


def test_a_number_of_an_address_is_bounded(ours: Tenant, callers: dict[str, Client]) -> None:
    lead, desk = callers["a lead"], callers["a specialist"]
    for number in (DIGITS, "\u00b2", "-1", "0", "9" * 30):
        for path in ("/success/with_confidence_pct?page=", "/?limit=", "/reach?limit="):
            assert lead.get(path + number).status_code == 200
        for path in ("source/{}/change/", "user/{}/change/", "agent/add/?org={}", "agent/?p={}"):
            assert desk.get("/admin/orgs/" + path.format(number)).status_code in (200, 302)


@pytest.mark.parametrize("cookie", ['"abcdefgh\\000"', '"abcdefgh\\377"', "short", "x" * 5000, '"', "\u00e9" * 32])
def test_a_session_cookie_that_can_be_none_is_nobody(db: None, cookie: str) -> None:
    """Mutation: the database is asked for whatever the cookie says."""
    header = f"{settings.SESSION_COOKIE_NAME}={cookie}"
    client = Client(raise_request_exception=False, headers={"Cookie": header})
    asked = [client.get(path).status_code for path in ("/", LOGIN, "/admin/", "/api/alerts", "/readyz")]
    assert asked == [302, 200, 302, 401, 200]
    assert known_caller([(b"cookie", header.encode())]) is None


def test_an_empty_assignment_is_shown_again_in_the_admin(callers: dict[str, Client]) -> None:
    answer = callers["a specialist"].post("/admin/orgs/assignment/add/")
    assert (answer.status_code, b"required" in answer.content) == (200, True)


@pytest.mark.parametrize("key", ["\u00b2", "x", "-1", "[1]", "9" * 30, DIGITS])
def test_a_reference_that_can_be_none_is_an_error_of_its_form(
    ours: Tenant, callers: dict[str, Client], key: str
) -> None:
    """Mutation: the form that shows it again, or the action on the rows it names, asks the database for it."""
    desk, pages = callers["a specialist"], ("agent", "assignment", "source", "supervisorrole")
    for page in pages:
        answer = desk.post(f"/admin/orgs/{page}/add/", {"org": key, "user": key, "role": key, "name": "x"})
        assert (answer.status_code, b"errorlist" in answer.content) == (200, True)
    inline = {"role_assignments-TOTAL_FORMS": 1, "role_assignments-INITIAL_FORMS": 0, "role_assignments-0-user": key}
    assert desk.post(f"/admin/orgs/supervisorrole/{ours.assignment.role_id}/change/", inline).status_code in (200, 400)
    for page, action in [("assignment", "delete_selected"), ("assignment", "confirm_selected"), ("user", "x")]:
        chosen = {"action": action, "_selected_action": key}
        assert desk.post(f"/admin/orgs/{page}/", chosen).status_code in (200, 302, 400)


def test_a_bad_filter_of_the_export_is_400(callers: dict[str, Client]) -> None:
    client = callers["a specialist"]
    for query in ("role__tier=x", "nothing__at=1", "user__is_active__exact=maybe", "p=x"):
        assert client.get(f"/admin/orgs/assignment/export/?{query}").status_code in (200, 400)
    assert client.get("/admin/orgs/assignment/export/?role__tier=x").status_code == 400
