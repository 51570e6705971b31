"""Tickets that open a console, and who has one open."""

from datetime import timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from infrastructure.choices import ConsoleKind
from infrastructure.models.ve import VE


class ConsoleTicket(models.Model):
    """Right to open one console once: single use, 30 s, for one user, session, VE and kind; only its hash is stored."""

    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the 256-bit token, hex")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=64)
    ve = models.ForeignKey(VE, on_delete=models.CASCADE, related_name="console_tickets")
    kind = models.CharField(max_length=6, choices=ConsoleKind.choices, default=ConsoleKind.SCREEN)
    expires_at = models.DateTimeField(db_index=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"console ticket of {self.user} for {self.ve}"


class ConsoleSessionQuerySet(models.QuerySet["ConsoleSession"]):
    def current(self) -> Self:
        """Those that are open now: their web process has said so within 15 s."""
        return self.filter(closed_at=None, seen_at__gte=timezone.now() - ConsoleSession.SILENT_AFTER)


class ConsoleSession(models.Model):
    """One browser's console of one VE, from opening to closing."""

    SILENT_AFTER = timedelta(seconds=15)

    user = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    username = models.CharField(max_length=150)
    ve = models.ForeignKey(VE, on_delete=models.CASCADE, related_name="console_sessions")
    kind = models.CharField(max_length=6, choices=ConsoleKind.choices)
    node_name = models.CharField(max_length=63)
    opened_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="when its web process last said that it is open")
    closed_at = models.DateTimeField(null=True)
    to_guest = models.PositiveBigIntegerField(default=0, help_text="bytes")
    from_guest = models.PositiveBigIntegerField(default=0, help_text="bytes")

    objects = ConsoleSessionQuerySet.as_manager()

    class Meta:
        ordering = ["opened_at"]
        indexes = [models.Index(fields=["ve", "closed_at"])]

    def __str__(self) -> str:
        return f"{self.username} at the console of {self.ve}"
