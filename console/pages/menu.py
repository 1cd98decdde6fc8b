"""What the menu counts, in one statement for every page; where that is nothing, nobody looks further."""

from collections.abc import Collection

from alerts.models import BROKEN_TIMERS, Alert, Gate, Push, Silence, needing_human
from alerts.prepared import NOW, PreparedCounts
from alerts.sources.health import open_alarms
from orgs.models import Assignment, Handover, SavedView, User

COUNTS = PreparedCounts(
    waiting=(lambda: Alert.objects.filter(needing_human(NOW)).values("pk"), "org_id"),
    broken_timers=(lambda: Alert.objects.filter(BROKEN_TIMERS).values("pk"), "org_id"),
    source_alarms=(lambda: open_alarms().values("source").distinct(), "org_id"),
    dead_pushes=(lambda: Push.objects.filter(state=Push.State.DEAD).values("pk"), "org_id"),
    views=(lambda: SavedView.objects.values("pk"), "org_id"),
    own_views=(lambda: SavedView.objects.filter(org=None).values("pk"), "owner_id"),
    silences=(lambda: Silence.objects.filter(ended_at=None).values("pk"), "created_by_id"),
    away=(lambda: Assignment.objects.filter(away_until__gt=NOW).values("pk"), "user_id"),
    handed_over=(lambda: Handover.objects.filter(starts_at__lte=NOW, ends_at__gt=NOW).values("pk"), "user_id"),
    closed_gates=(lambda: Gate.objects.exclude(reason="").values("pk"), "pk"),
)


def menu_counts(me: User, seen: Collection[int], led: Collection[int]) -> dict[str, int]:
    """How much there is in the orgs this person sees, of pushes and sources in those they lead (pks), and of their own.

    `views`, `silences`, `broken_timers` and `closed_gates` are at least as many as are shown. Run it inside a scope.
    """
    of_seen = dict.fromkeys(("waiting", "broken_timers", "views"), seen)
    of_led = dict.fromkeys(("source_alarms", "dead_pushes"), led)
    of_me = {name: [me.pk] for name in ("own_views", "silences", "away", "handed_over")}
    return COUNTS.of(**of_seen, **of_led, **of_me, closed_gates=[1])
