"""The words and pictures of the sources pages: states, reasons, what a delivery told, and the bars of a day."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.models import Alert, WebhookDelivery
from alerts.sources.health import SourceFigures, SourceHealth, has_signal
from alerts.sources.senders import SentCount
from console.text.amounts import whole
from console.text.wording import bdi, clock, person, span
from orgs.models import Assignment, User
from orgs.signals import SOURCE_SIGNALS

HOURS = 24
WIDTH, HEIGHT, GAP = 288.0, 40.0, 2.0  # of the picture of a day, in its own units
ROOM_SHOWN = 12  # characters of a room's id

# Why an item or a delivery was refused, by code.
REASONS: dict[str, str | Promise] = {
    "missing_field": gettext_lazy("A required field is missing"),
    "unknown_field": gettext_lazy("A field that the contract does not know"),
    "unknown_org": gettext_lazy("An org we do not know, or one this key may not write for"),
    "invalid_item": gettext_lazy("Not what the contract says"),
    "bad_text": gettext_lazy("Text that cannot be stored"),
    "bad_number": gettext_lazy("A number beyond every limit"),
    "too_long": gettext_lazy("A text is too long"),
    "secret": gettext_lazy("Something that looks like a secret"),
    "naive": gettext_lazy("A time without its offset"),
    "too_old": gettext_lazy("Too long ago: an event of over 30 days ago, or a run from before the year 2000"),
    "in_the_future": gettext_lazy("More than 24 hours in the future: check the clock"),
    "unknown_push": gettext_lazy("A push that we do not know"),
    "id_conflict": gettext_lazy("The same id with other content; the first one is kept"),
    "not_json": gettext_lazy("Not JSON in UTF-8"),
    "duplicate_key": gettext_lazy("An object names a field twice"),
    "too_deep": gettext_lazy("Nested too deep"),
    "too_large": gettext_lazy("Larger than 2 MiB"),
    "bad_gzip": gettext_lazy("Not gzip, though it says so"),
    "not_an_object": gettext_lazy("Not one JSON object"),
    "unknown_event": gettext_lazy("An event that says nothing about a room"),
    "unknown_sender": gettext_lazy("It does not say who wrote"),
    "no_room": gettext_lazy("No room"),
    "no_id": gettext_lazy("No id of the message"),
    "no_time": gettext_lazy("No time"),
    "bad_time": gettext_lazy("A time that cannot be read"),
    "wrong_org": gettext_lazy("It is about another organization"),
    "address": gettext_lazy("From an address that is not allowed"),
    "internal_error": gettext_lazy("We failed to process it; we keep it and can process it again"),
}


def reason(code: str) -> str:
    """The sentence for a code; a code without one stays as it is."""
    return str(REASONS.get(code, code))


def milliseconds(value: float | None) -> str:
    """A lag: `0.4 s` below 10 s, else as a length of time; a dash for None."""
    if value is None:
        return "–"
    if value < 10_000:
        return _("{n} s").format(n=number_format(round(value / 1000, 1), 1))
    return span(value / 1000)


# --- a source -------------------------------------------------------------------------------------------------------


def worst_first(one: SourceHealth) -> tuple[int, int, str]:
    """For sorting: alarms, then sources without data, then those that send."""
    order = ("silent", "no_data", "quiet", "heard")
    return (0 if one.alarms else 1, order.index(one.state), one.source.name.lower())


def alarm(alert: Alert, zone: str) -> SafeString:
    """Says what is wrong, since when, and for which org."""
    parts = {"org": bdi(alert.org), "time": clock(alert.opened_at, zone)}
    said = [(format_html(str(one.alarm), **parts),) for name, one in SOURCE_SIGNALS.items() if has_signal(alert, name)]
    return format_html_join(" ", "{}", said)


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: where its bar stands, how high it is and how much of that was refused; and its figures."""

    x: float
    y: float
    height: float
    refused_y: float
    refused_height: float
    start: datetime
    received: int
    refused: int


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours as bars, the present hour last; `most`: items of the fullest hour."""

    bars: list[Bar]
    width: float
    most: int

    @property
    def base(self) -> str:
        """A line under each bar, as the path of an SVG; so are `received` and `refused`, the bars themselves."""
        return self._path((bar.x, HEIGHT - 1, 1) for bar in self.bars)

    @property
    def received(self) -> str:
        return self._path((bar.x, bar.y, bar.height) for bar in self.bars if bar.received)

    @property
    def refused(self) -> str:
        return self._path((bar.x, bar.refused_y, bar.refused_height) for bar in self.bars if bar.refused)

    def _path(self, boxes: Iterable[tuple[float, float, float]]) -> str:
        return "".join(f"M{x:g} {y:g}h{self.width:g}v{height:g}h-{self.width:g}z" for x, y, height in boxes)


def day_bars(figures: SourceFigures, now: datetime) -> Day:
    """The picture of a day; pure. An hour with anything in it shows at least one unit of height."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    starts = [last - timedelta(hours=back) for back in range(HOURS - 1, -1, -1)]
    hours = [figures.hours.get(start) for start in starts]
    most = max((hour.received for hour in hours if hour), default=0)
    step = WIDTH / HOURS
    bars = []
    for place, (start, hour) in enumerate(zip(starts, hours, strict=True)):
        received, refused = (hour.received, hour.refused) if hour else (0, 0)
        height, red = (max(1.0, round(HEIGHT * n / most, 1)) if n else 0.0 for n in (received, refused))
        x = round(place * step, 1)
        bars.append(Bar(x, HEIGHT - height, height, HEIGHT - red, red, start, received, refused))
    return Day(bars, round(step - GAP, 1), most)


