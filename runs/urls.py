"""The API of runs below /api/."""

from django.urls import path

from runs import api

urlpatterns = [
    path("kpis", api.Kpis.as_view(), name="api_kpis"),
    path("runs", api.Runs.as_view(), name="api_runs"),
    path("runs/<str:run_id>", api.RunDetail.as_view(), name="api_run"),
    path("agents/<path:agent_name>/versions", api.AgentVersions.as_view(), name="api_agent_versions"),
]
