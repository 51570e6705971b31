"""Signs of life of the panel's own processes."""

from django.db import models


class Beat(models.Model):
    """The last sign of life of one process, such as `collector` or `worker.migrate`."""

    name = models.CharField(max_length=60, unique=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"
