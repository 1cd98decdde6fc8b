"""How long a session lasts, what prolongs it, and that nothing of it stays in a browser."""

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.test import Client
from django_scopes import scopes_disabled

from console.http.middleware import HealthMiddleware
from orgs.models import Org, User
from tests.api_client import post, signed_in, supervisor_of, with_key
from tests.factories import UserFactory
from tests.scene import Scene
from tests.tenants import MARK, Tenant, tenant
from tests.test_login import LOGIN, PASSWORD, sign_in, with_password
from tests.test_tenancy import ALL, admin_path, filled, is_admin

START = datetime(2026, 3, 1, tzinfo=UTC)
PARTIAL = {"HX-Request": "true"}


@pytest.fixture
def clock_at(time_machine: Any) -> Any:
    """`clock_at(hours=3)`: that long after the start."""

    def move(**later: float) -> None:
        time_machine.move_to(START + timedelta(**later), tick=False)

    move()
    return move


@pytest.fixture
def rina(org: Org) -> User:
    return supervisor_of(org, sso_id="rina", email="rina@example.com")


def ends_of(client: Client) -> datetime:
    """When its session ends, as the table says."""
    return Session.objects.get(pk=client.session.session_key).expire_date


def is_in(client: Client) -> bool:
    """Asked in a way that prolongs nothing."""
    return client.get("/api/agents").status_code == 200


# --- the idle time ---------------------------------------------------------------------------------------------------

BY_ITSELF: list[tuple[str, dict[str, str]]] = [
    ("/?partial=feed", {}),
    ("/?partial=head", PARTIAL),
    ("/reach", PARTIAL),
    ("/success", {"Sec-Fetch-Mode": "cors"}),
    ("/api/agents", {}),
    ("/api/agents", {"Sec-Fetch-Mode": "navigate"}),
    ("/livez", {}),
    ("/readyz", {}),
    ("/metrics", {}),
    ("/api/no-such-thing", {}),
]


def test_what_a_page_or_a_machine_asks_by_itself_does_not_prolong_a_session(rina: User, clock_at: Any) -> None:
    client = signed_in(rina)
    client.get("/")
    for hour in (1, 6, 11):
        clock_at(hours=hour)
        for address, headers in BY_ITSELF:
            answer = client.get(address, headers=headers)
            assert answer.status_code < 500
            assert settings.SESSION_COOKIE_NAME not in client.head("/preferences").cookies
            assert settings.SESSION_COOKIE_NAME not in answer.cookies, address
    assert is_in(client)
    clock_at(hours=12, seconds=1)
    assert not is_in(client)


@pytest.mark.parametrize("what", ["a page", "an act by form", "an act by htmx", "an act by the API"])
def test_a_page_that_is_opened_and_an_act_prolong_it(org: Org, rina: User, clock_at: Any, what: str) -> None:
    with scopes_disabled():
        scene = Scene(org, staff=0)
        scene.fails()
        alert = scene.alert().pk
    client = signed_in(rina)
    client.get("/")
    clock_at(hours=11)
    match what:
        case "a page":
            client.get("/reach", headers={"Sec-Fetch-Mode": "navigate"})
        case "an act by form":
            client.post(f"/alerts/{alert}/acknowledge")
        case "an act by htmx":
            client.post(f"/alerts/{alert}/acknowledge", headers=PARTIAL)
        case _:
            post(client, f"/api/alerts/{alert}/acknowledge")
    clock_at(hours=22, minutes=59)
    assert is_in(client)
    clock_at(hours=23, seconds=1)
    assert not is_in(client)


def test_a_session_ends_after_7_days_whatever_happens(rina: User, clock_at: Any) -> None:
    """For the socket too, which asks the table of sessions alone."""
    with_password(rina)
    client = Client()
    cache.clear()
    sign_in(client, "rina@example.com")
    for hour in range(0, 7 * 24, 11):
        clock_at(hours=hour)
        assert client.get("/").status_code == 200
    assert ends_of(client) == START + timedelta(days=7)
    clock_at(days=7, seconds=1)
    assert not is_in(client)


def test_the_end_of_a_session_is_written_once_a_minute(rina: User, clock_at: Any) -> None:
    client = signed_in(rina)
    client.get("/preferences")
    clock_at(seconds=59)
    assert settings.SESSION_COOKIE_NAME not in client.get("/preferences").cookies
    clock_at(seconds=60)
    assert settings.SESSION_COOKIE_NAME in client.get("/preferences").cookies
    assert ends_of(client) == START + timedelta(hours=12, minutes=1)


def test_a_session_that_is_saved_for_another_reason_ends_when_it_did(rina: User, clock_at: Any) -> None:
    client = signed_in(rina)
    client.get("/")
    clock_at(hours=6)
    session = client.session
    session["something"] = 1
    session.save()
    assert ends_of(client) == START + timedelta(hours=12)


def test_a_key_gets_no_session(org: Org) -> None:
    before = Session.objects.count()
    machine = with_key(org, "act", "read")
    assert post(machine, "/api/alerts/x/take").status_code == 404
    assert machine.get("/api/agents").status_code == 200
    assert Session.objects.count() == before
    assert not machine.cookies


# --- nothing stays in the browser ------------------------------------------------------------------------------------

