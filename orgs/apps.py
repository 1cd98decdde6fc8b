from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class OrgsConfig(AppConfig):
    name = "orgs"
    verbose_name = _("Orgs and people")

    def ready(self) -> None:
        from orgs.database import read_times_quickly, switch_off_jit

        read_times_quickly()
        post_migrate.connect(switch_off_jit, sender=self)
