"""Two orgs and everybody who might ask: what the tenant matrix is played with."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.test import Client
from django_scopes import scopes_disabled

from alerts.models import (
    Alert,
    BlindInterval,
    FailureEvent,
    PolicyPreview,
    Push,
    RoomActivity,
    Silence,
    Transition,
)
from orgs.duty_changes import StandIn, add_schedule
from orgs.duty_feeds import make_feed
from orgs.keys import issue, revoke
from orgs.models import (
    Agent,
    ApiKey,
    Assignment,
    Org,
    SavedView,
    Source,
    TemporarySchedule,
    User,
    Wall,
    WebhookEndpoint,
)
from orgs.walls import make_wall
from runs.models import AgentRun
from tests.factories import (
    AgentFactory,
    AlertFactory,
    AssignmentFactory,
    MembershipFactory,
    OrgFactory,
    PushFactory,
    RejectedItemFactory,
    RoomFactory,
    SourceFactory,
    SourceMinuteFactory,
    SupervisorRoleFactory,
    UserFactory,
    WebhookDeliveryFactory,
    WebhookEndpointFactory,
)
from tests.runs_made import made_run, reviewed

MARK = "zebra"  # in every text of org A, in no text of anybody else
# What differs in every answer: tokens, nonces, the time of now (`Expires` is it where nothing may be kept).
OF_THIS_MOMENT = ("Content-Security-Policy", "Expires")
ITS_OWN = re.compile(
    rb'(csrfmiddlewaretoken" value="|X-CSRFToken(?:"|&quot;): ?(?:"|&quot;)|nonce[-="]+|data-now=")[A-Za-z0-9+/=_.:-]+'
)


@dataclass
class Tenant:
    """One org with something of everything; every text of it starts with `mark`."""

    org: Org
    lead: User
    alert: Alert
    resolved: Alert
    dead: Push
    test: Push
    source: Source
    key: ApiKey
    assignment: Assignment
    endpoint: WebhookEndpoint
    wall: Wall
    wall_token: str  # the last part of its address
    view: SavedView
    run: AgentRun
    preview: PolicyPreview
    schedule: TemporarySchedule
    feed_token: str  # the last part of its address
    rows: dict[str, Any]  # model name -> a row, for the admin
    silence: Silence


def tenant(mark: str) -> Tenant:
    """Make one."""
    org = OrgFactory(external_id=f"{mark}-org", name=f"{mark} org", show_customer_text=True)
    agent = AgentFactory(org=org, name=f"{mark} agent", version=f"{mark} version")
    role = SupervisorRoleFactory(org=org, name=f"{mark} role")
    lead = UserFactory(sso_id=f"sso-of-{mark}", name=f"{mark} lead", email=f"{mark}@example.com")
    assignment = AssignmentFactory(org=org, role=role, user=lead, external_user_id=f"{mark} chat user")
    MembershipFactory(org=org, user=lead, role="lead")
    alerts = [_alert(org, agent, lead, mark, state) for state in ("open", "resolved")]
    dead = PushFactory(
        alert=alerts[0],
        assignment=None,
        supervisor=lead,
        state="dead",
        ended_reason="refused",
        last_answer=f"{mark} no",
    )
    test = PushFactory(alert=None, org=org, assignment=None, supervisor=lead, state="sent", sent_at=datetime.now(UTC))
    source = SourceFactory(org=org, name=f"{mark} source")
    key, _ = issue(source, ["read", "act"], name=f"{mark} key")
    endpoint = WebhookEndpointFactory(org=org, source=source, organization_id=f"{mark} organization")
    WebhookDeliveryFactory(endpoint=endpoint, outcome="not_understood", reason=f"{mark} reason", sample={mark: mark})
    RejectedItemFactory(org=org, source=source, code=f"{mark} code", message=mark, sample={mark: mark})
    SourceMinuteFactory(org=org, source=source)
    BlindInterval.objects.create(org=org, source=source, cause="source_silent", starts=datetime.now(UTC))
    with scopes_disabled():
        wall, address = make_wall(org, f"{mark} wall", locale="en")
        begins = datetime.now(UTC) + timedelta(days=1)
        schedule = add_schedule(org, begins, begins + timedelta(days=1), [StandIn(role, lead)])
        feed_token = make_feed(org, lead, begins)[1].rpartition("/")[2]
    token = address.rpartition("/")[2]
    rows = {
        "org": org,
        "agent": agent,
        "supervisorrole": role,
        "assignment": assignment,
        "user": lead,
        "source": source,
        "alert": alerts[0],
        "push": dead,
    }
    view = SavedView.objects.create(org=org, owner=lead, name=f"{mark} view", query=f"agent={mark}")
    run = _run(org, agent, mark)
    preview = _preview(org, lead)
    return Tenant(
        org,
        lead,
        alerts[0],
        alerts[1],
        dead,
        test,
        source,
        key,
        assignment,
        endpoint,
        wall,
        token,
        view,
        run,
        preview,
        schedule,
        feed_token,
        rows,
        _silence(org, lead, mark),
    )


def _preview(org: Org, lead: User) -> PolicyPreview:
    now = datetime.now(UTC)
    hour = {"from": now.isoformat(), "pushes": 1}
    told = {"sso_id": lead.sso_id, "pushes": 1, "digests": 0}
    counts = dict.fromkeys(("pushes", "digests", "interruptions", "escalations", "unroutable"), 1)
    figures = {**counts, "by_person": [told], "by_hour": [hour], "not_told": []}
    answer = {"from": now.isoformat(), "to": now.isoformat(), "events": 1, "now": figures, "then": figures}
    times = {"since": now, "until": now, "asked_at": now, "expires_at": now + timedelta(days=1)}
    return PolicyPreview.objects.create(
        org=org, by=lead, policy={}, state="done", answer={**answer, "not_reproduced": 0}, **times
    )


def _silence(org: Org, lead: User, mark: str) -> Silence:
    """One that begins tomorrow."""
    now = datetime.now(UTC)
    starts, ends = now + timedelta(days=1), now + timedelta(days=1, hours=1)
    return Silence.objects.create(
        org=org, channel=mark, note=mark, starts_at=starts, ends_at=ends, created_at=now, created_by=lead
    )


def _run(org: Org, agent: Agent, mark: str) -> AgentRun:
    """A run in the room of the open alert, reviewed, of whose failure that alert heard."""
    run = made_run(
        org,
        agent,
        datetime.now(UTC),
        agent_version=f"{mark} version",
        input_kind=f"{mark} kind",
        channel=f"{mark} channel",
        room=f"{mark} room open",
        metadata={mark: mark},
        review_count=1,
        review_sum=4,
    )
    reviewed(run, 4, reviewer=f"{mark} reviewer", notes=f"{mark} notes")
    with scopes_disabled():
        FailureEvent.objects.filter(org=org, event_id=f"{mark} open").update(run_id=str(run.run_id))
    return run


def _alert(org: Org, agent: Any, person: User, mark: str, state: str) -> Alert:
    now = datetime.now(UTC)
    room = RoomFactory(
        org=org,
        room_id=f"{mark} room {state}",
        label=f"{mark} label",
        channel=f"{mark} channel",
        last_customer_text=mark,
    )
    alert = AlertFactory(
        org=org,
        room=room,
        agent=agent,
        state=state,
        agent_version=f"{mark} version",
        resolved_at=now if state == "resolved" else None,
        verdict_note=f"{mark} note",
    )
    with scopes_disabled():
        event = FailureEvent.objects.create(
            org=org,
            source=SourceFactory(org=org, name=f"{mark} {state}"),
            event_id=f"{mark} {state}",
            payload_hash=b"h",
            room=room,
            agent=agent,
            alert=alert,
            signal="agent_error",
            reason="first",
            error_type=mark,
            error_message=mark,
            occurred_at=now,
            received_at=now,
            metadata={mark: mark},
        )
        Transition.objects.create(
            org=org,
            alert=alert,
            at=now,
            change="opened",
            reason="first",
            event=event,
            actor=person,
            detail={"note": mark},
        )
        RoomActivity.objects.create(
            org=org,
            activity_id=f"{mark} {state}",
            payload_hash=b"h",
            room=room,
            kind="customer_message",
            at=now,
            received_at=now,
        )
    return alert


def strangers(ours: Tenant) -> dict[str, Client]:
    """Everybody who must see nothing of this tenant, by what they are."""
    other = tenant("other")
    gone = AssignmentFactory(org=ours.org, role=ours.assignment.role, user__name="Gone")
    MembershipFactory(org=ours.org, user=gone.user, role="lead")
    locked = AssignmentFactory(org=ours.org, role=ours.assignment.role, user__name="Locked").user
    callers = {
        LEAD_ELSEWHERE: browser(other.lead),
        "whose assignment was removed": browser(gone.user),
        "who was locked out": browser(locked),
        "nobody": Client(),
        KEY_ELSEWHERE: _machine(other.source, "ingest", "read", "act"),
        "a revoked key": _machine(ours.source, "read", "act", revoked=True),
    }
    with scopes_disabled():
        Assignment.objects.filter(pk=gone.pk).delete()
        User.objects.filter(pk=locked.pk).update(is_active=False)
    return callers


LEAD_ELSEWHERE, KEY_ELSEWHERE = "another org's lead", "another org's key"
KEYS = {KEY_ELSEWHERE, "a revoked key"}
SIGNED_OUT = {"who was locked out", "nobody", "a revoked key"}


def insiders(ours: Tenant) -> dict[str, Client]:
    """Everybody who may see this tenant's data."""
    return {"a lead": browser(ours.lead), "a key": _machine(ours.source, "read", "act")}


