"""Log-in by invitation only: a single-use link that lasts 7 days."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.internal import ratelimit
from allauth.core.internal.ratelimit import RateLimitUsage
from django.conf import settings
from django.core import signing
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.translation import gettext as _

from orgs.errors import BadValue
from orgs.models import User

SALT = "orgs.invitations"
DAYS = 7


class CannotInvite(Exception):
    """This person cannot be invited; the message says why."""


class InvalidInvitation(Exception):
    """Unknown, used, replaced by a newer one, or older than 7 days: its holder is not told which."""


class WrongPerson(BadValue):
    """The SSO id and the e-mail address do not belong together; `field` is the one that is wrong."""


class AccountAdapter(DefaultAccountAdapter):
    """People come by invitation; nobody signs up. Links in mails name our own address, not the request's.

    Wrong passwords are counted per account and address, and, with a higher limit, per account: a few from one place
    do not lock the owner out elsewhere, and many from many places are held back all the same.
    """

    _anywhere: RateLimitUsage | None = None

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_reset_password_from_key_url(self, key: str) -> str:
        return settings.BASE_URL + urlsplit(super().get_reset_password_from_key_url(key)).path

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        return f"{ratelimit.get_ip(request)} {_account(credentials)}"

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        super().pre_authenticate(request, **credentials)
        counted = {"app": "allauth.account", "action": "login_failed_anywhere", "key": _account(credentials)}
        self._anywhere = ratelimit.consume(request, **counted)
        if not self._anywhere:
            raise self.validation_error("too_many_login_attempts")

    def _rollback_login_failed_rl_usage(self) -> None:
        super()._rollback_login_failed_rl_usage()
        if self._anywhere:
            self._anywhere.rollback()


def _account(credentials: dict[str, Any]) -> str:
    return str(credentials.get("email", "")).lower()


def person_to_invite(sso_id: str, email: str) -> User:
    """The person of this SSO id, locked, or a new one; with this e-mail address, not saved. Raises WrongPerson."""
    email = email.lower()
    other = User.objects.filter(email__iexact=email).exclude(sso_id=sso_id).first()
    if other:
        names = {"email": email, "sso_id": repr(other.sso_id)}
        raise WrongPerson("email", _("%(email)s belongs to %(sso_id)s already.") % names)
    person = User.objects.select_for_update().filter(sso_id=sso_id).first()
    if person is None:
        person = User(sso_id=sso_id)
        person.set_unusable_password()
    elif person.email and person.email.lower() != email:
        names = {"email": person.email, "sso_id": repr(sso_id)}
        raise WrongPerson("email", _("%(sso_id)s is known as %(email)s.") % names)
    person.email = email
    return person


def invite(user: User) -> str:
    """The whole URL of a new invitation. A password that is set and older invitations are void from here on.

    Raises CannotInvite for a person without e-mail, or who is not active.
    """
    if not user.email:
        raise CannotInvite(f"{user} has no e-mail address.")
    if not user.is_active:
        raise CannotInvite(f"{user} is not active.")
    user.set_unusable_password()  # random each time: older links are bound to the value before
    user.save(update_fields=["password"])
    uid = urlsafe_base64_encode(str(user.pk).encode())
    token = _signer().sign(_state(user))
    return settings.BASE_URL + reverse("invitation", kwargs={"uid": uid, "token": token})


def open_invitation(uid: str, token: str) -> User:
    """The person whom this link invites. Raises InvalidInvitation."""
    try:
        state = _signer().unsign(token, max_age=DAYS * 24 * 3600)
        user = User.objects.get(pk=int(urlsafe_base64_decode(uid).decode()), is_active=True)
    except (signing.BadSignature, ValueError, OverflowError, User.DoesNotExist):
        raise InvalidInvitation from None
    if user.has_usable_password() or not constant_time_compare(state, _state(user)):
        raise InvalidInvitation
    return user


@transaction.atomic
def accept(uid: str, token: str, password: str) -> User:
    """Set the password, once: of two at the same time the second finds the link used. The lock is the person.

    Raises InvalidInvitation.
    """
    user = open_invitation(uid, token)
    User.objects.select_for_update().get(pk=user.pk)
    user = open_invitation(uid, token)
    user.set_password(password)
    user.save(update_fields=["password"])
    return user


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(salt=SALT, sep=".")


def _state(user: User) -> str:
    """Changes with every new invitation and with the password or e-mail address of the person."""
    return salted_hmac(SALT, f"{user.pk} {user.password} {user.email}", algorithm="sha256").hexdigest()
