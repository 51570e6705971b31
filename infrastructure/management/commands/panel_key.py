"""`manage.py panel_key`: the line for /root/.ssh/authorized_keys of a node."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from infrastructure.services import nodes
from panel.trust.errors import TrustError


class Command(BaseCommand):
    help = "Print the panel's public SSH key, for /root/.ssh/authorized_keys of a node."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(nodes.panel_public_key())
        except TrustError as error:
            raise CommandError(str(error)) from error
