"""The success figures of any past span of days are after a purge what they were before it, of purged spans too."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django_scopes import scopes_disabled
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from alerts import figures
from alerts.models import FailureEvent, KeptFigures, RoomActivity, Transition
from alerts.retention.purge import LIMITED, Pace, purge
from orgs.models import Org, Retention
from tests.examples import at_most
from tests.scene import Scene, pushes_are_sent
from tests.test_figures_recount import START, STEP, play
from tests.test_state_machine import freeze

DAY = timedelta(days=1)
PARTS = st.lists(st.lists(STEP, min_size=2, max_size=8), min_size=2, max_size=3)


def spans(first: date, last: date) -> list[tuple[date, date]]:
    """Single days, and stretches of several."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    edges = days[:: max(1, len(days) // 2)]
    return [*((day, day + DAY) for day in days[2:6]), *((a, b) for a in edges for b in edges if a < b)]


def measured(orgs: list[Org], last: date, now: datetime) -> list[Any]:
    """All figures of all spans: together, of each org, the trend, the baseline."""
    first = START.date() - 2 * DAY
    return [figures.measure(orgs, figures.period(*span, now), "UTC", now) for span in spans(first, last)]


def purged(now: datetime) -> dict[str, int]:
    """A purge. The limits of its batches end with their transactions; here all share one."""
    rows = purge(now, pace=Pace(rests=0))
    with connection.cursor() as cursor:
        cursor.execute("; ".join(f"SET LOCAL {name} TO DEFAULT" for name in LIMITED))
    return rows


@given(
    stories=st.lists(PARTS, min_size=2, max_size=2),
    apart=st.sampled_from([0, 5, 45]),
    later=st.integers(40, 130),
    days=st.tuples(st.integers(40, 60), st.integers(40, 60), st.integers(7, 60)),
)
@settings(
    max_examples=at_most(3),
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_figures_are_the_same_before_and_after_a_purge(
    db: None, stories: list[Any], apart: int, later: int, days: tuple[int, int, int]
) -> None:
    """Two orgs, one with days of its own; parts of a story lie `apart` days apart; purged `later` days after it."""
    with transaction.atomic(), scopes_disabled():
        scenes = [Scene(), Scene()]
        scenes[1].org.zone = "America/Los_Angeles"
        scenes[1].org.save()
        kept = dict(zip(("failure_events_days", "room_activity_days", "pushes_days"), days, strict=True))
        Retention.objects.create(org=scenes[0].org, **kept)
        ends = [START, START]
        for number, parts in enumerate(zip(*stories, strict=False)):
            begin = START + number * apart * DAY
            ends = [play(*one, max(end, begin)) for one, end in zip(zip(scenes, parts, strict=True), ends, strict=True)]
        pushes_are_sent()
        now = max(ends) + later * DAY
        freeze(now)
        orgs, last = [scene.org for scene in scenes], max(ends).date() + 2 * DAY
        before = measured(orgs, last, now)
        rows = purged(now)
        assert measured(orgs, last, now) == before
        assert rows["alerts_failureevent"] or FailureEvent.objects.exists() or not before[-1].baseline_ends
        purged(now + 500 * DAY)
        assert not RoomActivity.objects.exists()
        assert not Transition.objects.exclude(alert__state__in=["open", "acknowledged", "intervened"]).exists()
        KeptFigures.objects.filter(sealed=False).delete()
        assert measured(orgs, last, now) == before
        transaction.set_rollback(True)
