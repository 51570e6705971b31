"""`manage.py remove_user NAME`: delete an account; the audit trail keeps its name."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.accounts import users
from panel.accounts.models import User


class Command(BaseCommand):
    help = "Delete an account with its roles and sessions."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['username']}.")
        try:
            users.delete(actor=None, user=user)
        except users.AccountError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"User {options['username']} is deleted.")
