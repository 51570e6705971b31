"""`manage.py add_user NAME --role ROLE [--over node:3]`: make an account."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from panel.accounts import users
from panel.accounts.models import User
from panel.accounts.roles import Role
from panel.accounts.user_command import UserCommand


class Command(UserCommand):
    help = "Make an account with a role. Prints the password unless it was read from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--role", required=True, choices=Role.values)
        parser.add_argument("--over", default="", metavar="TYPE:ID", help="a part of the tree, such as node:3")
        parser.add_argument("--full-name", default="")
        parser.add_argument(
            "--if-missing", action="store_true", help="leave a user of that name as it is instead of failing"
        )

    def act(self, **options: Any) -> None:
        name = options["username"]
        if options["if_missing"] and User.objects.filter(username=name).exists():
            self.stdout.write(f"There is a user {name} already.")
            return
        type, _, id = options["over"].partition(":")
        if type and not id.isdecimal():
            raise CommandError(f"--over {options['over']} names no part of the tree. Write it as node:3.")
        password = self.password(options["password_stdin"])
        users.create(
            actor=None,
            username=name,
            full_name=options["full_name"],
            password=password,
            grants=[users.Grant(options["role"], type, int(id) if id else None)],
            must_change=not options["keep_password"],
        )
        self.stdout.write(f"User {name} is made.")
        self.show(password, options["password_stdin"])
