"""What the commands about accounts share: the password is read or made, never an argument that `ps` would show."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from panel.accounts import passwords
from panel.accounts.models import User
from panel.accounts.users import AccountError


class UserCommand(BaseCommand):
    """Base of the commands; says in one line what went wrong."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="read the password from standard input; otherwise one is made and printed",
        )
        parser.add_argument(
            "--keep-password",
            action="store_true",
            help="the user need not change the password at the first sign-in",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.act(**options)
        except AccountError as error:
            raise CommandError(str(error)) from error

    def act(self, **options: Any) -> None:
        raise NotImplementedError

    def password(self, from_stdin: bool) -> str:
        """The password to set. CommandError when standard input is empty."""
        if not from_stdin:
            return passwords.generate()
        typed = sys.stdin.readline().rstrip("\r\n")
        if not typed:
            raise CommandError("Standard input has no password. Write it there in one line.")
        return typed

    def show(self, password: str, from_stdin: bool) -> None:
        if not from_stdin:
            self.stdout.write(f"Password: {password}")

    def user(self, username: str) -> User:
        """CommandError when there is none of that name."""
        found = User.objects.filter(username=username).first()
        if found is None:
            raise CommandError(f"There is no user {username}.")
        return found
