"""The rows of the failure feed: one view-model, used by the page and by the hub that sends changed rows.

A row holds shared facts only, so that everybody who may see it gets the same bytes.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import BigIntegerField, Case, ExpressionWrapper, F, Func, Max, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.template.loader import get_template
from django.utils import translation
from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.decide import RANK, is_flapping
from alerts.faults import PASSING, report
from alerts.models import Alert, Push, Transition
from alerts.prepared import PreparedQuery
from console.live.counts import Countable, group_of
from console.live.filters import IN_DIGESTS, TEXT, UNDER, holder_of, traits_of
from console.live.folded import FoldedRooms, folded_rooms, say_folded
from console.live.looks import Look, look_of, told_look
from console.text import sentences
from console.text.sentences import Told
from console.text.wording import CLOCK, duration, initials, moment
from orgs import clock as database_clock
from orgs.models import User
from orgs.signals import signal_name

TARGET = timedelta(minutes=5)  # of the median time to intervene; past it, with nobody on it, the row turns solid
ICONS = {"critical": "alert-octagon-f", "warning": "alert-triangle-f", "info": "info-circle-f"}
TONES = {"critical": "crit", "warning": "warn", "info": "info"}
ACTORS = ("acknowledged_by", "intervened_by", "resolved_by", "assigned_to", "verdict_by")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BLANKS = re.compile(r"\s*\n\s*")
# `rank_of` an open alert, in SQL.
OPEN_RANK = ExpressionWrapper(
    Case(
        *(When(severity=name, then=Value((2 - rank) * 10**14)) for name, rank in RANK.items()),
        default=Value(2 * 10**14),
    )
    + Func(
        Coalesce("customer_waiting_since", "first_failure_at"),
        template="floor(extract(epoch from %(expressions)s) * 1000)::bigint",
        output_field=BigIntegerField(),
    ),
    output_field=BigIntegerField(),
)
# What a feed's checksum sums up: 64 bits of an alert's id and version, by PostgreSQL's hash of a uuid with a seed.
MARK = Func("pk", "version", function="uuid_hash_extended", output_field=BigIntegerField())


@dataclass(frozen=True)
class FeedRow:
    """One alert as the hub sends it. `html` is one `<li>`."""

    org_id: int
    version: int
    html: str
    said: str  # in a few words
    countable: Countable
    look: Look

    @property
    def open(self) -> bool:
        return self.countable.resolved_at is None


@dataclass(frozen=True)
class RowFacts:
    """What the rows of some alerts need besides the alerts: loaded for all at once."""

    told: dict[UUID, list[Told]] = field(default_factory=dict)
    opened_by: dict[UUID, User] = field(default_factory=dict)
    folded: dict[UUID, "FoldedRooms"] = field(default_factory=dict)  # by the outage's alert


def for_rows(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """These alerts with everything that a row says."""
    rows = alerts.select_related("org", "room", "room__human", "agent", "source", "silence__created_by", *ACTORS)
    return rows.annotate(text=TEXT, in_digests=IN_DIGESTS, under=UNDER)


ROWS = PreparedQuery(lambda: for_rows(Alert._base_manager.all()).annotate(mark=MARK))
_PUSHES = Push._base_manager.select_related("supervisor").order_by("tier", "supervisor__name", "supervisor_id")
TOLD = PreparedQuery(lambda: _PUSHES.filter(occurrence=F("alert__occurrence")), key="alert_id")


def facts_of(alerts: Sequence[Alert]) -> RowFacts:
    """Two to three queries for any number of alerts: who was told last, who entered the room; one for each outage."""
    told: dict[UUID, list[Told]] = defaultdict(list)
    pushes = TOLD.rows([alert.pk for alert in alerts if alert.state == Alert.State.OPEN])
    before = told_before([push for push in pushes if push.ended_reason == "throttled"])
    for push in pushes:
        one = Told(push.supervisor, push.state, push.ended_reason, before.get((push.room_id, push.supervisor_id)))
        told[push.alert_id].append(one)  # type: ignore[index]
    return RowFacts(told, _opened_by(alerts), folded_rooms(alerts))


def told_before(pushes: Sequence[Push]) -> dict[tuple[int | None, int], datetime]:
    """When the supervisors of these pushes were last told about their rooms, by (room pk, user pk)."""
    if not pushes:
        return {}
    rows = (
        Push.objects.filter(
            room__in={push.room_id for push in pushes},
            supervisor__in={push.supervisor_id for push in pushes},
            state__in=("pending", "sending", "sent"),
            kind=Push.Kind.ALERT,
        )
        .values_list("room_id", "supervisor_id")
        .annotate(last=Max("planned_at"))
    )
    return {(room, user): last for room, user, last in rows}


def _opened_by(alerts: Sequence[Alert]) -> dict[UUID, User]:
    entered = [a for a in alerts if a.state == Alert.State.ACKNOWLEDGED and a.human_acted_at is not None]
    if not entered:
        return {}
    rows = (
        Transition.objects.filter(alert__in=entered, change=Transition.Change.OPENED_ROOM, actor__isnull=False)
        .select_related("actor")
        .order_by("alert_id", "-at", "-id")
        .distinct("alert_id")
    )
    return {row.alert_id: row.actor for row in rows if row.actor is not None}


@dataclass(frozen=True)
class LadderStep:
    """One signal of the failure ladder."""

    name: str
    count: int
    severity: str
    first_at: datetime
    last_at: datetime
    signal: str


def ladder(alert: Alert) -> list[LadderStep]:
    """The signals of the current episode in order of arrival."""
    return [
        LadderStep(
            name=signal_name(entry["signal"]),
            count=entry["count"],
            severity=entry.get("severity") or alert.severity,
            first_at=datetime.fromisoformat(entry["first_at"]),
            last_at=datetime.fromisoformat(entry["last_at"]),
            signal=entry["signal"],
        )
        for entry in alert.signals_now
    ]


def worst(steps: Sequence[LadderStep]) -> LadderStep | None:
    """The signal that names the alert: the severest, of those the newest."""
    return max(steps, key=lambda step: (RANK.get(step.severity, 0), step.last_at), default=None)


@dataclass(frozen=True)
class Wait:
    """The clock of an alert. Ticks from `start`, or stands at `text`; `late_at`: from then on it is over target."""

    start: datetime
    ticking: bool
    text: str
    label: str
    late_at: datetime | None = None

    @property
    def is_long(self) -> bool:
        return len(self.text) > CLOCK


def wait_of(alert: Alert, now: datetime) -> Wait:
    """How long the customer has been waiting, or did wait, and what that clock means. It stops where it stood."""
    waits = alert.customer_waiting_since is not None
    start = alert.customer_waiting_since or alert.first_failure_at
    resolved = alert.state == Alert.State.RESOLVED
    came = alert.intervened_at if resolved or alert.state == Alert.State.INTERVENED else None
    if came is not None and (alert.revived_at is None or alert.revived_at < came):
        label = _("waited") if resolved and alert.waited_since else _("until a human")
        return _stopped(alert.waited_since or alert.first_failure_at, came, label)
    if resolved:
        return _stopped(start, alert.resolved_at or now, _("waited") if waits else _("lasted"))
    text = duration((now - start).total_seconds())
    if not waits:
        return Wait(start, True, text, _("since then") if alert.room is None else _("since it failed"))
    if alert.state == Alert.State.ACKNOWLEDGED:
        return Wait(start, True, text, _("still waiting"))
    return Wait(start, True, text, _("waiting"), start + TARGET)


def _stopped(start: datetime, until: datetime, label: str) -> Wait:
    return Wait(start, False, duration((until - start).total_seconds()), label)


def rank_of(alert: Alert) -> int:
    """The order within a group, smallest first: the severest, of those the longest wait; resolved: newest first."""
    if alert.state == Alert.State.RESOLVED:
        return -_milliseconds(alert.resolved_at or alert.updated_at)
    since = alert.customer_waiting_since or alert.first_failure_at
    return (2 - RANK.get(alert.severity, 0)) * 10**14 + _milliseconds(since)


def _milliseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True)
class Who:
    """The third column: who is on it, or that nobody is."""

    tone: str  # none | human | calm
    icon: str
    line: str
    why: str
    initials: str = ""


def who_of(alert: Alert, facts: RowFacts, now: datetime) -> Who:
    """Who is on the alert, and the last decision as a sentence."""
    zone = alert.org.zone
    if alert.state == Alert.State.RESOLVED:
        return _who_resolved(alert, now)
    if alert.state == Alert.State.INTERVENED:
        line, why = sentences.in_room(alert, now)
        user = (alert.room.human if alert.room else None) or alert.intervened_by
        return Who("human", "", line, why, initials(str(user)) if user else "+")
    if alert.state == Alert.State.ACKNOWLEDGED:
        line, why = sentences.on_it(alert, zone, now, facts.opened_by.get(alert.pk))
        user = facts.opened_by.get(alert.pk) or holder_of(alert)
        return Who("human", "", line, why, initials(str(user)) if user else "+")
    return _who_open(alert, facts, now)


def _who_open(alert: Alert, facts: RowFacts, now: datetime) -> Who:
    why = sentences.last_decision(alert, facts.told.get(alert.pk, []), alert.org.zone, now)
    if alert.assigned_to is not None:
        theirs, yours = _("Given to {name}, not acknowledged yet"), _("Given to you, not acknowledged yet")
        line = sentences.whose(alert.assigned_to, theirs, yours)
        return Who("human", "", line, why, initials(str(alert.assigned_to)))
    if alert.is_silenced(now):
        return Who("calm", "alarm-snooze", sentences.silenced(alert, now), why)
    if alert.is_snoozed(now):
        return Who("calm", "alarm-snooze", _("Snoozed"), why)
    if alert.tiers_over_at is not None:
        return Who("none", "bell-x", _("Every tier was told, nobody came"), why)
    if alert.last_reason == "unroutable":
        return Who("none", "bell-x", _("Nobody can be told"), why)
    if alert.room is not None and alert.room.handed_off_at is not None:
        return Who("none", "user-question", _("Handed off, nobody came"), why)
    return Who("none", "user-question", _("Nobody yet"), why)


def _who_resolved(alert: Alert, now: datetime) -> Who:
    line = sentences.ended(alert, now)
    why: str
    came = alert.human_acted_at is not None or alert.resolved_by_id is not None
    if alert.verdict == "confirmed":
        theirs, yours = _("{name} called it a real failure."), _("You called it a real failure.")
        why = sentences.whose(alert.verdict_by, theirs, yours)
    elif alert.verdict:
        theirs, yours = _("{name} called it a false alarm."), _("You called it a false alarm.")
        why = sentences.whose(alert.verdict_by, theirs, yours)
    else:
        asked = _("Was this a real failure?")
        why = asked if came or alert.room is None else _("No human came. {question}").format(question=asked)
    return Who("calm", "circle-check" if came or alert.room is None else "user-off", line, why)


def view_of(alert: Alert, facts: RowFacts, now: datetime) -> dict[str, Any]:
    """The context of `pages/board/_row.html` for one alert as `for_rows` loads it."""
    steps = ladder(alert)
    title = worst(steps)
    wait = wait_of(alert, now)
    group = group_of(alert.state, alert.quiet_until, now)
    hurries = wait.late_at is not None and alert.assigned_to_id is None and group != "snoozed"
    late = wait.late_at is not None and wait.late_at <= now and hurries
    holder = holder_of(alert)
    room = alert.room
    return {
        "alert": alert,
        "org": alert.org,
        "room_name": name_of(alert),
        "subject": str(alert.agent or alert.source or alert.org),
        "room": room,
        "flapping": alert.state != Alert.State.RESOLVED and is_flapping(alert.episodes_at[:-1], now),
        "folded": say_folded(facts.folded.get(alert.pk), alert.org.zone, now),
        "steps": steps,
        "title": title.name if title else sentences.severity_name(alert.severity),
        "wait": wait,
        "who": who_of(alert, facts, now),
        "group": group,
        "snoozed": group == "snoozed" and alert.is_snoozed(now),
        "tone": TONES[alert.severity],
        "icon": ICONS[alert.severity],
        "severity": sentences.severity_name(alert.severity),
        "modifier": "lm-row--held" if group == "snoozed" else _modifier(alert, late),
        "may_be_late": hurries and alert.severity != "info",
        "holder": holder.sso_id if holder else "",
        "rank": rank_of(alert),
        "since": moment(alert.first_failure_at, alert.org.zone, now),
        "wait_since": moment(wait.start, alert.org.zone, now),
        "window": window_of(alert, now),
        "words": room.last_customer_text if room and alert.org.show_customer_text else "",
        "traits": json.dumps(traits_of(alert), ensure_ascii=False),
    }


def window_of(alert: Alert, now: datetime) -> dict[str, Any] | None:
    """Until when the waiting customer may be answered freely, as shared words; None: no matter, or not known."""
    ends = alert.window_ends_at
    if ends is None or alert.state == Alert.State.RESOLVED:
        return None
    seconds = (ends - now).total_seconds()
    left = format_html('<time datetime="{}" data-left>{}</time>', ends.isoformat(), duration(max(0.0, seconds)))
    return {"over": seconds <= 0, "left": left}


def name_of(alert: Alert) -> str:
    """What the alert is about: its room as the chat product calls it, its source, or its agent as a whole."""
    room = alert.room
    return (room.label or room.room_id) if room else str(alert.source or alert.agent or alert.org)


def _modifier(alert: Alert, late: bool) -> str:
    if alert.state == Alert.State.RESOLVED:
        return "lm-row--done"
    if alert.state == Alert.State.INTERVENED:
        return "lm-row--held"
    tone = f"lm-row--{TONES[alert.severity]}"
    return f"{tone} lm-row--late" if late and alert.severity != "info" else tone


def views(alerts: Sequence[Alert], now: datetime) -> list[dict[str, Any]]:
    """Contexts for the rows of these alerts, in their order. A broken one is left out, so that the others show."""
    facts, made = facts_of(alerts), []
    for alert in alerts:
        try:
            made.append(view_of(alert, facts, now))
        except PASSING:
            raise
        except Exception as error:  # noqa: BLE001 - one alert's row; the log says which
            report("row_broken", error, alert=str(alert.pk))
    return made


def _one_line(html: str) -> str:
    """Without the template's indentation, which every socket would be sent."""
    return BLANKS.sub(" ", html).strip()


