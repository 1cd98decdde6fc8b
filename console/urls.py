"""Every address of the console; the lane's are in console/ingest."""

from django.contrib import admin
from django.urls import include, path

from console.schema.views import Docs, Schema
from console.views import alert, board, errors, health, preferences, pushes, success, supervisors
from console.views.invitation import invitation

urlpatterns = [
    path("", board.board, name="board"),
    path("alerts/<uuid:alert_id>", alert.alert, name="alert"),
    path("alerts/<uuid:alert_id>/room", alert.room, name="alert_room"),
    path("alerts/<uuid:alert_id>/<slug:verb>", alert.act, name="alert_act"),
    path("supervisors", supervisors.supervisors, name="supervisors"),
    path("supervisors/<str:sso_id>/test-push", supervisors.test_push, name="test_push"),
    path("supervisors/<str:sso_id>/test-push/<uuid:push_id>", supervisors.test_hops, name="test_hops"),
    path("pushes", pushes.pushes, name="pushes"),
    path("pushes/replay", pushes.replay_all, name="replay_all"),
    path("pushes/<uuid:push_id>/replay", pushes.replay_one, name="replay"),
    path("success", success.success, name="success"),
    path("success.csv", success.success_csv, name="success_csv"),
    path("success/<slug:metric>", success.behind, name="success_behind"),
    path("success/<slug:metric>.csv", success.behind_csv, name="success_behind_csv"),
    path("preferences", preferences.preferences, name="preferences"),
    path("language", preferences.set_language, name="set_language"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/schema", Schema.as_view(), name="api_schema"),
    path("api/docs", Docs.as_view(), name="api_docs"),
    path("api/", include("alerts.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("orgs.urls")),
    path("invite/<str:uid>/<str:token>", invitation, name="invitation"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
