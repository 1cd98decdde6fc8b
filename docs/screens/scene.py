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
from orgs.models import Agent, Assignment, Membership, Org, SavedView, Source, SourceHeard, SupervisorRole, User

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


def turn_clock_back(minutes_ago: float) -> None:
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


def week_before(agent: str, per_hour: float, now: datetime) -> None:
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


def sources_were_heard(minutes: dict[str, float]) -> None:
    """When the source of an org was last heard."""
    for external_id, ago in minutes.items():
        org = Org.objects.get(external_id=external_id)
        SourceHeard.objects.create(org=org, source=org.sources.get(), at=clock.now() - timedelta(minutes=ago))


def cast(evening: Evening) -> dict[str, User]:
    """Orgs, agents, people, roles, saved views."""
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
    cendana = Org.objects.get(external_id="cendana")
    SavedView.objects.create(owner=people["rina"], name="Critical, nobody yet", query="severity=critical&tab=waiting")
    SavedView.objects.create(owner=people["rina"], org=cendana, name="Cards", query="agent=Card+Helper&org=cendana")
    return people


def play_evening() -> dict[str, Any]:
    """Everything; returns the alert to show and the people. Leaves the clock at now."""
    with scopes_disabled():
        evening = Evening()
        turn_clock_back(0)
        people = cast(evening)
        now = clock.now()
        for agent, usual in (("Order Tracker", 4), ("Billing Bot", 3), ("Card Helper", 3), ("Sales Assistant", 5)):
            week_before(agent, usual, now)
        script = Script(evening)
        for part in (earlier, ibu_sari, held_rooms, rooms_that_wait):
            part(script, people)
        script.perform()
        turn_clock_back(0)
        sources_were_heard({"melati": 0.05, "cendana": 0.1, "selasar": 34})
        shown = Alert.objects.get(room__room_id="RM-20418")
    return {"alert": shown, "people": people}


# --- the story, told room by room ------------------------------------------------------------------------------------

BARISTA = ("selasar", "Barista Bot", "RM-90417", "Pelanggan 90417")
YUSUF = ("melati", "Order Tracker", "RM-71120", "Yusuf Ramadhan")
SARI = ("cendana", "Billing Bot", "RM-20418", "Ibu Sari Handayani")
WAYAN = ("cendana", "Card Helper", "RM-20377", "Bapak Wayan Sudarta")
MAYA = ("cendana", "Billing Bot", "RM-20391", "Maya Putri L.")
NADIA = ("cendana", "Billing Bot", "RM-20440", "Nadia Kusuma")
PELANGGAN = ("melati", "Order Tracker", "RM-71188", "Pelanggan 88213")
HENDRA = ("selasar", "Refund Guide", "RM-90388", "Pak Hendra Gunawan")
DIAN = ("melati", "Sales Assistant", "RM-71204", "Dian Permata")
CAP = {"message_count": 20, "message_cap": 20, "channel": "WhatsApp"}


def low(confidence: float) -> dict[str, Any]:
    return {"confidence": confidence, "threshold": 0.45, "channel": "WhatsApp"}


def handed_off(completed: bool) -> dict[str, Any]:
    return {"handoff": Handoff(completed, "no human agent was free"), "channel": "WhatsApp"}


def broken(kind: str, channel: str) -> dict[str, Any]:
    return {"error": ErrorInfo(kind, "the model gave no answer in 30 s"), "channel": channel}


class Script:
    """What happens so many minutes before now; collected in any order, performed in order of time."""

    def __init__(self, evening: Evening) -> None:
        self.evening = evening
        self.steps: list[tuple[float, Callable[[], Any]]] = []

    def then(self, minutes_ago: float, act: Callable[[], Any]) -> None:
        self.steps.append((minutes_ago, act))

    def fails(self, minutes_ago: float, room: tuple[str, str, str, str], signal: str, **fields: Any) -> None:
        self.then(minutes_ago, lambda: self.evening.event(*room, signal, **fields))

    def told(self, minutes_ago: float, **how: Any) -> None:
        """What is pending then goes out: see `deliver`."""
        self.then(minutes_ago, lambda: deliver(**how))

    def writes(self, minutes_ago: float, room: tuple[str, str, str, str], who: User) -> None:
        self.then(minutes_ago, lambda: self.evening.activity(room[0], room[2], "human_message", who))

    def perform(self) -> None:
        for minutes_ago, act in sorted(self.steps, key=lambda step: -step[0]):
            turn_clock_back(minutes_ago)
            actions.sweep_timers()
            act()


def earlier(script: Script, people: dict[str, User]) -> None:
    script.fails(41, BARISTA, "low_confidence", **low(0.4))
    script.told(41)
    script.fails(24, YUSUF, "message_cap", **CAP)
    script.told(24, opened={"bayu": 20})
    script.writes(21, YUSUF, people["bayu"])
    script.then(5.4, lambda: actions.resolve(alert_in(YUSUF).pk, people["bayu"]))


def ibu_sari(script: Script, people: dict[str, User]) -> None:
    """The alert that the pictures show whole."""
    script.fails(11.7, SARI, "low_confidence", **low(0.41))
    script.told(11.7)
    script.fails(10.2, SARI, "low_confidence", **low(0.38))
    script.fails(8.8, SARI, "low_confidence", **low(0.31))
    script.fails(6.2, SARI, "message_cap", **CAP)
    script.told(6.2, opened={"rina": 17, "bayu": 26}, lost=("sinta",))
    script.fails(4.9, SARI, "unexpected_handoff", **handed_off(False))
    script.told(4.9, opened={"rina": 17, "bayu": 26})


def held_rooms(script: Script, people: dict[str, User]) -> None:
    script.fails(9.1, WAYAN, "message_cap", **CAP)
    script.told(9.1, opened={"rina": 9})
    script.fails(8.1, WAYAN, "unexpected_handoff", **handed_off(True))
    script.writes(7.3, WAYAN, people["rina"])
    script.fails(2.2, WAYAN, "low_confidence", **low(0.4))
    script.fails(6.9, MAYA, "message_cap", **CAP)
    script.told(6.9)
    script.writes(5.0, MAYA, people["sinta"])
    for n in range(9):
        script.fails(2.0 - n / 10, MAYA, "low_confidence", **low(0.3))
    script.fails(3.5, NADIA, "low_confidence", **low(0.33))
    script.told(3.5)
    script.fails(3.4, NADIA, "agent_error", **broken("ToolError", "Web chat"))
    script.told(3.4)
    script.then(1.3, lambda: actions.take(alert_in(NADIA).pk, people["bayu"]))


def rooms_that_wait(script: Script, people: dict[str, User]) -> None:
    script.fails(4.6, PELANGGAN, "low_confidence", **low(0.4))
    script.told(4.6)
    script.fails(4.3, HENDRA, "agent_error", **broken("Timeout", "Instagram"))
    script.fails(3.9, PELANGGAN, "message_cap", **CAP)
    script.told(3.9)
    script.fails(0.6, DIAN, "agent_error", **broken("Timeout", "WhatsApp"))
    script.told(0.6, opened={"rina": 12})


def alert_in(room: tuple[str, str, str, str]) -> Alert:
    return Alert.objects.get(room__room_id=room[2])
