"""Settings of the tests: the panel's own, with a var folder, a key and a channel layer that need nothing running."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.instances import SUFFIX

os.environ.setdefault("MOORING_VAR", str(Path(tempfile.gettempdir()) / f"mooring-test-{os.getuid()}{SUFFIX}"))
os.environ.setdefault("MOORING_SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ.setdefault("MOORING_STATIC_FROM_SOURCE", "1")

from panel.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CELERY_BROKER_URL = "memory://"

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, as in production: threads that share SQLite's in-memory database lock each other out.
    _test_database = tempfile.mkdtemp(prefix="mooring-test-db-")
    atexit.register(shutil.rmtree, _test_database, ignore_errors=True)
    DATABASES["default"]["TEST"] = {"NAME": str(Path(_test_database) / "db.sqlite3")}  # noqa: F405
