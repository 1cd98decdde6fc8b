"""An evening in three orgs, told through the real actions with the database's clock moved along. Invented people."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django_scopes import scopes_disabled

from alerts import actions
from alerts.items import Accepted, ActivityItem, ErrorInfo, EventItem, Handoff
from alerts.models import Alert, FailureEvent, Push, Room
from orgs import clock
from orgs.models import Agent, Assignment, Membership, Org, Source, SourceHeard, SupervisorRole, User

LIVE_NOW = (
    "CREATE OR REPLACE FUNCTION live_now() RETURNS timestamptz LANGUAGE sql VOLATILE "
    "AS 'SELECT clock_timestamp() + interval ''{} seconds'''"
)
VERSIONS = {
    "Order Tracker": "3.1.4",
    "Sales Assistant": "4.2.0",
    "Billing Bot": "2.9.1",
    "Card Helper": "1.8.0",
    "Refund Guide": "0.9.5",
    "Barista Bot": "1.2.2",
}
PASSWORD = "a-long-demo-password"  # noqa: S105 - of a database that lives for the pictures only


def at(minutes_ago: float) -> None:
    """Put the database's clock back; 0 = now."""
    with connection.cursor() as cursor:
        cursor.execute(LIVE_NOW.format(-60 * minutes_ago))


