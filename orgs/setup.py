"""Set up an org in one go: the org, its first supervisor with role and console log-in, a source with a key."""

from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from orgs import invitations, keys
from orgs.errors import BadValue
from orgs.models import Assignment, Membership, Org, Scope, Source, SupervisorRole, User

ROLE, SOURCE = "Supervisors", "Chatbot"


class CannotSetUp(BadValue):
    """Nothing was made."""


@dataclass(frozen=True)
class Made:
    """What was made. `key` is the secret text, which is kept nowhere; `invitation` None: they can log in already."""

    org: Org
    source: Source
    key: str
    person: User
    invitation: str | None


@transaction.atomic
def set_up(org: Org, *, sso_id: str, email: str, name: str = "") -> Made:
    """Save the org (valid, not saved yet) with all it needs for its first alert: all of it or nothing.

    The first supervisor leads the org; a person known by this SSO id is taken as they are. Raises CannotSetUp.
    """
    try:
        with transaction.atomic():
            org.save(force_insert=True)
    except IntegrityError:
        raise CannotSetUp("external_id", _("There is an org with this external id already.")) from None
    person = _person(sso_id, email, name)
    role = SupervisorRole.objects.create(org=org, name=ROLE, tier=1)
    Assignment.objects.create(org=org, role=role, user=person, provenance=Assignment.Provenance.LIST)
    Membership.objects.create(org=org, user=person, role=Membership.Role.LEAD)
    source = Source.objects.create(org=org, name=SOURCE)
    _key, secret = keys.issue(source, [Scope.INGEST])
    invitation = None if person.has_usable_password() else invitations.invite(person)
    return Made(org, source, secret, person, invitation)


def _person(sso_id: str, email: str, name: str) -> User:
    try:
        person = invitations.person_to_invite(sso_id, email)
    except invitations.WrongPerson as wrong:
        raise CannotSetUp(wrong.field, str(wrong)) from wrong
    if not person.is_active:
        raise CannotSetUp("sso_id", _("%(sso_id)s is locked out.") % {"sso_id": sso_id})
    person.name = person.name or name
    try:
        with transaction.atomic():
            person.save()
    except IntegrityError:
        raise CannotSetUp("sso_id", _("Somebody else made this person at the same moment.")) from None
    return person
