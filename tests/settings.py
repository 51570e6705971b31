"""Settings of the tests: the panel's own, with a var folder, a key and a channel layer that need nothing running."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("MOORING_VAR", str(Path(tempfile.gettempdir()) / f"mooring-test-{os.getuid()}"))
os.environ.setdefault("MOORING_SECRET_KEY", "only-for-tests-" + "x" * 50)
os.environ.setdefault("MOORING_STATIC_FROM_SOURCE", "1")

from panel.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
CELERY_BROKER_URL = "memory://"
