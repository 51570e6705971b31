"""Signs of life of the panel's own processes, and how its parts were over the last days."""

from django.db import models


class Beat(models.Model):
    """The last sign of life of one process, such as `collector` or `worker.migrate`."""

    name = models.CharField(max_length=60, unique=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class Span(models.Model):
    """A stretch of time in which one part was in one state. The next sample lengthens it or begins another."""

    name = models.CharField(max_length=60)
    state = models.CharField(max_length=10)
    text = models.CharField(max_length=120, help_text="as it began")
    cause = models.CharField(max_length=500, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="when it was last seen so")

    class Meta:
        indexes = [models.Index(fields=["name", "until"]), models.Index(fields=["until"])]

    def __str__(self) -> str:
        return f"{self.name} {self.state} from {self.since:%H:%M:%S}"


class Reading(models.Model):
    """Figures of one moment. There are as many rows as slots: the oldest is written over."""

    slot = models.PositiveIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    figures = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"figures of {self.at:%H:%M}"
