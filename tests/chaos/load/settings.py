"""Settings of the panel under test: its own, and the kinds of task and the clock that only the faults need."""

from panel.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.chaos.load"]  # noqa: F405
