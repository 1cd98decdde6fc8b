"""The tenant matrix, made from the URL conf: every address x every method x everybody who must see nothing of org A.

A route that this file does not know fails: name it in one of the tables below.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django_scopes import scopes_disabled

from alerts.api import pushes
from alerts.models import Alert, Push, Silence, Transition
from console.ingest.http import PATHS
from orgs.keys import issue, revoke
from orgs.models import (
    Assignment,
    DutyFeed,
    DutyReminder,
    Handover,
    Holiday,
    Org,
    QuietHours,
    SavedView,
    TemporarySchedule,
    Wall,
    WebhookEndpoint,
)
from tests.factories import OrgFactory, SourceFactory
from tests.ingest_server import (
    ACTIVITY,
    EVENTS,
    RECEIPTS,
    REVIEWS,
    RUNS,
    Sender,
    activity,
    event,
    make_key,
    review,
    reviews,
    run,
    runs,
)
from tests.tenants import (
    KEY_ELSEWHERE,
    KEYS,
    LEAD_ELSEWHERE,
    MARK,
    SIGNED_OUT,
    Tenant,
    insiders,
    seen,
    specialist,
    strangers,
    tenant,
    unknown,
)

django.setup()
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


class Route(NamedTuple):
    """An address of the URL conf: its pattern with every parent's, its name with its namespace."""

    pattern: str
    name: str

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"<(?:\w+:)?(\w+)>", self.pattern.replace("(?P", ""))


def routes(patterns: Any = None, before: str = "", space: str = "") -> Iterator[Route]:
    """All of them."""
    for found in patterns or get_resolver().url_patterns:
        here = before + str(found.pattern)
        if isinstance(found, URLResolver):
            yield from routes(found.url_patterns, here, f"{found.namespace}:" if found.namespace else space)
        elif isinstance(found, URLPattern):
            yield Route(here, f"{space}{found.name}")


ALL = list(routes())
OF_DUTY: tuple[Any, ...] = (QuietHours, Holiday, TemporarySchedule, Handover, DutyFeed, DutyReminder)
ACTS = {
    "acknowledge": {},
    "take": {},
    "release": {},
    "resolve": {},
    "reopen": {},
    "snooze": {"until": SOON},
    "assign": {"sso_id": f"sso-of-{MARK}"},
    "verdict": {"verdict": "confirmed", "note": "x"},
}
# What a POST says; `{verb}` is tried with every act of the page.
BODIES: dict[str, dict[str, Any]] = {f"api_alert_{verb}": body for verb, body in ACTS.items()} | {
    "api_test_push": {},
    "api_push_replay": {},
}
PAGE_VERBS = {**ACTS, "undo": {}, "hold": {"reason": "x"}, "unhold": {}, "rehold": {}}
PAGE_VERBS |= {"silence": {"minutes": "30"}, "unsilence": {}}
FORMS = {**PAGE_VERBS, "rename": {"name": "x"}, "duty_hours": {"always": "1"}}

