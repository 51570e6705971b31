"""`manage.py collect`: observe the nodes until SIGTERM or SIGINT."""

import re
import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.runner import Runner
from collector.sources import sources
from infrastructure.drivers import registry
from infrastructure.observe.source import Shard


class Command(BaseCommand):
    help = "Observe the nodes: events, inventory and statistics. Runs until it is terminated."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--shard", default="1/1", metavar="N/OF", help="observe one part of the nodes, such as 2/4 (default: 1/1)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        shard = parse_shard(options["shard"])
        name = "collector" if shard.count == 1 else f"collector.{shard}"
        runner = Runner(sources(shard), name)

        def end(_number: int, _frame: FrameType | None) -> None:
            runner.stop()

        signal.signal(signal.SIGTERM, end)
        signal.signal(signal.SIGINT, end)
        try:
            runner.run()
        finally:
            registry.drop_all()


def parse_shard(text: str) -> Shard:
    """ "2/4" → Shard(2, 4). Raises CommandError."""
    match = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", text)
    if match is None or int(match[1]) > int(match[2]):
        raise CommandError(f"--shard {text!r} is not of the form N/OF with N at most OF, such as 2/4.")
    return Shard(int(match[1]), int(match[2]))
