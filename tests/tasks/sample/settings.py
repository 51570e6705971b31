"""Settings of the worker and the keeper that the tests start: the panel's own and the sample jobs."""

from panel.settings import *  # noqa: F403

INSTALLED_APPS = [*INSTALLED_APPS, "tests.tasks.sample"]  # noqa: F405
