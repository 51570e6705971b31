"""The audit trail. Rows are only ever added."""

from django.conf import settings
from django.db import models


class Result(models.TextChoices):
    OK = "ok", "Accepted"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class AuditRecord(models.Model):
    """One attempt to change something, or one refused attempt to reach something."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    source = models.GenericIPAddressField(null=True)
    action = models.CharField(max_length=200)
    target_type = models.CharField(max_length=40, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_name = models.CharField(max_length=200, blank=True)
    result = models.CharField(max_length=10, choices=Result.choices, default=Result.OK)
    detail = models.TextField(blank=True)
    task_id = models.PositiveBigIntegerField(null=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["target_type", "target_id"])]

    def __str__(self) -> str:
        return f"{self.actor_name or 'system'} {self.action} {self.target_name} {self.result}"
