from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Commands only; no models, nothing that production code imports."""

    name = "demo"
    verbose_name = "Demo"
