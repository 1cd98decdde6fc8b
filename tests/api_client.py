"""Callers of the API for tests: people with a session, machines with a key."""

import json
from typing import Any

from django.test import Client

from orgs.keys import issue
from orgs.models import Org, Source, User
from tests.factories import AssignmentFactory, SourceFactory


def signed_in(user: User) -> Client:
    """A browser of this person."""
    client = Client()
    client.force_login(user)
    return client


def supervisor_of(*orgs: Org, **fields: Any) -> User:
    """A new person, assigned in each of these orgs."""
    user = AssignmentFactory(org=orgs[0], **{f"user__{name}": value for name, value in fields.items()}).user
    for org in orgs[1:]:
        AssignmentFactory(org=org, user=user)
    return user


def with_key(org: Org | None, *scopes: str, source: Source | None = None) -> Client:
    """A machine with a key of an org's source (None: a platform source)."""
    _, raw = issue(source or SourceFactory(org=org), scopes or ("read", "act"))
    return Client(headers={"Authorization": f"Bearer {raw}"})


def post(client: Client, path: str, body: Any = None) -> Any:
    """POST a JSON body; the answer."""
    return client.post(path, json.dumps({} if body is None else body), content_type="application/json")


def put(client: Client, path: str, body: Any) -> Any:
    """PUT a JSON body; the answer."""
    return client.put(path, json.dumps(body), content_type="application/json")
