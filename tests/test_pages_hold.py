"""The legal hold on an alert's page: leads and specialists set and lift it, and can take either back."""

from typing import Any
from uuid import uuid4

import pytest

from alerts import actions
from alerts.models import Alert, LegalHold, Push
from orgs.models import Membership, Org, User
from tests.api_client import signed_in
from tests.factories import AgentFactory, AlertFactory, MembershipFactory, UserFactory
from tests.runs_made import made_run
from tests.scene import Scene
from tests.test_pages_alert import HTMX, text, toast

pytestmark = pytest.mark.django_db


@pytest.fixture
def scene(system: None, org: Org) -> Scene:
    return Scene(org)


@pytest.fixture
def alert(scene: Scene) -> Alert:
    scene.fails(room_label="Ibu Sari")
    return scene.alert()


@pytest.fixture
def lead(scene: Scene) -> User:
    MembershipFactory(org=scene.org, user=scene.people[0], role=Membership.Role.LEAD)
    return scene.people[0]


def post(user: User, alert: Alert, verb: str, **form: str) -> Any:
    return signed_in(user).post(f"/alerts/{alert.pk}/{verb}", form, headers=HTMX | {"HX-Target": "alert"})


def test_a_lead_holds_it_with_a_reason(alert: Alert, lead: User) -> None:
    answer = post(lead, alert, "hold", reason="Case 12/2026, call +62 811 7654 321")
    assert answer.status_code == 200 and "under a legal hold" in toast(answer)["text"]
    held = LegalHold.objects.get()
    assert (held.alert, held.by, held.ended_at) == (alert, lead, None)
    assert "7654" not in held.reason, "a reason is masked like every text"
    page = text(answer)
    assert "Case 12/2026" in page and "Lift the hold" in page and "You put it under a legal hold" in page


def test_its_undo_lifts_it_and_the_undo_of_that_brings_it_back(alert: Alert, lead: User) -> None:
    held = toast(post(lead, alert, "hold", reason="Case"))
    assert held["undo"].endswith("/unhold")
    lifted = toast(post(lead, alert, "unhold"))
    assert LegalHold.objects.get().ended_by == lead and lifted["undo"].endswith("/rehold")
    assert post(lead, alert, "rehold").status_code == 200
    assert LegalHold.objects.get().ended_at is None
    assert post(lead, alert, "rehold").status_code == 409


def test_a_supervisor_sees_it_and_cannot_change_it(alert: Alert, scene: Scene) -> None:
    actions.hold(alert.pk, UserFactory(is_specialist=True, name="Sri"), "Case 12/2026")
    page = text(signed_in(scene.people[1]).get(f"/alerts/{alert.pk}"))
    assert "Case 12/2026" in page and "Lift the hold" not in page
    for verb in ("hold", "unhold", "rehold"):
        assert post(scene.people[1], alert, verb, reason="x").status_code == 403
    assert LegalHold.objects.get().ended_at is None


def test_without_a_reason_nothing_is_held(alert: Alert, lead: User) -> None:
    answer = post(lead, alert, "hold", reason="  ")
    assert answer.status_code == 422 and not LegalHold.objects.exists()


def test_twice_is_too_late(alert: Alert, lead: User) -> None:
    post(lead, alert, "hold", reason="Case")
    assert post(lead, alert, "hold", reason="Other").status_code == 409
    assert post(lead, alert, "unhold").status_code == 200
    assert post(lead, alert, "unhold").status_code == 409


def test_an_alert_of_another_org_is_not_there(lead: User) -> None:
    for verb in ("hold", "unhold", "rehold"):
        assert post(lead, AlertFactory(), verb, reason="x").status_code == 404


def test_pushes_that_are_deleted_were_sent_all_the_same(alert: Alert, lead: User) -> None:
    Push.objects.all().delete()
    page = text(signed_in(lead).get(f"/alerts/{alert.pk}"))
    assert "were deleted" in page and "Nobody was told" not in page


# --- a run -----------------------------------------------------------------------------------------------------------


def test_a_lead_holds_a_run_on_its_page_and_lifts_it(alert: Alert, lead: User) -> None:
    run, client = made_run(alert.org, AgentFactory(org=alert.org), alert.opened_at), signed_in(lead)
    path = f"/runs/{run.run_id}"
    page = client.post(f"{path}/hold", {"reason": "Case 14"}, follow=True).content.decode()
    assert "Nothing of this run is deleted" in page and "Case 14" in page and "Lift the hold" in page
    assert "Say why" in client.post(f"{path}/hold", {"reason": " "}, follow=True).content.decode()
    assert LegalHold.objects.get().by == lead
    assert "is lifted" in client.post(f"{path}/unhold", follow=True).content.decode()
    assert LegalHold.objects.get().ended_by == lead
    assert "Hold</button>" in client.get(path).content.decode()


def test_others_see_that_a_run_is_held_and_cannot_change_it(alert: Alert, scene: Scene) -> None:
    run = made_run(alert.org, AgentFactory(org=alert.org), alert.opened_at)
    actions.hold_run(alert.org, run.run_id, UserFactory(is_specialist=True), "Case 15")
    client = signed_in(scene.people[0])
    page = client.get(f"/runs/{run.run_id}").content.decode()
    assert "Case 15" in page and "Lift the hold" not in page
    assert [client.post(f"/runs/{run.run_id}/{verb}").status_code for verb in ("hold", "unhold")] == [403, 403]
    assert LegalHold.objects.filter(ended_at=None).exists()


# --- the admin -------------------------------------------------------------------------------------------------------


def test_a_specialist_holds_a_run_and_lifts_what_is_held(alert: Alert) -> None:
    specialist, run = UserFactory(is_specialist=True), uuid4()
    client = signed_in(specialist)
    form = {"org": alert.org.pk, "run_id": str(run), "reason": "Case 13"}
    assert client.post("/admin/alerts/legalhold/add/", form).status_code == 302
    actions.hold(alert.pk, specialist, "Case 12")
    assert set(LegalHold.objects.values_list("run_id", "by")) == {(run, specialist.pk), (None, specialist.pk)}
    every = [str(pk) for pk in LegalHold.objects.values_list("pk", flat=True)]
    chosen = {"action": "lift_selected", "_selected_action": every}
    assert client.post("/admin/alerts/legalhold/", chosen).status_code == 302
    assert not LegalHold.objects.filter(ended_at=None).exists()


def test_the_admin_takes_no_run_that_is_none(alert: Alert) -> None:
    client = signed_in(UserFactory(is_specialist=True))
    for run in ("", "x"):
        form = {"org": alert.org.pk, "run_id": run, "reason": "Case 13"}
        assert client.post("/admin/alerts/legalhold/add/", form).status_code == 200
    assert not LegalHold.objects.exists()


def test_a_specialist_says_how_long_an_org_keeps_what(alert: Alert) -> None:
    page = signed_in(UserFactory(is_specialist=True)).get(f"/admin/orgs/org/{alert.org.pk}/change/").content.decode()
    assert 'name="retention-0-runs_days"' in page or 'name="retention-__prefix__-runs_days"' in page
