"""Log-in: invitation, password, optional authenticator app, closed sign-up, and what nobody may learn."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from orgs import invitations
from orgs.models import User
from tests.factories import AssignmentFactory, UserFactory

PASSWORD = "a-long-enough-Passw0rd"

LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _no_rate_limit_left_over(db: None) -> None:
    cache.clear()


@pytest.fixture
def rina(db: None) -> User:
    person = AssignmentFactory(user__sso_id="rina", user__email="rina@example.com", user__name="Rina").user
    person.set_unusable_password()
    person.save()
    return person


def path(url: str) -> str:
    return re.sub("^https?://[^/]+", "", url)


def with_password(person: User) -> User:
    person.set_password(PASSWORD)
    person.save()
    return person


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str) -> Any:
    return client.post(LOGIN, {"login": email, "password": password, **more})


def choose(client: Client, url: str, password: str = PASSWORD, again: str | None = None) -> Any:
    return client.post(url, {"password": password, "again": again if again is not None else password})


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# --- invitation ---


def test_an_invitation_sets_the_password_and_signs_in(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    shown = client.get(url)
    assert shown.status_code == 200
    assert "Welcome, <bdi>Rina" in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]

    response = choose(client, url)

    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert signed_in(client)
    rina.refresh_from_db()
    assert rina.check_password(PASSWORD)


def test_an_invitation_works_once(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    choose(client, url)
    assert Client().get(url).status_code == 410
    assert choose(Client(), url, "another-Passw0rd-2").status_code == 410
    rina.refresh_from_db()
    assert rina.check_password(PASSWORD)


def test_looking_at_an_invitation_does_not_use_it_up(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    for _ in range(3):
        assert client.get(url).status_code == 200
    assert choose(client, url).status_code == 302


def test_a_newer_invitation_replaces_the_older(rina: User, client: Client) -> None:
    older, newer = path(invitations.invite(rina)), path(invitations.invite(rina))
    assert client.get(older).status_code == 410
    assert client.get(newer).status_code == 200


def test_an_invitation_lasts_7_days(rina: User, client: Client, time_machine: Any) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    time_machine.move_to(start)
    url = path(invitations.invite(rina))
    time_machine.move_to(start + timedelta(days=6, hours=23))
    assert client.get(url).status_code == 200
    time_machine.move_to(start + timedelta(days=7, seconds=2))
    assert client.get(url).status_code == 410


def test_a_changed_e_mail_ends_an_invitation(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    User.objects.filter(pk=rina.pk).update(email="other@example.com")
    assert client.get(url).status_code == 410


def test_an_inactive_person_cannot_use_an_invitation(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    User.objects.filter(pk=rina.pk).update(is_active=False)
    assert client.get(url).status_code == 410


def test_unknown_spoilt_and_foreign_invitations_look_the_same(rina: User, client: Client) -> None:
    url = path(invitations.invite(rina))
    stranger = path(invitations.invite(UserFactory()))
    mixed = stranger.rsplit("/", 1)[0] + "/" + url.rsplit("/", 1)[1]
    pages = [client.get(bad) for bad in (url[:-1], url + "x", mixed, "/invite/AAAA/x.y.z", "/invite/%01/%01")]
    assert {page.status_code for page in pages} == {410}
    assert len({re.sub(r'(value|content|nonce|data-now)="[^"]*"', "", _main(page)) for page in pages}) == 1


def _main(page: Any) -> str:
    return page.content.decode().split("<main", 1)[1].split("</main>", 1)[0]


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        ("short1", None, "too short"),
        ("password123", None, "too common"),
        ("1234567890123", None, "entirely numeric"),
        ("rina@example.com", None, "too similar"),
        (PASSWORD, PASSWORD + "x", "not the same"),
        ("", "", "required"),
    ],
)
def test_a_weak_password_is_refused(rina: User, client: Client, password: str, again: str | None, said: str) -> None:
    url = path(invitations.invite(rina))
    response = choose(client, url, password, again)
    assert response.status_code == 200
    assert said in response.content.decode()
    assert not signed_in(client)
    rina.refresh_from_db()
    assert not rina.has_usable_password()


def test_inviting_again_ends_password_and_sessions(rina: User, client: Client) -> None:
    sign_in(client, with_password(rina).email or "")
    assert client.get("/api/agents").status_code == 200
    invitations.invite(rina)
    assert client.get("/api/agents").status_code == 401


def test_an_invitation_does_not_pass_by_the_authenticator_app(rina: User, client: Client) -> None:
    totp.TOTP.activate(rina, totp.generate_totp_secret())
    response = choose(client, path(invitations.invite(rina)))
    assert response.headers["Location"] == reverse("mfa_authenticate")
    assert not signed_in(client)


@pytest.mark.parametrize("change", [{"email": None}, {"is_active": False}])
def test_who_cannot_log_in_is_not_invited(rina: User, change: dict[str, Any]) -> None:
    for field, value in change.items():
        setattr(rina, field, value)
    with pytest.raises(invitations.CannotInvite):
        invitations.invite(rina)


# --- password ---


def test_a_password_signs_in_whatever_the_case_of_the_address(rina: User, client: Client) -> None:
    with_password(rina)
    assert sign_in(client, "Rina@Example.com").headers["Location"] == "/"
    assert signed_in(client)


def test_log_in_lands_on_the_page_asked_for(rina: User, client: Client) -> None:
    with_password(rina)
    asked = client.get("/preferences")
    assert asked.headers["Location"].startswith(LOGIN + "?next=")
    assert sign_in(client, "rina@example.com", next="/preferences").headers["Location"] == "/preferences"


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_log_in_never_leads_elsewhere(rina: User, client: Client, evil: str) -> None:
    with_password(rina)
    assert sign_in(client, "rina@example.com", next=evil).headers["Location"] == "/"


def test_the_session_key_changes_at_log_in(rina: User, client: Client) -> None:
    with_password(rina)
    session = client.session
    session["before"] = 1
    session.save()
    before = session.session_key
    sign_in(client, "rina@example.com")
    assert client.session.session_key != before


def test_a_wrong_password_and_an_unknown_address_look_the_same(rina: User, client: Client) -> None:
    with_password(rina)
    answers = [sign_in(client, email, "wrong") for email in ("rina@example.com", "nobody@example.com")]
    assert [answer.status_code for answer in answers] == [200, 200]
    first, second = (_main(answer).replace("rina@", "nobody@") for answer in answers)
    assert re.sub('value="[^"]*"', "", first) == re.sub('value="[^"]*"', "", second)


def test_an_inactive_person_is_told_so_only_with_the_right_password(rina: User, client: Client) -> None:
    with_password(rina)
    User.objects.filter(pk=rina.pk).update(is_active=False)
    assert "not correct" in sign_in(client, "rina@example.com", "wrong").content.decode()
    assert sign_in(client, "rina@example.com").headers["Location"] == "/accounts/inactive/"
    assert not signed_in(client)


def test_somebody_who_never_chose_a_password_cannot_sign_in(rina: User, client: Client) -> None:
    sign_in(client, "rina@example.com", "")
    sign_in(client, "rina@example.com", rina.password)
    assert not signed_in(client)


def test_many_wrong_passwords_are_held_back(rina: User, client: Client) -> None:
    with_password(rina)
    for _ in range(5):
        sign_in(client, "rina@example.com", "wrong")
    sign_in(client, "rina@example.com")
    assert not signed_in(client)


def test_sign_out_needs_a_post(rina: User, client: Client) -> None:
    client.force_login(rina)
    assert client.get("/accounts/logout/").status_code == 200
    assert signed_in(client)
    assert client.post("/accounts/logout/").headers["Location"] == LOGIN
    assert not signed_in(client)


@pytest.mark.parametrize("closed", ["signup/", "email/", "login/code/confirm/", "3rdparty/", "password/set/"])
def test_nobody_signs_up_or_changes_their_address(client: Client, rina: User, closed: str) -> None:
    client.force_login(rina)
    assert client.get(f"/accounts/{closed}").status_code == 404
    assert client.post(f"/accounts/{closed}", {"email": "x@example.com"}).status_code == 404


# --- a new password by e-mail ---


@pytest.fixture
def with_mail(settings: Any) -> None:
    settings.EMAIL_CONFIGURED = True


def test_a_new_password_by_e_mail(rina: User, client: Client, with_mail: None) -> None:
    with_password(rina)
    client.post("/accounts/password/reset/", {"email": "rina@example.com"})
    assert [message.to for message in mail.outbox] == [["rina@example.com"]]
    url = re.search(r"http\S+/password/reset/key/\S+", str(mail.outbox[0].body))
    assert url
    form = client.get(path(url[0]), follow=True)
    chosen = {"password1": "an0ther-Password", "password2": "an0ther-Password"}
    client.post(form.redirect_chain[-1][0], chosen)
    rina.refresh_from_db()
    assert rina.check_password("an0ther-Password")


def test_an_unknown_address_gets_no_mail_and_the_same_answer(rina: User, client: Client, with_mail: None) -> None:
    answers = [
        client.post("/accounts/password/reset/", {"email": email}) for email in ("rina@example.com", "no@example.com")
    ]
    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [
        (302, "/accounts/password/reset/done/")
    ] * 2
    assert len(mail.outbox) == 1


def test_without_mail_the_page_says_whom_to_ask(client: Client, db: None) -> None:
    page = client.get("/accounts/password/reset/").content.decode()
    assert "Ask a specialist" in page
    assert 'name="email"' not in page


# --- authenticator app ---


@pytest.fixture
def code_of(time_machine: Any) -> Any:
    """`code_of(secret)`: what the app shows now. The clock stands: a code lasts 30 s only."""
    time_machine.move_to(datetime.now(UTC), tick=False)

    def code(secret: str) -> str:
        counter = next(iter(totp.yield_hotp_counters_from_time()))
        return totp.format_hotp_value(totp.hotp_value(secret, counter))

    return code


def test_the_code_of_the_app_is_asked_after_the_password(rina: User, client: Client, code_of: Any) -> None:
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(with_password(rina), secret)
    assert sign_in(client, "rina@example.com").headers["Location"] == reverse("mfa_authenticate")
    assert not signed_in(client)

    assert client.post(reverse("mfa_authenticate"), {"code": "000000"}).status_code == 200
    assert not signed_in(client)

    client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
    assert signed_in(client)


def test_the_app_is_switched_on_after_the_password_is_asked_again(rina: User, client: Client, code_of: Any) -> None:
    with_password(rina)
    sign_in(client, "rina@example.com")
    assert client.get(reverse("mfa_activate_totp")).headers["Location"].startswith("/accounts/reauthenticate/")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    page = client.get(reverse("mfa_activate_totp"))
    assert page.status_code == 200
    secret = page.context["form"].secret
    client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert Authenticator.objects.filter(user=rina, type="totp").exists()
    assert client.get(reverse("mfa_index")).status_code == 200
    assert client.get(reverse("mfa_view_recovery_codes")).status_code == 200
    assert client.get(reverse("mfa_generate_recovery_codes")).status_code == 200
    assert client.get(reverse("mfa_deactivate_totp")).status_code == 200


@pytest.mark.parametrize(
    "address",
    [LOGIN, "/accounts/logout/", "/accounts/password/reset/", "/accounts/password/reset/done/", "/accounts/inactive/"],
)
def test_every_page_speaks_both_languages(client: Client, rina: User, address: str) -> None:
    if "logout" in address:
        client.force_login(rina)
    for language in ("en", "id"):
        response = client.get(address, headers={"Accept-Language": language})
        assert response.status_code == 200
        assert f'<html lang="{language}"' in response.content.decode()