class Evening:
    """The cast, and shorthand for what happens to it."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.n = 0

    def org(self, external_id: str, name: str, *agents: str) -> Org:
        org = Org.objects.create(
            external_id=external_id,
            name=name,
            room_url_template="https://chat.example.com/inbox/{room_id}",
            show_customer_text=False,
        )
        self.sources[external_id] = Source.objects.create(org=org, name="chatbot back end")
        for agent in agents:
            Agent.objects.create(org=org, name=agent, version=VERSIONS[agent])
        return org

    def person(self, sso_id: str, name: str, tokens: int | None, **fields: Any) -> User:
        user = User.objects.create_user(f"{sso_id}@example.com", PASSWORD, sso_id=sso_id, name=name, **fields)
        user.push_tokens, user.push_tokens_at = tokens, clock.now()
        user.save()
        return user

    def event(self, org: str, agent: str, room: str, label: str, signal: str, **fields: Any) -> Alert:
        self.n += 1
        now = clock.now()
        item = EventItem(
            event_id=f"e-{self.n}",
            agent_name=agent,
            room_id=room,
            signal=signal,  # type: ignore[arg-type]
            occurred_at=now,
            room_label=label,
            agent_version=VERSIONS[agent],
            **fields,
        )
        actions.record_events(self.sources[org], [self._accepted(org, item)])
        return Alert.objects.get(room__room_id=room)

    def activity(self, org: str, room: str, kind: str, who: User | None = None) -> None:
        self.n += 1
        item = ActivityItem(
            activity_id=f"a-{self.n}",
            room_id=room,
            kind=kind,  # type: ignore[arg-type]
            at=clock.now(),
            actor_sso_id=who.sso_id if who else None,
        )
        actions.record_activity(self.sources[org], [self._accepted(org, item)])

    def _accepted(self, org: str, item: EventItem | ActivityItem) -> Accepted:
        digest = hashlib.sha256(json.dumps([self.n]).encode()).digest()
        return Accepted(0, Org.objects.get(external_id=org).pk, item, digest)


def deliver(delivered: float = 1.2, opened: dict[str, float] | None = None, lost: tuple[str, ...] = ()) -> None:
    """What is pending is sent; phones get it; some people open it, after so many seconds."""
    for push in Push.objects.filter(state="pending").select_related("supervisor"):
        push.state, push.sent_at, push.next_attempt_at = "sent", push.planned_at + timedelta(seconds=0.4), None
        push.push = "queued" if push.supervisor.push_tokens else "no_token"
        if push.supervisor.push_tokens and push.supervisor.sso_id not in lost:
            push.delivered_at = push.sent_at + timedelta(seconds=delivered)
        wait = (opened or {}).get(push.supervisor.sso_id)
        if wait is not None:
            push.opened_at = push.sent_at + timedelta(seconds=wait)
        push.save()


def history(agent: str, per_hour: float, now: datetime) -> None:
    """A week of failure events in this very hour: what is usual."""
    found = Agent.objects.get(name=agent)
    source = Source.objects.get(org=found.org)
    room = Room.objects.create(org=found.org, room_id=f"past-{agent}")
    rows = []
    for day in range(1, 8):
        for n in range(round(per_hour)):
            when = now - timedelta(days=day, minutes=2 + n * 50 / per_hour)
            rows.append(
                FailureEvent(
                    org=found.org,
                    source=source,
                    event_id=f"past-{agent}-{day}-{n}",
                    payload_hash=b"",
                    room=room,
                    agent=found,
                    signal="low_confidence",
                    severity="info",
                    reason="first",
                    occurred_at=when,
                    received_at=when,
                    confidence=0.4,
                    threshold=0.5,
                )
            )
    FailureEvent.objects.bulk_create(rows)


def heard(minutes: dict[str, float]) -> None:
    """When the source of an org was last heard."""
    for external_id, ago in minutes.items():
        org = Org.objects.get(external_id=external_id)
        SourceHeard.objects.create(org=org, source=org.sources.get(), at=clock.now() - timedelta(minutes=ago))


def set_up(evening: Evening) -> dict[str, User]:
    """Orgs, agents, people, roles."""
    evening.org("melati", "Toko Melati", "Order Tracker", "Sales Assistant")
    evening.org("cendana", "Bank Cendana", "Billing Bot", "Card Helper")
    evening.org("selasar", "Kopi Selasar", "Refund Guide", "Barista Bot")
    people = {
        "rina": evening.person("rina", "Rina Wulandari", 2, locale="en"),
        "bayu": evening.person("bayu", "Bayu Pratama", 1),
        "sinta": evening.person("sinta", "Sinta Maharani", 1),
        "yoga": evening.person("yoga", "Yoga Saputra", 0),
        "dewi": evening.person("dewi", "Dewi Anggraini", 1, is_specialist=True, locale="en"),
    }
    for external_id in ("melati", "cendana", "selasar"):
        org = Org.objects.get(external_id=external_id)
        first = SupervisorRole.objects.create(org=org, name="Team lead", tier=1)
        if external_id == "selasar":
            first.agents.add(Agent.objects.get(name="Barista Bot"))
        for name in ("rina", "bayu") + (("yoga",) if external_id == "cendana" else ()):
            Assignment.objects.create(org=org, role=first, user=people[name])
        second = SupervisorRole.objects.create(org=org, name="Duty desk", tier=2)
        if external_id == "selasar":
            second.agents.add(Agent.objects.get(name="Barista Bot"))
        Assignment.objects.create(org=org, role=second, user=people["sinta"])
        Membership.objects.create(org=org, user=people["rina"], role="lead")
    return people


def play() -> dict[str, Any]:
    """Everything; returns the alert to show and the people. Leaves the clock at now."""
    with scopes_disabled():
        evening = Evening()
        at(0)
        people = set_up(evening)
        now = clock.now()
        for agent, usual in (("Order Tracker", 4), ("Billing Bot", 3), ("Card Helper", 3), ("Sales Assistant", 5)):
            history(agent, usual, now)
        for step in story(evening, people):
            step()
        at(0)
        heard({"melati": 0.05, "cendana": 0.1, "selasar": 34})
        shown = Alert.objects.get(room__room_id="RM-20418")
    return {"alert": shown, "people": people}


def story(e: Evening, p: dict[str, User]) -> list[Callable[[], Any]]:
    """The steps of the evening in order of time."""
    steps: list[tuple[float, Callable[[], Any]]] = []

    def then(minutes_ago: float, *acts: Callable[[], Any]) -> None:
        steps.extend((minutes_ago, act) for act in acts)

    def low(value: float) -> dict[str, Any]:
        return {"confidence": value, "threshold": 0.45, "channel": "WhatsApp"}

    def cap() -> dict[str, Any]:
        return {"message_count": 20, "message_cap": 20, "channel": "WhatsApp"}

    def handoff(completed: bool) -> dict[str, Any]:
        return {"handoff": Handoff(completed, "no human agent was free"), "channel": "WhatsApp"}

    def error(kind: str, channel: str) -> dict[str, Any]:
        return {"error": ErrorInfo(kind, "the model gave no answer in 30 s"), "channel": channel}

    sari = ("cendana", "Billing Bot", "RM-20418", "Ibu Sari Handayani")
    then(
        41,
        lambda: e.event("selasar", "Barista Bot", "RM-90417", "Pelanggan 90417", "low_confidence", **low(0.4)),
        deliver,
    )
    then(
        24,
        lambda: e.event("melati", "Order Tracker", "RM-71120", "Yusuf Ramadhan", "message_cap", **cap()),
        lambda: deliver(opened={"bayu": 20}),
    )
    then(21, lambda: e.activity("melati", "RM-71120", "human_message", p["bayu"]))
    then(11.7, lambda: e.event(*sari, "low_confidence", **low(0.41)), deliver)
    then(10.2, lambda: e.event(*sari, "low_confidence", **low(0.38)))
    then(
        9.1,
        lambda: e.event("cendana", "Card Helper", "RM-20377", "Bapak Wayan Sudarta", "message_cap", **cap()),
        lambda: deliver(opened={"rina": 9}),
    )
    then(8.8, lambda: e.event(*sari, "low_confidence", **low(0.31)))
    then(
        8.1,
        lambda: e.event(
            "cendana", "Card Helper", "RM-20377", "Bapak Wayan Sudarta", "unexpected_handoff", **handoff(True)
        ),
    )
    then(7.3, lambda: e.activity("cendana", "RM-20377", "human_message", p["rina"]))
    then(6.9, lambda: e.event("cendana", "Billing Bot", "RM-20391", "Maya Putri L.", "message_cap", **cap()), deliver)
    then(
        6.2,
        lambda: e.event(*sari, "message_cap", **cap()),
        lambda: deliver(opened={"rina": 17, "bayu": 26}, lost=("sinta",)),
    )
    then(5.4, lambda: resolve("RM-71120", p["bayu"]))
    then(5.0, lambda: e.activity("cendana", "RM-20391", "human_message", p["sinta"]))
    then(
        4.9,
        lambda: e.event(*sari, "unexpected_handoff", **handoff(False)),
        lambda: deliver(opened={"rina": 17, "bayu": 26}),
    )
    then(
        4.6,
        lambda: e.event("melati", "Order Tracker", "RM-71188", "Pelanggan 88213", "low_confidence", **low(0.4)),
        deliver,
    )
    then(
        4.3,
        lambda: e.event(
            "selasar", "Refund Guide", "RM-90388", "Pak Hendra Gunawan", "agent_error", **error("Timeout", "Instagram")
        ),
    )
    then(
        3.9, lambda: e.event("melati", "Order Tracker", "RM-71188", "Pelanggan 88213", "message_cap", **cap()), deliver
    )
    then(
        3.5,
        lambda: e.event("cendana", "Billing Bot", "RM-20440", "Nadia Kusuma", "low_confidence", **low(0.33)),
        deliver,
    )
    then(
        3.4,
        lambda: e.event(
            "cendana", "Billing Bot", "RM-20440", "Nadia Kusuma", "agent_error", **error("ToolError", "Web chat")
        ),
        deliver,
    )
    then(
        2.2, lambda: e.event("cendana", "Card Helper", "RM-20377", "Bapak Wayan Sudarta", "low_confidence", **low(0.4))
    )
    for n in range(9):
        then(
            2.0 - n / 10,
            lambda n=n: e.event("cendana", "Billing Bot", "RM-20391", "Maya Putri L.", "low_confidence", **low(0.3)),
        )
    then(1.3, lambda: acted(lambda alert: actions.take(alert.pk, p["bayu"]), "RM-20440"))
    then(
        0.6,
        lambda: e.event(
            "melati", "Sales Assistant", "RM-71204", "Dian Permata", "agent_error", **error("Timeout", "WhatsApp")
        ),
        lambda: deliver(opened={"rina": 12}),
    )
    return [moved(minutes, act) for minutes, act in sorted(steps, key=lambda step: -step[0])]


def moved(minutes_ago: float, act: Callable[[], Any]) -> Callable[[], Any]:
    def step() -> None:
        at(minutes_ago)
        actions.sweep_timers()
        act()

    return step


def acted(act: Callable[[Alert], Any], room: str) -> None:
    act(Alert.objects.get(room__room_id=room))


def resolve(room: str, by: User) -> None:
    actions.resolve(Alert.objects.get(room__room_id=room).pk, by)
