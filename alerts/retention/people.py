"""What is known of a person, and what is left of them afterwards: a row without a name, for what they did."""

import json
from collections import Counter
from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.contrib.sessions.serializers import JSONSerializer
from django.core import signing
from django.db import connection
from django.db.models import Model

from alerts.models import Push, RoomActivity
from alerts.retention.texts import Needles
from orgs.history import tracked
from orgs.models import Assignment, Membership, SavedView, User

# Rows that are about the person alone: they go.
DUTY = ("orgs_quiethours", "orgs_temporaryduty", "orgs_handover", "orgs_dutyfeed", "orgs_dutyreminder")
IN_AN_ORG = ("orgs_assignment", "orgs_membership", *DUTY)
ABOUT_THEM = (*IN_AN_ORG, "mfa_authenticator")
UNSENT = (Push.State.PENDING, Push.State.SENDING, Push.State.DEAD)


def is_known_in(user: User, org: Any) -> bool:
    """Whether the person has, or had, anything to do with this org."""
    own = (Assignment.every.filter(user=user, org=org), Membership.objects.filter(user=user, org=org))
    return any(rows.exists() for rows in own) or any(
        model._default_manager.filter(org=org, **{field.name: user}).exists() for model, field in _named_by()
    )


def is_known_elsewhere(user: User, org: Any) -> bool:
    """Whether others need the person by name: another org in which they have a role, or all of them."""
    if user.is_specialist:
        return True
    rows: tuple[Any, ...] = (Assignment.every.filter(user=user), Membership.objects.filter(user=user))
    return any(found.exclude(org=org).exists() for found in rows)


def needles_of(user: User, orgs: Collection[int] | None) -> Needles:
    """What the person is called: their ids here and in the chat product, their address and their name."""
    ids = {user.sso_id, user.email or "", (user.email or "").lower()} | _external_ids(user, orgs)
    ids |= {name for one in _events_of(user) for name in (one.sso_id, one.email or "")} if orgs is None else set()
    names = {user.name} | ({one.name for one in _events_of(user)} if orgs is None else set())
    return Needles(frozenset(ids - {""}), frozenset(names - {""} - ids))


def _events_of(user: User) -> list[Any]:
    table: Any = tracked()[User]
    return list(table.objects.filter(pgh_obj_id=user.pk))


def _external_ids(user: User, orgs: Collection[int] | None) -> set[str]:
    history: Any = tracked()[Assignment]
    found: set[str] = set()
    for rows in (Assignment.every.filter(user=user), history.objects.filter(user_id=user.pk)):
        rows = rows if orgs is None else rows.filter(org__in=orgs)
        found |= set(rows.values_list("external_user_id", flat=True))
    return found


def forget(user: User, pseudonym: str) -> Counter[str]:
    """Everywhere; rows by table."""
    counts = Counter[str]()
    views = SavedView.objects.filter(owner=user)
    counts["orgs_savedview"] = views.filter(org=None).delete()[0] + views.update(owner=None)
    counts["django_session"] = _end_sessions(user)
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM account_emailconfirmation USING account_emailaddress address"
            " WHERE email_address_id = address.id AND address.user_id = %s",
            [user.pk],
        )
        for table in (*ABOUT_THEM, "account_emailaddress"):
            cursor.execute(f"DELETE FROM {table} WHERE user_id = %s", [user.pk])
            counts[table] += cursor.rowcount
    counts.update(_without_pushes(user, None))
    user.sso_id, user.name, user.email, user.locale, user.zone = pseudonym, "", None, "", ""
    user.is_active = user.is_specialist = False
    user.last_login = user.push_tokens = user.push_tokens_at = None
    user.set_unusable_password()
    user.save()
    counts["orgs_user"] += 1
    counts.update(_without_history(user, None))
    return counts


def forget_in(user: User, org_id: int, pseudonym: str) -> Counter[str]:
    """In one org: what they did there is now of somebody without a name."""
    counts = Counter[str]()
    nobody = User.objects.create_user(None, sso_id=pseudonym, is_active=False)
    counts["orgs_savedview"] = SavedView.objects.filter(owner=user, org=org_id).update(owner=None)
    with connection.cursor() as cursor:
        for table in IN_AN_ORG:
            cursor.execute(f"DELETE FROM {table} WHERE user_id = %s AND org_id = %s", [user.pk, org_id])
            counts[table] += cursor.rowcount
        counts.update(_without_pushes(user, org_id))
        for model, field in _named_by():
            table = model._meta.db_table
            cursor.execute(
                f"UPDATE {table} SET {field.column} = %s WHERE org_id = %s AND {field.column} = %s",
                [nobody.pk, org_id, user.pk],
            )
            counts[table] += cursor.rowcount
        by = json.dumps([{"by": user.pk}])
        cursor.execute(
            "UPDATE alerts_alert SET undoable = '[]' WHERE org_id = %s AND undoable @> %s::jsonb", [org_id, by]
        )
    counts.update(_without_history(user, org_id))
    return counts


def _named_by() -> list[tuple[type[Model], Any]]:
    """The columns of an org's tables that name a person; history and what is about them alone left out."""
    histories = set(tracked().values())
    return [
        (model, field)
        for model in apps.get_models()
        if model not in histories and model._meta.db_table not in ABOUT_THEM and model is not SavedView
        if any(field.attname == "org_id" for field in model._meta.concrete_fields)
        for field in model._meta.concrete_fields
        if field.related_model is User
    ]


def _without_pushes(user: User, org_id: int | None) -> Counter[str]:
    """What was told to them is no longer said; nothing more is sent."""
    pushes, acts = Push.objects.filter(supervisor=user), RoomActivity.objects.filter(actor=user)
    if org_id is not None:
        pushes, acts = pushes.filter(org=org_id), acts.filter(org=org_id)
    pushes.filter(state__in=UNSENT).update(
        state=Push.State.CANCELLED, ended_reason="removed", next_attempt_at=None, lease_token=None, lease_until=None
    )
    silent = {"body": "", "last_answer": "", "failed_reason": "", "notification_id": ""}
    return Counter(
        {
            "alerts_push": pushes.update(**silent),
            "alerts_roomactivity": acts.exclude(actor_external_id="").update(actor_external_id=""),
        }
    )


def _without_history(user: User, org_id: int | None) -> Counter[str]:
    """Who they were, and what was changed about them; that nobody is called so any more stays."""
    counts = Counter[str]()
    for model, events in tracked().items():
        rows: Any = events._default_manager
        columns = {field.attname for field in events._meta.concrete_fields}
        if model is User:
            gone = rows.filter(pgh_obj_id=user.pk).exclude(sso_id=user.sso_id) if org_id is None else rows.none()
        elif "user_id" in columns:
            gone = rows.filter(user_id=user.pk) if org_id is None else rows.filter(user_id=user.pk, org=org_id)
        else:
            continue
        counts[events._meta.db_table] = gone.delete()[0]
    return counts


def _end_sessions(user: User) -> int:
    """Delete the sessions of this person, and any that cannot be read."""
    keys = []
    for key, data in Session.objects.values_list("session_key", "session_data").iterator():
        try:
            found = signing.loads(data, salt=SESSION_SALT, serializer=JSONSerializer)
        except signing.BadSignature:
            found = {}
        if str(found.get("_auth_user_id", "")) == str(user.pk):
            keys.append(key)
    return Session.objects.filter(pk__in=keys).delete()[0]


SESSION_SALT = f"django.contrib.sessions.{settings.SESSION_ENGINE}"