# Addresses that name something of an org: a stranger gets the 404 of what does not exist, byte for byte.
OF_AN_ORG = {
    "webhook",
    "webhook_settings",
    "webhook_rotate",
    "webhook_end_overlap",
    "webhook_switch",
    "webhook_again",
    "view_rename",
    "view_delete",
    "alert",
    "alert_room",
    "alert_act",
    "test_push",
    "test_hops",
    "replay",
    "wall_revoke",
    "setup",
    "join",
    "api_alert",
    "api_push",
    "api_run",
    "api_agent_versions",
    "api_policy_preview_result",
    "policy_preview_result",
    "api_silence",
    "silence_end",
    "silence_restore",
    "run",
    "run_hold",
    "run_unhold",
    "agent",
    "duty_hours",
    *BODIES,
}
FOR_LEADS = {"replay", "webhook", "webhook_settings", "webhook_rotate", "webhook_end_overlap", "webhook_switch"}
FOR_LEADS |= {"policy_preview_result", "webhook_again", "wall_revoke", "run_hold", "run_unhold"}
# Whose address is the key: it shows its org to whoever has it, and nothing to anybody else.
OF_ITS_ADDRESS = {"wall", "duty_feed"}
# Lists and pages that show each caller their own.
OF_THE_CALLER = {
    "agents",
    "board",
    "bulk",
    "bulk_people",
    "board_csv",
    "views",
    "view_restore",
    "reach",
    "reach_csv",
    "reach_ask",
    "reach_test",
    "setup_new",
    "pushes",
    "replay_all",
    "sources",
    "webhook_new",
    "walls",
    "duty",
    "duty_mine",
    "duty_calendar",
    "duty_hand_over",
    "api_availability",
    "api_duty",
    "api_calendar",
    "api_schedules",
    "api_schedule",
    "api_handovers",
    "api_duty_feeds",
    "api_quiet_hours",
    "api_duty_pushes",
    "palette",
    "preferences",
    "settings",
    "set_language",
    "api_alerts",
    "api_sources",
    "success",
    "success_csv",
    "success_behind",
    "success_behind_csv",
    "api_success",
    "api_runs",
    "api_kpis",
    "kpis",
    "kpis_csv",
    "runs",
    "runs_csv",
    "api_blind_intervals",
    "api_silences",
    "silences",
    "silences_matches",
    "api_orgs",
    "api_agents",
    "api_supervisors",
    "api_reach",
    "api_pushes",
    "api_assignments",
    "api_confirm_person",
    "api_client_tokens",
    "api_policy_preview",
    "api_policy",
    "api_policy_versions",
    "api_policy_revert",
    "policy",
    "policy_revert",
    "policy_preview",
    "policy_preview_ahead",
}
# Of no org at all: health, documents, signing in.
OF_NOBODY = {"livez", "readyz", "metrics", "api_schema", "api_docs", "api_nothing_here", "invitation"}
OF_NOBODY |= {"manifest", "worker", "offline"}
SIGNING_IN = ("account_", "mfa_")
SHOW_NOTHING_TO_THE_OWNER = {
    "duty_hand_over",
    "api_availability",
    "api_calendar",
    "api_schedules",
    "api_schedule",
    "api_handovers",
    "api_duty_feeds",
    "api_quiet_hours",
    "api_duty_pushes",
    "silences_matches",
    "palette",
    "view_restore",
    "bulk",
    "bulk_people",
    "preferences",
    "set_language",
    "replay_all",
    "reach_ask",
    "reach_test",
    "setup_new",
    "api_assignments",
    "api_confirm_person",
    "api_client_tokens",
    "api_policy_preview",
    "api_policy",
    "api_policy_versions",
    "api_policy_revert",
    "policy_revert",
    "policy_preview",
    "policy_preview_ahead",
}


def is_of_nobody(route: Route) -> bool:
    return route.name in OF_NOBODY or route.name.startswith(SIGNING_IN)


def is_admin(route: Route) -> bool:
    return route.name.startswith("admin:")


TENANT_ROUTES = [
    route._replace(pattern=route.pattern.replace("<slug:verb>", verb))
    for route in ALL
    if route.name in OF_AN_ORG
    for verb in (PAGE_VERBS if "<slug:verb>" in route.pattern else [""])
]


