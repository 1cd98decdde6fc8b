"""The filters of the board: for each, the value that an alert's row carries, and the condition that finds such alerts.

The page asks the database, the script asks the rows (static/js/filters.js); both must come to the same list.
"""

from collections.abc import Callable
from typing import NamedTuple

from django.contrib.postgres.expressions import ArraySubquery
from django.db import connection
from django.db.models import Case, F, Func, OuterRef, Q, QuerySet, Subquery, TextField, Value, When
from django.db.models.functions import Cast, Coalesce, Lower
from django.db.models.lookups import Contains, Exact

from alerts.models import Alert, DigestAlert, outages_over, signalling, under_outage
from orgs.models import User

HELD = (Alert.State.INTERVENED, Alert.State.RESOLVED)  # the person who came has it, or had it
HOLDER = Coalesce(
    Case(When(state__in=HELD, then=F("intervened_by__sso_id"))), F("assigned_to__sso_id"), F("acknowledged_by__sso_id")
)
# What a search looks through. The database folds capitals both here and in the search text.
TEXT = Lower(
    Func(
        Value("\n"),
        *("pk", "room__room_id", "room__label", "agent__name", "source__name"),
        function="concat_ws",
        output_field=TextField(),
    )
)
# The digests that stand for an alert.
IN_DIGESTS = ArraySubquery(DigestAlert._base_manager.filter(alert=OuterRef("pk")).values("push"))
# The open outage of its agent, else of its source, that an alert is under, as text; empty for none.
UNDER = Coalesce(
    Case(
        When(
            state=Alert.State.OPEN,
            scope=Alert.Scope.ROOM,
            then=Cast(
                Coalesce(
                    Subquery(outages_over().values("pk")[:1]),
                    Subquery(outages_over(scope=Alert.Scope.SOURCE).values("pk")[:1]),
                ),
                TextField(),
            ),
        )
    ),
    Value(""),
    output_field=TextField(),
)


def folded(text: str) -> str:
    """The text as TEXT has it: capitals and small letters are the same."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lower(%s)", [text])
        return str(cursor.fetchone()[0])


def holder_of(alert: Alert) -> User | None:
    """Who has the alert: who intervened, else to whom it is assigned, else who acknowledged it. In SQL: HOLDER."""
    came = alert.intervened_by if alert.state in HELD else None
    return came or alert.assigned_to or alert.acknowledged_by


class Trait(NamedTuple):
    """A filter: what an alert's row says, and the condition that finds the alerts whose row says it."""

    of: Callable[[Alert], list[str] | str]  # a text holds each of its parts
    where: Callable[[str], Q]


TRAITS = {
    "severity": Trait(lambda alert: [alert.severity], lambda value: Q(severity=value)),
    "agent": Trait(lambda alert: [alert.agent.name] if alert.agent else [], lambda value: Q(agent__name=value)),
    "signal": Trait(lambda alert: [entry["signal"] for entry in alert.signals_now], signalling),
    "org": Trait(lambda alert: [alert.org.external_id], lambda value: Q(org__external_id=value)),
    "mine": Trait(
        lambda alert: [holder.sso_id] if (holder := holder_of(alert)) else [], lambda value: Q(Exact(HOLDER, value))
    ),
    "digest": Trait(
        lambda alert: [str(pk) for pk in alert.in_digests],  # type: ignore[attr-defined]
        lambda value: Q(digests__push=value),
    ),
    # "" asks for what is under none: the rooms of an outage are folded under its row.
    "under": Trait(
        lambda alert: [alert.under],  # type: ignore[attr-defined]
        lambda value: Q(Exact(UNDER, value)) if value else ~under_outage(),
    ),
    "q": Trait(lambda alert: alert.text, lambda value: Q(Contains(TEXT, value))),  # type: ignore[attr-defined]
}


def traits_of(alert: Alert) -> dict[str, list[str] | str]:
    """What the script compares the page's filters with; the alert is loaded by `rows.for_rows`."""
    return {name: trait.of(alert) for name, trait in TRAITS.items()}


def passing(alerts: QuerySet[Alert], asked: dict[str, str]) -> QuerySet[Alert]:
    """The alerts that pass every filter in `asked`, which has a value by filter name."""
    for name, value in asked.items():
        alerts = alerts.filter(TRAITS[name].where(value))
    return alerts
