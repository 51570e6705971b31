"""Run the keeper: lost messages, lanes, dead workers."""

from typing import Any

from django.core.management.base import BaseCommand

from tasks.keeper import Keeper


class Command(BaseCommand):
    help = "See to it that every task ends: send lost messages again, admit to lanes, take over from dead workers."

    def handle(self, *args: Any, **options: Any) -> None:
        keeper = Keeper()
        keeper.stop_on_signals()
        keeper.run()
