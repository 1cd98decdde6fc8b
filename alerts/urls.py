"""The API below /api/. The ingest lane's paths are answered in front of Django (console/http/asgi.py)."""

from django.urls import path, re_path

from alerts.api import acts, pushes, reads, sources
from alerts.api.reach import ReachView
from alerts.api.success import SuccessView
from orgs.api import Agents, NothingHere, Orgs, Supervisors
from orgs.assignments_api import Assignments, ConfirmPerson

urlpatterns = [
    path("alerts", reads.Alerts.as_view(), name="api_alerts"),
    path("alerts/<str:alert_id>", reads.AlertDetail.as_view(), name="api_alert"),
    *[
        path(f"alerts/<str:alert_id>/{verb}", act.as_view(), name=f"api_alert_{verb}")
        for verb, act in acts.ACTS.items()
    ],
    path("success", SuccessView.as_view(), name="api_success"),
    path("orgs", Orgs.as_view(), name="api_orgs"),
    path("agents", Agents.as_view(), name="api_agents"),
    path("assignments", Assignments.as_view(), name="api_assignments"),
    path("people/<str:sso_id>/confirm", ConfirmPerson.as_view(), name="api_confirm_person"),
    path("supervisors", Supervisors.as_view(), name="api_supervisors"),
    path("supervisors/<str:sso_id>/test-push", pushes.TestPush.as_view(), name="api_test_push"),
    path("sources", sources.Sources.as_view(), name="api_sources"),
    path("reach", ReachView.as_view(), name="api_reach"),
    path("pushes", pushes.Pushes.as_view(), name="api_pushes"),
    path("pushes/<str:push_id>", pushes.PushDetail.as_view(), name="api_push"),
    path("pushes/<str:push_id>/replay", pushes.Replay.as_view(), name="api_push_replay"),
    re_path("", NothingHere.as_view(), name="api_nothing_here"),
]
