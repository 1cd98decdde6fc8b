"""In which order tests run, which of them stay together in one process, and which an inner loop leaves out."""

from pathlib import Path

HERE = Path(__file__).parent

# Each is one group: its tests share processes, a browser, a service. The first of these last longest, and those that
# wait lie between those that compute.
TOGETHER = [
    *("test_faults", "browser/test_alert", "test_launch_running", "browser/test_board", "test_client_process"),
    *("browser/test_setup", "test_canaries", "browser/test_filters", "test_docs", "browser/test_session"),
    *("browser/test_success", "test_launch", "browser/test_sources", "browser/test_long_names"),
    *("browser/test_reachable", "browser/test_wall", "browser/test_install"),
    *("browser/test_under_way", "browser/test_everywhere", "browser/test_modes", "browser/test_drawer"),
    *("browser/test_select", "browser/test_views", "browser/test_palette", "browser/test_kpis", "browser/test_outage"),
    *("browser/test_tour", "browser/test_duty", "browser/test_silences"),
    *("browser/test_api_docs", "test_standins", "test_client_tls", "test_replica"),
    *("test_client_typescript", "browser/test_shopify_overlay", "browser/test_policy"),
]
# Some of their tests are long ones, each by itself.
LONG = [
    *("test_state_machine", "test_fuzz", "test_figures_recount", "test_scripted_day", "test_clocks", "test_tenancy"),
    *("test_conversation", "test_sessions", "test_openapi", "test_client_trouble", "test_undo", "test_dispatcher"),
    *("test_figures_kept", "test_plans", "test_ingest_groups", "test_retention_figures", "test_retention"),
]
# What nobody waits for while writing, beside the groups: it starts processes, waits for real time, asks every address,
# or takes very many rows.
SLOW = {
    *("test_openapi", "test_ingest_serve", "test_tenancy", "test_fuzz", "test_sessions", "test_scripted_day"),
    *("test_client", "test_client_answers", "test_client_trouble", "test_client_ruby", "test_live", "test_simulator"),
    *("test_client_tokens", "test_honest_handoff", "test_blackout", "test_storm_people"),
    *("test_dispatcher", "test_ingest_faults", "test_outbox_faults"),
    *("test_commands", "test_setup", "test_webhooks", "test_import", "test_tally", "test_api_success", "test_backup"),
    *("test_admin", "test_login", "test_api_assignments", "test_figures_recount", "test_pages_success"),
    *("test_api_runs", "test_kpi_rows", "test_pages_kpis", "test_kpi_view", "test_kpi_sessions", "test_security"),
    *("test_names", "test_logs", "test_proxies", "test_together", "test_identifiers", "test_qontak_rooms"),
    *("test_database", "test_tenancy_sockets", "test_compose", "test_figures_kept", "test_plans", "test_ingest_groups"),
    *("test_retention", "test_retention_figures", "test_retention_runs", "test_retention_together", "test_erase"),
}
PLACES = {name: place for place, name in enumerate([*TOGETHER, *LONG])}


def name_of(path: Path) -> str:
    return str(path.relative_to(HERE)).removesuffix(".py")


def group_of(path: Path) -> str | None:
    """The group of a module's tests; None if they go wherever there is room."""
    name = name_of(path)
    return name if name in TOGETHER else None


def is_slow(path: Path) -> bool:
    """Whether `bin/test --fast` leaves a module out."""
    return name_of(path) in SLOW.union(TOGETHER)


def place_of(path: Path) -> int:
    """Where the tests of a module stand."""
    return PLACES.get(name_of(path), len(PLACES))
