from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RunsConfig(AppConfig):
    name = "runs"
    verbose_name = _("Runs and reviews")

    def ready(self) -> None:
        from alerts.replay.history import also_runs  # these need the models
        from runs.replayed import resolved_in
        from runs.retention import register

        register()
        also_runs(resolved_in)