_HOUR = '<tr><td>{}</td><td class="lm-num">{}</td><td class="lm-num">{}</td>{}</tr>'
_SENT = '<td class="lm-num">{}</td><td class="lm-num">{}</td>'


def hour_rows(bars: Iterable[Bar], said: Callable[[datetime], str], sent: Mapping[datetime, SentCount]) -> SafeString:
    """The rows of a day's table, with what was sent if that is known of any hour; a template takes far longer."""
    rows = (
        (said(bar.start), _whole(bar.received), _whole(bar.refused), _sent(sent.get(bar.start)) if sent else "")
        for bar in bars
    )
    return format_html_join("", _HOUR, rows)


def _sent(count: SentCount | None) -> SafeString:
    return format_html(_SENT, _whole(count.sent), _whole(count.lost)) if count else format_html(_SENT, "–", "–")


def _whole(n: int) -> SafeString:
    return SafeString(whole(n))  # digits need no escaping


def lost(hours: Iterable[SentCount]) -> int:
    """Of what the senders said that they sent in these hours, what did not arrive in any of them."""
    together = SentCount()
    for one in hours:
        together.add(one.sent, one.arrived)
    return together.lost


# --- a delivery -----------------------------------------------------------------------------------------------------

People = Mapping[str, User]  # by external_user_id


def people_of(deliveries: Iterable[WebhookDelivery]) -> People:
    """The people who acted in these deliveries of one org and have an assignment. One query."""
    listed = list(deliveries)
    acted = {entry["actor"] for delivery in listed for entry in delivery.understood if entry.get("actor")}
    orgs = {delivery.org_id for delivery in listed}
    rows = Assignment.objects.filter(org__in=orgs, external_user_id__in=acted).select_related("user")
    return {row.external_user_id: row.user for row in rows}


def told(delivery: WebhookDelivery, people: People) -> list[SafeString]:
    """A sentence for each thing that a delivery told, or the reason why we did not understand it."""
    if not delivery.outcome:
        return [format_html("{}", _("Stored, not processed yet"))]
    status = next((entry["status"] for entry in delivery.understood if "kind" not in entry), "")
    said = [_fact(entry, people) for entry in delivery.understood if "kind" in entry]
    if delivery.reason:
        return [format_html("{}", reason(delivery.reason)), *said]
    if not said:
        return [format_html("{}", _("It changes no room"))]
    if delivery.outcome == WebhookDelivery.Outcome.REPEATED and status:
        said[0] = format_html(_("{what}, now with status {status}"), what=said[0], status=status)
    return said


def _fact(entry: Mapping[str, Any], people: People) -> SafeString:
    actor = entry.get("actor", "")
    who: SafeString | str = person(people.get(actor))
    if actor and actor not in people:
        who = _("a human agent ({id})").format(id=actor)
    sentence = {
        "customer_message": _("Customer message in room {room}"),
        "bot_message": _("Bot message in room {room}"),
        "human_message": _("Human message in room {room}, by {who}"),
        "assigned": _("Room {room} assigned to {who}"),
        "resolved": _("Room {room} resolved by {who}") if actor else _("Room {room} resolved"),
        "returned_to_agent": _("Room {room} returned to the agent"),
        "human_opened": _("Room {room} opened by {who}"),
    }.get(entry["kind"])
    room_id = entry.get("room_id", "")
    shown = room_id if len(room_id) <= ROOM_SHOWN else f"{room_id[: ROOM_SHOWN - 4]}…"
    room = format_html('<bdi title="{}">{}</bdi>', room_id, shown)
    said = format_html(sentence, room=room, who=who) if sentence else format_html("{}", entry["kind"])
    if entry.get("undelivered"):
        said = format_html(_("{what}; it did not reach the customer"), what=said)
    if entry.get("clock_flagged"):
        said = format_html(_("{what}; its time cannot be trusted, so the time of receipt counts"), what=said)
    return said