def specialist() -> Client:
    return browser(UserFactory(is_specialist=True, name="Specialist"))


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def _machine(source: Source, *scopes: str, revoked: bool = False) -> Client:
    with scopes_disabled():
        for key in ApiKey.objects.filter(source=source, name__endswith=" key"):
            key.delete()
    key, raw = issue(source, scopes)
    if revoked:
        revoke(key)
    return Client(headers={"Authorization": f"Bearer {raw}"})


def unknown(name: str) -> str:
    """A value for this part of a URL that nothing has; as long as a real one, so that Content-Length tells nothing."""
    if name == "public_id":
        return "0" * 16
    if name == "token":
        return f"{'0' * 16}.{'x' * 43}"
    if name == "org_id":
        return f"{'x' * len(MARK)}-org"
    if name == "agent_name":
        return f"{'x' * len(MARK)} agent"
    if name in ("schedule_id", "assignment_id"):
        return "9" * 15
    return (
        str(uuid4())
        if name in ("alert_id", "push_id", "view_id", "run_id", "preview_id", "silence_id")
        else f"sso-of-{'x' * len(MARK)}"
    )


def seen(answer: Any) -> bytes:
    """All that an answer tells: status, headers and body, without what differs in every answer."""
    body = b"".join(answer) if answer.streaming else answer.content
    told = {name: value for name, value in answer.headers.items() if name not in OF_THIS_MOMENT}
    return ITS_OWN.sub(rb"\1", f"{answer.status_code} {told}\n".encode() + body)
