"""`manage.py set_password NAME`: give a user another password, such as when the last administrator forgot theirs."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from panel.accounts import users
from panel.accounts.user_command import UserCommand


class Command(UserCommand):
    help = "Set a user's password and end their sessions. Prints it unless it was read from standard input."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--reset-second-factor", action="store_true", help="take the authenticator app and recovery codes away too"
        )
        parser.add_argument("--enable", action="store_true", help="enable the account too")

    def act(self, **options: Any) -> None:
        user = self.user(options["username"])
        password = self.password(options["password_stdin"])
        must_change = not options["keep_password"]
        with transaction.atomic():  # all of it or nothing: a made password that is not shown would lock the user out
            users.set_password(actor=None, user=user, password=password, must_change=must_change)
            if options["reset_second_factor"]:
                users.reset_second_factor(actor=None, user=user)
            if options["enable"]:
                users.set_active(actor=None, user=user, active=True)
        self.stdout.write(f"The password of {user} is set. Its sessions have ended.")
        self.show(password, options["password_stdin"])