# Words of the admin's scripts; doors that would end the session under test.
LEFT_OUT = {"admin:jsi18n", "admin:logout", "account_logout"}


@pytest.fixture
def ours(db: None) -> Tenant:
    return tenant(MARK)


def test_no_answer_to_somebody_signed_in_is_kept(ours: Tenant) -> None:
    """Every route: pages, parts, CSV, API, admin; found or not, allowed or not."""
    lead, boss = signed_in(ours.lead), signed_in(UserFactory(is_specialist=True))
    kept = []
    for route in (route for route in ALL if route.name not in LEFT_OUT):
        client, address = (boss, admin_path(route, ours)) if is_admin(route) else (lead, _address(route, ours))
        answer = client.get(address)
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            kept.append((address, answer.status_code, answer.headers.get("Cache-Control")))
    assert not kept


def _address(route: Any, ours: Tenant) -> str:
    try:
        return filled(route._replace(pattern=route.pattern.replace("<slug:verb>", "take")), ours)
    except AssertionError:  # of nobody
        return "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:\w+>", "x", route.pattern).replace("^", "").replace("$", "")


def test_neither_acts_nor_keys_answers_are_kept(ours: Tenant) -> None:
    answers = [
        with_key(ours.org).get("/api/alerts"),
        signed_in(ours.lead).post(f"/alerts/{ours.alert.pk}/acknowledge"),
        signed_in(ours.lead).post("/accounts/logout/"),
        signed_in(ours.lead).post("/preferences", {}),
    ]
    assert all("no-store" in answer.headers["Cache-Control"] for answer in answers)


# --- addresses in mails, hosts ---------------------------------------------------------------------------------------


def test_the_link_of_a_mail_names_our_own_address(rina: User, settings: Any) -> None:
    with_password(rina)
    cache.clear()
    settings.EMAIL_CONFIGURED = True
    settings.ALLOWED_HOSTS = ["*"]
    client = Client(headers={"Host": "evil.example"})
    client.post("/accounts/password/reset/", {"email": "rina@example.com"})
    (message,) = mail.outbox
    assert f"{settings.BASE_URL}/accounts/password/reset/key/" in str(message.body)
    assert "evil" not in message.subject + str(message.body)


def hosts(**env: str) -> list[str]:
    """ALLOWED_HOSTS as a process with these variables has it."""
    code = "from console import settings; print(*settings.ALLOWED_HOSTS)"
    base = {"SECRET_KEY": "x", "DATABASE_URL": "postgresql:///none", "PATH": ""}
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", code], env=base | env, cwd=root, capture_output=True, text=True)
    return done.stdout.split() or [done.stderr]


def test_loopback_is_a_name_only_where_people_use_it() -> None:
    assert hosts(BASE_URL="https://monitor.example.com") == ["monitor.example.com"]
    assert "localhost" in hosts(BASE_URL="http://127.0.0.1:8000")
    assert "FORWARDED_ALLOW_IPS lists addresses" in hosts(FORWARDED_ALLOW_IPS="*")[0]


def test_health_is_asked_by_address_and_nothing_else_is(db: None, settings: Any, rf: Any) -> None:
    settings.ALLOWED_HOSTS = ["monitor.example.com"]
    settings.BASE_URL = "https://monitor.example.com"
    settings.SECURE_SSL_REDIRECT = True
    for host in ("127.0.0.1:8000", "localhost:8000", "10.2.3.4", "[::1]:8000"):
        client = Client(headers={"Host": host})
        assert [client.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
        assert client.get("/api/agents").status_code == 400
    with pytest.raises(DisallowedHost):  # a name that was pointed here
        HealthMiddleware(lambda request: HttpResponse(request.get_host()))(rf.get("/metrics", headers={"Host": "evil"}))


# --- wrong passwords -------------------------------------------------------------------------------------------------


def tries(email: str, password: str, address: str) -> bool:
    """Whether this gets in."""
    client = Client(REMOTE_ADDR=address)
    client.post(LOGIN, {"login": email, "password": password})
    return "_auth_user_id" in client.session


def test_wrong_passwords_from_one_address_do_not_lock_the_owner_out_elsewhere(rina: User) -> None:
    cache.clear()
    with_password(rina)
    for _ in range(6):
        assert not tries("Rina@example.com", "wrong", "203.0.113.66")
    assert not tries("rina@example.com", PASSWORD, "203.0.113.66")
    assert tries("rina@example.com", PASSWORD, "198.51.100.7")


def test_guesses_from_many_addresses_are_held_back_too(rina: User, settings: Any) -> None:
    cache.clear()
    with_password(rina)
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"login_failed_anywhere": "8/h/key"}
    for n in range(8):
        assert not tries("rina@example.com", "wrong", f"203.0.113.{n}")
    assert not tries("rina@example.com", PASSWORD, "198.51.100.7")
    bayu = with_password(supervisor_of(Org.objects.get(), email="bayu@example.com"))
    assert tries(bayu.email or "", PASSWORD, "198.51.100.7")


def test_logging_in_uses_nothing_up(rina: User, settings: Any) -> None:
    cache.clear()
    with_password(rina)
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"login_failed_anywhere": "3/h/key"}
    assert all(tries("rina@example.com", PASSWORD, "198.51.100.7") for _ in range(5))
