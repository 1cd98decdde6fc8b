"""`manage.py demo_setup`: invented orgs, their agents and people, two log-ins, one source, and their past. Repeatable.

Three orgs are watched: their rooms fail live. Of twelve more one sees what their agents do.
"""

import json
import os
import secrets
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from demo.flows import FLOWS, NEIGHBOURS
from demo.past import make_past
from orgs import auth, clock, keys, webhooks
from orgs.management.shell import CommandRefused, SentenceCommand
from orgs.models import Agent, ApiKey, Assignment, Membership, Org, Source, SupervisorRole, User, WebhookEndpoint
from runs.models import AgentRun

SOURCE = "chatbot back end"
PEOPLE = {
    "rina.wulandari": ("Rina Wulandari", "en"),
    "bayu.pratama": ("Bayu Pratama", "id"),
    "sinta.maharani": ("Sinta Maharani", "id"),
    "yoga.saputra": ("Yoga Saputra", "id"),
    "putri.lestari": ("Putri Lestari", "id"),
}
ORGS: dict[str, dict[str, Any]] = {
    "toko-melati": {
        "name": "Toko Melati",
        "show_customer_text": True,
        "agents": {"Sales Assistant": "4.2.0", "Order Tracker": "3.1.4"},
        "roles": {
            ("Shop supervisors", 1): ["rina.wulandari", "bayu.pratama"],
            ("Team leads", 2): ["putri.lestari"],
        },
    },
    "bank-cendana": {
        "name": "Bank Cendana",
        "show_customer_text": False,
        "agents": {"Billing Bot": "2.9.1", "Card Helper": "1.8.0"},
        "roles": {
            ("Service supervisors", 1): ["rina.wulandari", "sinta.maharani"],
            ("Team leads", 2): ["bayu.pratama"],
        },
    },
    "kopi-selasar": {
        "name": "Kopi Selasar",
        "show_customer_text": False,
        "agents": {"Barista Bot": "1.2.2", "Refund Guide": "0.9.5"},
        "roles": {
            ("Shift supervisors", 1): ["rina.wulandari", "yoga.saputra"],
            ("Team leads", 2): ["putri.lestari"],
        },
    },
}
OTHERS = {
    external_id: {
        "name": name,
        "show_customer_text": False,
        "agents": {flow.agent: flow.version for flow in FLOWS if flow.org == external_id},
        "roles": {("Supervisors", 1): ["putri.lestari"]},
    }
    for external_id, name in NEIGHBOURS.items()
}
LOGINS = {
    "supervisor": ("rina.wulandari", "rina@demo.example"),
    "specialist": ("dewi.anggraini", "dewi@demo.example"),
}
SPECIALIST = ("Dewi Anggraini", "en")


class Command(SentenceCommand):
    help = "Make the demo's orgs, agents, people, log-ins and key; run again it changes nothing."

    def work(self, options: dict[str, Any]) -> None:
        """Print the log-ins as JSON. Raises Refused outside of demo mode, or if the file cannot be written."""
        if not settings.DEMO:
            raise CommandRefused("Demo data is made only in demo mode (DEMO=1).")
        try:
            with transaction.atomic():
                kept = set_up(settings.DATA_DIR / "demo.json")
            source = Source.objects.get(org=None, name=SOURCE)
            if not AgentRun.objects.filter(source=source).exists():
                make_past(source, clock.now(), days=int(os.environ.get("DEMO_DAYS", "90")))
        except OSError as error:
            raise CommandRefused(f"{error.filename} cannot be written: {error.strerror}.") from error
        self.say(json.dumps({"logins": kept["logins"]}))


def set_up(path: Path) -> dict[str, Any]:
    """Make what is missing and write `demo.json`; gives its content. Passwords and key in it are kept."""
    kept = _read(path)
    people = {sso_id: _person(sso_id, *facts) for sso_id, facts in PEOPLE.items()}
    addresses = defaultdict(str, {org["external_id"]: org.get("webhook", "") for org in kept.get("orgs", [])})
    content = {
        "source_key": _source_key(kept.get("source_key", "")),
        "base_url": settings.BASE_URL,
        "orgs": [
            kept_org | {"webhook": _webhook(org, addresses[org.external_id])}
            for org, kept_org in (_org(external_id, facts, people) for external_id, facts in ORGS.items())
        ],
        "neighbours": [_org(external_id, facts, people)[1] for external_id, facts in OTHERS.items()],
        "logins": [_login(role, kept) for role in LOGINS],
    }
    if content != kept:  # replaced in one step, readable by its owner alone
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        fresh.replace(path)
    return content


