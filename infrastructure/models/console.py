"""Tickets that open a console."""

from django.conf import settings
from django.db import models

from infrastructure.models.ve import VE


class ConsoleTicket(models.Model):
    """Right to open one console once: single use, 30 s, bound to user, session and VE; only its hash is stored."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the 256-bit token, hex")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=64)
    ve = models.ForeignKey(VE, on_delete=models.CASCADE, related_name="console_tickets")
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"console ticket of {self.user} for {self.ve}"