def _countable(alert: Alert) -> Countable:
    holder = holder_of(alert)
    return Countable(
        alert.mark,  # type: ignore[attr-defined]
        alert.state,
        alert.severity,
        holder.sso_id if holder else None,
        alert.customer_waiting_since,
        alert.quiet_until,
        alert.resolved_at,
    )


def render_rows(
    alert_ids: Sequence[UUID], languages: Iterable[str], now: datetime | None = None
) -> dict[str, dict[UUID, FeedRow]]:
    """By language, the rows of these alerts as everybody who may see them gets them; an alert that is gone is left out.

    At most five queries for any number of ids and languages. The caller has entered a scope, or `scopes_disabled()`.
    """
    alerts = ROWS.rows(alert_ids)
    facts, now = facts_of(alerts), now or database_clock.now()
    template = get_template("pages/board/_row.html")
    rendered: dict[str, dict[UUID, FeedRow]] = {}
    for language in languages:
        with translation.override(language):
            views_now = {alert.pk: (alert, view_of(alert, facts, now)) for alert in alerts}
            rendered[language] = {
                pk: _feed_row(alert, template, view, facts, now) for pk, (alert, view) in views_now.items()
            }
    return rendered


def _feed_row(alert: Alert, template: Any, view: dict[str, Any], facts: RowFacts, now: datetime) -> FeedRow:
    look = look_of(alert, told_look(facts.told.get(alert.pk, ())), facts.folded.get(alert.pk), now)
    html = _one_line(template.render({"row": view}))
    said = f"{view['title']}, {view['room_name']}"
    return FeedRow(alert.org_id, alert.version, html, said, _countable(alert), look)
