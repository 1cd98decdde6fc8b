"""The API below /api/. The ingest lane's paths are answered in front of Django (console/http/asgi.py)."""

from django.urls import path, re_path

from alerts.api import acts, pushes, reads, sources
from alerts.api.availability import AvailabilityView, Handovers
from alerts.api.blind import BlindIntervals
from alerts.api.policy import PolicyVersions, PolicyView, RevertPolicy
from alerts.api.previews import Preview, PreviewResult
from alerts.api.reach import ReachView
from alerts.api.silences import SilencesView, SilenceView
from alerts.api.success import SuccessView
from orgs.api import Agents, NothingHere, Orgs, Supervisors
from orgs.assignments_api import Assignments, ConfirmPerson
from orgs.client_tokens_api import ClientTokens
from orgs.duty_api import CalendarView, DutyFeeds, OneSchedule, QuietHoursView, Schedules
from orgs.duty_reminders_api import DutyPushesView
from orgs.on_duty_api import DutyView

urlpatterns = [
    path("alerts", reads.Alerts.as_view(), name="api_alerts"),
    path("alerts/<str:alert_id>", reads.AlertDetail.as_view(), name="api_alert"),
    *[
        path(f"alerts/<str:alert_id>/{verb}", act.as_view(), name=f"api_alert_{verb}")
        for verb, act in acts.ACTS.items()
    ],
    path("success", SuccessView.as_view(), name="api_success"),
    path("blind-intervals", BlindIntervals.as_view(), name="api_blind_intervals"),
    path("silences", SilencesView.as_view(), name="api_silences"),
    path("silences/<str:silence_id>", SilenceView.as_view(), name="api_silence"),
    path("orgs", Orgs.as_view(), name="api_orgs"),
    path("agents", Agents.as_view(), name="api_agents"),
    path("assignments", Assignments.as_view(), name="api_assignments"),
    path("availability", AvailabilityView.as_view(), name="api_availability"),
    path("duty", DutyView.as_view(), name="api_duty"),
    path("calendar", CalendarView.as_view(), name="api_calendar"),
    path("schedules", Schedules.as_view(), name="api_schedules"),
    path("schedules/<str:schedule_id>", OneSchedule.as_view(), name="api_schedule"),
    path("handovers", Handovers.as_view(), name="api_handovers"),
    path("duty-feeds", DutyFeeds.as_view(), name="api_duty_feeds"),
    path("client-tokens", ClientTokens.as_view(), name="api_client_tokens"),
    path("people/<str:sso_id>/confirm", ConfirmPerson.as_view(), name="api_confirm_person"),
    path("people/<str:sso_id>/quiet-hours", QuietHoursView.as_view(), name="api_quiet_hours"),
    path("people/<str:sso_id>/duty-pushes", DutyPushesView.as_view(), name="api_duty_pushes"),
    path("supervisors", Supervisors.as_view(), name="api_supervisors"),
    path("supervisors/<str:sso_id>/test-push", pushes.TestPush.as_view(), name="api_test_push"),
    path("sources", sources.Sources.as_view(), name="api_sources"),
    path("policy", PolicyView.as_view(), name="api_policy"),
    path("policy/versions", PolicyVersions.as_view(), name="api_policy_versions"),
    path("policy/preview", Preview.as_view(), name="api_policy_preview"),
    path("policy/preview/<str:preview_id>", PreviewResult.as_view(), name="api_policy_preview_result"),
    path("policy/revert", RevertPolicy.as_view(), name="api_policy_revert"),
    path("reach", ReachView.as_view(), name="api_reach"),
    path("pushes", pushes.Pushes.as_view(), name="api_pushes"),
    path("pushes/<str:push_id>", pushes.PushDetail.as_view(), name="api_push"),
    path("pushes/<str:push_id>/replay", pushes.Replay.as_view(), name="api_push_replay"),
    re_path("", NothingHere.as_view(), name="api_nothing_here"),
]