def _org(external_id: str, facts: dict[str, Any], people: dict[str, User]) -> tuple[Org, dict[str, Any]]:
    org, _ = Org.objects.get_or_create(
        external_id=external_id,
        defaults={"name": facts["name"], "show_customer_text": facts["show_customer_text"]},
    )
    standins = os.environ.get("STANDINS_URL", "").rstrip("/")
    room_url = f"{standins}/rooms/{{room_id}}"
    if standins and org.room_url_template != room_url:
        org.room_url_template = room_url
        org.save(update_fields=["room_url_template"])
    for name, version in facts["agents"].items():
        Agent.objects.get_or_create(org=org, name=name, defaults={"version": version})
    supervisors: list[str] = []
    for (name, tier), members in facts["roles"].items():
        role, _ = SupervisorRole.objects.get_or_create(org=org, name=name, defaults={"tier": tier})
        for sso_id in members:
            person, chat_id = people[sso_id], _chat_id(sso_id)
            Assignment.objects.get_or_create(org=org, role=role, user=person, defaults={"external_user_id": chat_id})
            lead = Membership.Role.LEAD if role.tier > 1 else Membership.Role.SUPERVISOR
            Membership.objects.get_or_create(org=org, user=person, defaults={"role": lead})
        supervisors += members
    return org, {
        "external_id": external_id,
        "name": facts["name"],
        "agents": [{"name": name, "version": version} for name, version in facts["agents"].items()],
        "supervisors": [{"sso_id": sso_id, "external_user_id": _chat_id(sso_id)} for sso_id in supervisors],
    }


def _chat_id(sso_id: str) -> str:
    """The chat product knows people by other ids than ours: the demo invents one per person."""
    return f"chat-{sso_id}"


def _webhook(org: Org, kept: str) -> str:
    """The path of the org's Qontak address; a kept one that is not good any more is replaced."""
    kind = WebhookEndpoint.Kind.QONTAK
    try:
        webhooks.find(kind, kept.rpartition("/")[2], clock.now())
    except webhooks.UnknownEndpoint:
        endpoint = WebhookEndpoint.objects.filter(org=org, kind=kind).first()
        url = webhooks.rotate_address(endpoint) if endpoint else webhooks.create(org, kind)[1]
        return urlsplit(url).path
    return kept


def _person(sso_id: str, name: str, locale: str) -> User:
    person, new = User.objects.get_or_create(sso_id=sso_id, defaults={"name": name, "locale": locale})
    if new:
        person.set_unusable_password()
        person.save(update_fields=["password"])
    return person


def _login(role: str, kept: dict[str, Any]) -> dict[str, str]:
    sso_id, email = LOGINS[role]
    person = _person(sso_id, *PEOPLE.get(sso_id, SPECIALIST))
    known = [login for login in kept.get("logins", []) if login["role"] == role]
    password = known[0]["password"] if known else secrets.token_urlsafe(9)
    if not person.check_password(password):
        person.set_password(password)
    person.email = email
    person.is_specialist = role == "specialist"
    person.save(update_fields=["email", "is_specialist", "password"])
    return {"role": role, "email": email, "password": password}


def _source_key(kept: str) -> str:
    source, _ = Source.objects.get_or_create(org=None, name=SOURCE)
    with suppress(auth.InvalidKey):  # on the first run, and where the database is a newer one
        if auth.find_key(kept).source_id == source.pk:
            return kept
    live = list(ApiKey.objects.filter(source=source, revoked=False).order_by("created"))
    for old in live[: len(live) - ApiKey.LIVE_PER_SOURCE + 1]:
        keys.revoke(old)
    return keys.issue(source, ["ingest", "read", "act"], name="demo")[1]


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text("utf-8"))
        return kept if isinstance(kept, dict) and "source_key" in kept else {}
    except (FileNotFoundError, ValueError):
        return {}
