"""The web process never loads Ceph's libraries, whatever it imports for its pages, sockets and jobs."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
import panel.asgi
from django.urls import get_resolver
from tasks import registry
get_resolver().url_patterns
from storage.services import access, clusters
assert registry.get_job("storage.connect")
print(sorted({"rados", "rbd", "cephfs"} & sys.modules.keys()))
"""


def test_its_imports_do_not_load_librados() -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=root, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr
