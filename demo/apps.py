from django.apps import AppConfig


class DemoConfig(AppConfig):
    """Commands only, for a demo (DEMO=1): no models, nothing that production installs or imports."""

    name = "demo"
    verbose_name = "Demo"