@pytest.fixture
def ours(db: None, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """Org A, in whose every text stands MARK."""
    monkeypatch.setattr(pushes, "HOPS_WITHIN", 0.0)
    return tenant(MARK)


def filled(route: Route, ours: Tenant, known: bool = True) -> str:
    """The address with ids of org A, or with ids of nothing."""
    verb = route.pattern.rpartition("/")[2]
    alert = ours.resolved if verb == "reopen" else ours.alert
    push = ours.test if route.name == "test_hops" else ours.dead
    values = {
        "alert_id": alert.pk,
        "push_id": push.pk,
        "sso_id": ours.lead.sso_id,
        "org_id": ours.org.external_id,
        "public_id": ours.wall.public_id if route.name == "wall_revoke" else ours.endpoint.public_id,
        "token": ours.feed_token if route.name == "duty_feed" else ours.wall_token,
        "schedule_id": ours.schedule.pk,
        "assignment_id": ours.assignment.pk,
        "metric": "with_confidence_pct",
        "view_id": ours.view.pk,
        "run_id": ours.run.run_id,
        "preview_id": ours.preview.pk,
        "agent_name": ours.run.agent.name,
        "silence_id": ours.silence.pk,
    }

    def value(match: re.Match[str]) -> str:
        name = match[1]
        assert name in values, f"the matrix does not know how to fill <{name}> of {route.pattern}"
        return str(values[name]) if known else unknown(name)

    return "/" + re.sub(r"<\w+:(\w+)>", value, route.pattern)


def ask(client: Client, method: str, path: str, route: Route) -> Any:
    """One request as its page or a machine would make it."""
    if route.name.startswith("api_"):
        body = json.dumps(_with_human(client, BODIES.get(route.name, {}), route))
        return client.generic(method, path, body if method != "GET" else "", content_type="application/json")
    if method == "POST":
        return client.post(path, FORMS.get(route.name) or FORMS.get(path.rpartition("/")[2], {}))
    return client.generic(method, path)


def _with_human(client: Client, body: dict[str, Any], route: Route) -> dict[str, Any]:
    if "HTTP_AUTHORIZATION" in client.defaults and route.name.startswith("api_alert_"):
        return {"sso_id": f"sso-of-{MARK}"} | body
    return body


def without(path: str, told: bytes) -> bytes:
    """What was told beside the address that was asked for, which the way to the log-in names, quoted once more."""
    for form in (path, quote(path), quote(quote(path))):
        told = told.replace(form.encode(), b"")
    return told


def difference(told: bytes, other: bytes) -> tuple[bytes, bytes]:
    """Where two answers begin to differ."""
    place = next((n for n, (one, two) in enumerate(zip(told, other, strict=False)) if one != two), 0)
    return told[max(place - 40, 0) : place + 60], other[max(place - 40, 0) : place + 60]


def state_of_a(ours: Tenant) -> Any:
    """Everything of org A that an act could change."""
    with scopes_disabled():
        return (
            list(Alert.objects.filter(org=ours.org).order_by("pk").values_list("pk", "version", "state")),
            list(Push.objects.filter(org=ours.org).order_by("pk").values_list("pk", "state", "attempts")),
            Transition.objects.filter(org=ours.org).count(),
            list(Assignment.objects.filter(org=ours.org).order_by("pk").values()),
            list(WebhookEndpoint.objects.filter(org=ours.org).order_by("pk").values()),
            list(Wall.objects.filter(org=ours.org).order_by("pk").values()),
            list(SavedView.objects.filter(org=ours.org).order_by("pk").values()),
            [list(model.objects.filter(org=ours.org).order_by("pk").values()) for model in OF_DUTY],
            list(Silence.objects.filter(org=ours.org).order_by("pk").values()),
        )


def ids_of(found: list[Route]) -> list[str]:
    return [route.pattern for route in found]


# --- the matrix ------------------------------------------------------------------------------------------------------


def test_every_route_is_known() -> None:
    strange = [
        route
        for route in ALL
        if not (route.name in OF_AN_ORG | OF_THE_CALLER | OF_ITS_ADDRESS or is_of_nobody(route) or is_admin(route))
    ]
    assert not strange, "say in this file whose data these show"
    assert not (OF_AN_ORG | OF_THE_CALLER | OF_ITS_ADDRESS | OF_NOBODY) - {route.name for route in ALL}


def methods_for(who: str) -> tuple[str, ...]:
    """The odd ones are tried by one person and one machine: who may not GET may not DELETE."""
    return METHODS if who in (LEAD_ELSEWHERE, KEY_ELSEWHERE) else ("GET", "POST")


def callers_of(route: Route, everybody: dict[str, Client]) -> dict[str, Client]:
    """A key opens no page: there it is nobody."""
    return {who: client for who, client in everybody.items() if route.name.startswith("api_") or who not in KEYS}


def test_what_is_of_an_org_does_not_exist_for_strangers(ours: Tenant) -> None:
    everybody, before, wrong = strangers(ours), state_of_a(ours), []
    for route in TENANT_ROUTES:
        path, nothing = filled(route, ours), filled(route, ours, known=False)
        for who, client in callers_of(route, everybody).items():
            for method in methods_for(who):
                answer = ask(client, method, path, route)
                told = without(path, seen(answer))
                told_of_nothing = without(nothing, seen(ask(client, method, nothing, route)))
                if told != told_of_nothing or MARK.encode() in told or not _is_refused(answer, who, route):
                    wrong.append((who, method, route.pattern, answer.status_code, difference(told, told_of_nothing)))
    assert not wrong
    assert state_of_a(ours) == before


def _is_refused(answer: Any, who: str, route: Route) -> bool:
    if answer.status_code == 302:
        return who in SIGNED_OUT and answer.headers["Location"].startswith("/accounts/login/")
    if route.name in FOR_LEADS and answer.status_code == 403:
        return who == "whose assignment was removed"  # looks after no org at all, whichever is named
    return answer.status_code in ((401, 405) if who in SIGNED_OUT else (404, 405))


@pytest.mark.parametrize("route", TENANT_ROUTES, ids=ids_of(TENANT_ROUTES))
def test_what_is_of_an_org_is_there_for_its_people(route: Route, ours: Tenant) -> None:
    path = filled(route, ours)
    callers = insiders(ours) if route.name.startswith("api_") else {"a lead": insiders(ours)["a lead"]}
    for who, client in callers.items():
        answers = [ask(client, method, path, route) for method in ("GET", "POST")]
        done = [answer for answer in answers if answer.status_code < 400]
        late = [answer for answer in answers if answer.status_code == 409]  # the lead was first
        assert done or (who == "a key" and late), (who, [answer.status_code for answer in answers])
        assert all(answer.status_code in (200, 303, 302, 405, 409) for answer in answers)


BY_ADDRESS = [route for route in ALL if route.name in OF_ITS_ADDRESS]


@pytest.mark.parametrize("route", BY_ADDRESS, ids=ids_of(BY_ADDRESS))
def test_an_address_that_is_a_key_shows_its_org_whoever_asks_and_is_nothing_once_spoilt(
    route: Route, ours: Tenant
) -> None:
    everybody, before, wrong = strangers(ours) | insiders(ours) | {"a specialist": specialist()}, state_of_a(ours), []
    theirs = tenant("third")
    path, foreign = filled(route, ours), filled(route, theirs)
    other = path.replace(ours.wall_token[:16], theirs.wall_token[:16])
    other = other.replace(ours.feed_token[:16], theirs.feed_token[:16])
    spoilt = (path[:-1], path + "x", other, f"{path.rpartition('/')[0]}/\u00e9.x")
    for who, client in callers_of(route, everybody).items():
        nothing = filled(route, ours, known=False)
        for method in METHODS:
            answer, told = client.generic(method, path), seen(client.generic(method, nothing))
            shown = (method == "GET") == (MARK.encode() in seen(answer))
            same = all(seen(client.generic(method, one)) == told for one in spoilt)
            leaks = MARK.encode() in told + seen(client.generic(method, foreign))
            if not shown or not same or leaks or answer.status_code != (200 if method in ("GET", "HEAD") else 405):
                wrong.append((who, method, answer.status_code, shown, same, leaks))
    assert not wrong
    assert state_of_a(ours) == before


def test_lists_show_strangers_nothing(ours: Tenant) -> None:
    everybody, before, wrong = strangers(ours), state_of_a(ours), []
    for route in (route for route in ALL if route.name in OF_THE_CALLER):
        for who, client in callers_of(route, everybody).items():
            for method in methods_for(who):
                answer = ask(client, method, filled(route, ours), route)
                let_in = (
                    who in SIGNED_OUT and route.name != "set_language" and answer.status_code not in (302, 401, 405)
                )
                if MARK.encode() in seen(answer) or let_in or answer.status_code >= 500:
                    wrong.append((who, method, route.pattern, answer.status_code))
    assert not wrong
    assert state_of_a(ours) == before


LISTS = [route for route in ALL if route.name in OF_THE_CALLER - SHOW_NOTHING_TO_THE_OWNER]


@pytest.mark.parametrize("route", LISTS, ids=ids_of(LISTS))
def test_lists_show_their_people_what_is_theirs(route: Route, ours: Tenant) -> None:
    for who, client in insiders(ours).items():
        if route.name.startswith("api_") or who == "a lead":
            assert MARK.encode() in seen(ask(client, "GET", filled(route, ours), route)), who


def test_no_question_in_the_query_is_answered(ours: Tenant) -> None:
    everybody, wrong = strangers(ours), []
    lists = ("alerts", "agents", "supervisors", "reach", "pushes", "sources")
    for path in ("/", *(f"/api/{name}" for name in lists)):
        for name, value in (("org_id", f"{MARK}-org"), ("room_id", f"{MARK} room open"), ("agent", f"{MARK} agent")):
            for who, client in everybody.items():
                told = seen(client.get(path, {name: value}))
                if any(f"{MARK} {text}".encode() in told for text in ("label", "lead", "version", "channel")):
                    wrong.append((who, path, name))
    assert not wrong


def test_what_is_of_nobody_shows_no_org(ours: Tenant) -> None:
    everybody, wrong = strangers(ours), []
    for route in (route for route in ALL if is_of_nobody(route)):
        path = "/" + re.sub(r"\(\?P<\w+>[^)]*\)|<\w+:\w+>", "x", route.pattern).replace("^", "").replace("$", "")
        for who, client in callers_of(route, everybody).items():
            answers = [client.generic(method, path) for method in ("GET", "POST")]
            if any(MARK.encode() in seen(answer) or answer.status_code == 500 for answer in answers):
                wrong.append((who, route.pattern))
    assert not wrong


ADMIN_MODELS = ("org", "agent", "supervisorrole", "assignment", "user", "source", "alert", "push")
SHOWING = tuple(f"{name}_{page}" for name in ADMIN_MODELS for page in ("change", "changelist"))
SHOWN_THEIR_OWN_NAME = {"a lead"}  # on the page that refuses them
ADMIN_DOORS = {"admin:login", "admin:logout"}
ADMIN = [route for route in ALL if is_admin(route)]


def admin_path(route: Route, ours: Tenant) -> str:
    """The address with rows of org A."""
    model = next((name for name in ours.rows if f"/{name}/" in route.pattern), "org")
    row = ours.rows[model]
    values = {
        "object_id": row.pk,
        "pk": row.pk,
        "prefix": ours.key.prefix,
        "content_type_id": ContentType.objects.get_for_model(Org).pk,
        "app_label": "orgs",
        "url": "nowhere",
    }

    def value(match: re.Match[str]) -> str:
        assert match[1] in values, f"the matrix does not know how to fill <{match[1]}> of {route.pattern}"
        return str(values[match[1]])

    path = re.sub(r"\(\?P<(\w+)>[^)]*\)", value, route.pattern)
    return "/" + re.sub(r"<\w+:(\w+)>", value, path).replace("^", "").replace("$", "")


def test_the_admin_is_for_specialists(ours: Tenant) -> None:
    everybody, wrong = strangers(ours) | insiders(ours), []
    for route in ADMIN:
        path = admin_path(route, ours)
        for who, client in everybody.items():
            for method in ("GET", "POST") if who in ("a lead", "nobody") else ("GET",):
                answer = client.generic(method, path)
                shows = who not in SHOWN_THEIR_OWN_NAME and MARK.encode() in seen(answer).replace(path.encode(), b"")
                if shows or (answer.status_code not in (302, 403, 404, 405) and route.name not in ADMIN_DOORS):
                    wrong.append((who, method, path, answer.status_code))
    assert not wrong


def test_a_specialist_finds_every_org_in_the_admin(ours: Tenant) -> None:
    client, wrong = specialist(), []
    for route in ADMIN:
        path = admin_path(route, ours)
        answer = client.get(path)
        hides = route.name.endswith(SHOWING) and MARK.encode() not in seen(answer)
        if hides or answer.status_code >= 500:
            wrong.append((path, answer.status_code))
    assert not wrong


RUN = "00000000-0000-4000-8000-000000000001"

# --- the lane --------------------------------------------------------------------------------------------------------


def test_the_lane_has_no_other_paths() -> None:
    """Beside them there are the webhooks, each bound to one org by its address: tests/test_webhooks.py."""
    assert sorted(PATHS) == sorted([EVENTS, ACTIVITY, RECEIPTS, RUNS, REVIEWS])


MAKE = {EVENTS: event, ACTIVITY: activity, RUNS: run, REVIEWS: review}


@pytest.mark.parametrize(("path", "make"), MAKE.items())
def test_a_foreign_org_in_an_item_is_as_unknown_as_none(path: str, make: Any, sender: Sender) -> None:
    foreign: Org = OrgFactory(external_id=f"{MARK}-org", name=f"{MARK} org")
    one = make(org_id=foreign.external_id)
    other = {**one, "org_id": "no-such-org"}
    answers = [sender.post(item, path) for item in (one, other)]
    assert answers[0].body == answers[1].body
    assert (answers[0].status, answers[0].error["code"]) == (422, "unknown_org")
    batch = [sender.post([item], path).body for item in (one, other)]
    assert batch[0] == batch[1]
    assert MARK.encode() not in b"".join([answers[0].body, *batch])


def test_the_same_room_and_ids_in_two_orgs_are_strangers(sender: Sender) -> None:
    theirs = SourceFactory()
    _, key = make_key(theirs)
    one = event(event_id="same", room_id="same room")
    second = Sender(sender.port, theirs, key, sender.row)
    assert [sender.post(one).status, second.post(one).status] == [201, 201]
    assert second.post(activity(room_id="same room", kind="human_message"), ACTIVITY).status == 201
    with scopes_disabled():
        states = dict(Alert.objects.values_list("org", "state"))
    assert states == {sender.source.org_id: "open", theirs.org_id: "intervened"}


def test_the_same_run_and_review_in_two_orgs_are_strangers(sender: Sender) -> None:
    """A run of another org is neither completed nor contradicted, and a review counts in its own org alone."""
    theirs = SourceFactory()
    _, key = make_key(theirs)
    second = Sender(sender.port, theirs, key, sender.row)
    one = run(run_id=RUN, room_id="same room", ended_at=None, resolution=None)
    assert sender.post(one, RUNS).status == 201
    refused = second.post({"run_id": RUN, "resolution": "failed"}, RUNS)
    assert (refused.status, refused.error["field"]) == (422, "agent_name")
    assert second.post({**one, "agent_name": "Another"}, RUNS).status == 201
    assert [second.post(review(run_id=RUN), REVIEWS).status, sender.post(review(run_id=RUN), REVIEWS).status] == [
        201
    ] * 2
    assert [(stored.org, stored.agent.org, stored.review_count) for stored in runs()] == [
        (org, org, 1) for org in (sender.source.org, theirs.org)
    ]
    assert len({(stored.org_id, stored.run_id) for stored in reviews()}) == 2


@pytest.mark.parametrize("path", MAKE)
def test_no_and_revoked_keys_write_nothing(path: str, sender: Sender) -> None:
    row, raw = issue(sender.source, ["ingest"])
    revoke(row)
    item = MAKE[path]()
    for key in (f"Bearer {raw}", "Bearer nothing.atall", None):
        answer = sender.post(item, path, Authorization=key)
        assert (answer.status, answer.error["code"]) == (401, "unauthenticated")
