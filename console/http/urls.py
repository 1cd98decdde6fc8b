"""Every address of the console; the lane's are in console/ingest."""

from django.contrib import admin
from django.urls import include, path

from console.http import health
from console.openapi.views import DocsView, SchemaView
from console.pages import errors, install, join, preferences, pushes, settings
from console.pages.agents import view as agents
from console.pages.alert import view as alert
from console.pages.board import bulk, export, saved
from console.pages.board import view as board
from console.pages.duty import view as duty
from console.pages.duty.calendar import duty_calendar
from console.pages.duty.feed import duty_feed
from console.pages.duty.mine import duty_mine
from console.pages.invitation import invitation
from console.pages.kpis import view as kpis
from console.pages.palette import palette
from console.pages.policy import preview as policy_preview
from console.pages.policy import view as policy
from console.pages.reach import view as reach
from console.pages.runs import holding as run_holding
from console.pages.runs import view as runs
from console.pages.setup import view as setup
from console.pages.silences import view as silences
from console.pages.sources import view as sources
from console.pages.sources import webhooks
from console.pages.success import view as success
from console.pages.wall import view as wall
from console.pages.wall import walls

urlpatterns = [
    path("", board.board, name="board"),
    path("bulk", bulk.bulk, name="bulk"),
    path("bulk/people", bulk.bulk_people, name="bulk_people"),
    path("board.csv", export.board_csv, name="board_csv"),
    path("views", saved.saved_views, name="views"),
    path("views/restore", saved.restore_view, name="view_restore"),
    path("views/<uuid:view_id>/rename", saved.rename_view, name="view_rename"),
    path("views/<uuid:view_id>/delete", saved.delete_view, name="view_delete"),
    path("alerts/<uuid:alert_id>", alert.alert, name="alert"),
    path("alerts/<uuid:alert_id>/room", alert.room, name="alert_room"),
    path("alerts/<uuid:alert_id>/<slug:verb>", alert.act_on_alert, name="alert_act"),
    path("reach", reach.reach, name="reach"),
    path("reach.csv", reach.export_reach, name="reach_csv"),
    path("reach/ask", reach.ask, name="reach_ask"),
    path("reach/test", reach.test_round, name="reach_test"),
    path("reach/<str:sso_id>/test-push", reach.test_push, name="test_push"),
    path("reach/<str:sso_id>/test-push/<uuid:push_id>", reach.test_hops, name="test_hops"),
    path("silences", silences.silences_page, name="silences"),
    path("silences/matches", silences.matches_page, name="silences_matches"),
    path("silences/<uuid:silence_id>/end", silences.end_silence_page, name="silence_end"),
    path("silences/<uuid:silence_id>/restore", silences.restore_silence_page, name="silence_restore"),
    path("settings", settings.settings_page, name="settings"),
    path("settings/policy", policy.policy, name="policy"),
    path("settings/policy/revert", policy.revert, name="policy_revert"),
    path("settings/policy/preview", policy_preview.ask_for_preview, name="policy_preview"),
    path("settings/policy/preview/ahead", policy_preview.about_to_ask, name="policy_preview_ahead"),
    path("settings/policy/preview/<uuid:preview_id>", policy_preview.preview_result, name="policy_preview_result"),
    path("setup/new", setup.new_org, name="setup_new"),
    path("setup/<path:org_id>", setup.checklist, name="setup"),
    path("join/<path:org_id>", join.join, name="join"),
    path("pushes", pushes.pushes, name="pushes"),
    path("pushes/replay", pushes.replay_all, name="replay_all"),
    path("pushes/<uuid:push_id>/replay", pushes.replay_one, name="replay"),
    path("sources", sources.sources, name="sources"),
    path("sources/webhooks/new", webhooks.new_webhook, name="webhook_new"),
    path("sources/webhooks/<str:public_id>", webhooks.endpoint, name="webhook"),
    path("sources/webhooks/<str:public_id>/settings", webhooks.settings, name="webhook_settings"),
    path("sources/webhooks/<str:public_id>/rotate", webhooks.rotate_webhook, name="webhook_rotate"),
    path("sources/webhooks/<str:public_id>/end-overlap", webhooks.end_webhook_overlap, name="webhook_end_overlap"),
    path("sources/webhooks/<str:public_id>/switch", webhooks.switch, name="webhook_switch"),
    path("sources/webhooks/<str:public_id>/again", webhooks.retry_webhook, name="webhook_again"),
    path("kpis", kpis.kpis, name="kpis"),
    path("kpis.csv", kpis.kpis_csv, name="kpis_csv"),
    path("runs", runs.runs, name="runs"),
    path("runs.csv", runs.runs_csv, name="runs_csv"),
    path("runs/<uuid:run_id>", runs.run_page, name="run"),
    path("runs/<uuid:run_id>/hold", run_holding.place_run_hold, name="run_hold"),
    path("runs/<uuid:run_id>/unhold", run_holding.end_run_hold, name="run_unhold"),
    path("agents", agents.agent_list, name="agents"),
    path("agents/<path:agent_name>", agents.agent, name="agent"),
    path("success", success.success, name="success"),
    path("success.csv", success.success_csv, name="success_csv"),
    path("success/<slug:metric>", success.behind, name="success_behind"),
    path("success/<slug:metric>.csv", success.behind_csv, name="success_behind_csv"),
    path("duty", duty.duty, name="duty"),
    path("duty/mine", duty_mine, name="duty_mine"),
    path("duty/calendar", duty_calendar, name="duty_calendar"),
    path("duty/hand-over", duty.duty_hand_over, name="duty_hand_over"),
    path("duty/hours/<int:assignment_id>", duty.duty_hours, name="duty_hours"),
    path("duty-feeds/<str:token>", duty_feed, name="duty_feed"),
    path("walls", walls.walls, name="walls"),
    path("walls/<str:public_id>/revoke", walls.end_wall, name="wall_revoke"),
    path("wall/<str:token>", wall.wall, name="wall"),
    path("manifest.webmanifest", install.manifest, name="manifest"),
    path("worker.js", install.worker, name="worker"),
    path("offline", install.offline, name="offline"),
    path("palette", palette, name="palette"),
    path("preferences", preferences.preferences, name="preferences"),
    path("language", preferences.set_language, name="set_language"),
    path("livez", health.livez, name="livez"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("api/schema", SchemaView.as_view(), name="api_schema"),
    path("api/docs", DocsView.as_view(), name="api_docs"),
    path("api/", include("runs.urls")),
    path("api/", include("alerts.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("orgs.urls")),
    path("invite/<str:uid>/<str:token>", invitation, name="invitation"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
