"""A policy changed: the clocks of what is open are read anew, so that a shorter time counts for them too, and so is
when the humans who hold rooms will have stalled.

What a policy gave at its moment keeps it: an acknowledge until then, the tier that is told then, an outage's end. Only
where there are to be no outages any more one that lasts ends now: whoever plans a push knows of none from now on.
"""

from django.db import transaction

from alerts.actions.activity import end
from alerts.actions.book import Book
from alerts.models import Alert, Room
from orgs import clock

AT_ONCE = 200  # rooms that one transaction locks
NO_OUTAGES = "no_outages"  # by policy, which is why one ended


def retime(org_id: int) -> None:
    """Write the next due time of every open alert of this org, and of its rooms, by the policies as they are now."""
    alerts = Alert.objects.filter(org=org_id).exclude(state=Alert.State.RESOLVED)
    held = Room.objects.filter(org=org_id, due_at__isnull=False).values_list("pk", flat=True)
    rooms = sorted({*alerts.filter(room__isnull=False).values_list("room_id", flat=True), *held})
    for start in range(0, len(rooms), AT_ONCE):
        with transaction.atomic():
            book = Book(clock.now())
            book.lock_rooms(rooms[start : start + AT_ONCE])
            _read_anew(book, [alert for alert in book.alerts.values() if alert.state != Alert.State.RESOLVED])
    for pk in alerts.filter(covers_from__isnull=False).values_list("pk", flat=True):
        with transaction.atomic():
            book = Book(clock.now())
            outage = book.lock_alert(pk)
            if outage.state != Alert.State.RESOLVED and not book.policy_of(outage).outage.rooms:
                end(outage, Alert.By.RECOVERED, book.now)
                book.record(outage, "resolved", "recovered", detail={"cause": NO_OUTAGES})
            _read_anew(book, [outage] if outage.state != Alert.State.RESOLVED else [])


def _read_anew(book: Book, alerts: list[Alert]) -> None:
    for alert in alerts:
        alert.due_at = None  # the book sets the next
    book.close()
