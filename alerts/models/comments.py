"""What people have to say about alerts."""

from django.conf import settings
from django.db import models
from django_scopes import ScopedManager

from alerts.models.alerts import Alert
from orgs.models import Org


class Comment(models.Model):
    """What a person has to say about an alert, for whoever reads it. It changes nothing of the alert."""

    org = models.ForeignKey(Org, models.CASCADE, related_name="+")
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="comments")
    at = models.DateTimeField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    text = models.CharField(max_length=2000)

    objects = ScopedManager(org="org")

    class Meta:
        indexes = [models.Index(fields=["alert", "at"], name="comment_alert")]  # the alert's timeline

    def __str__(self) -> str:
        return f"{self.author} {self.at}"
