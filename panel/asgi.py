"""The web process's application: pages over HTTP, the live socket and the console over websockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
_http = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402

from panel.accounts.checks import safe_to_listen  # noqa: E402
from panel.accounts.sessions import keep_flushing  # noqa: E402
from panel.live.warm import compile_templates  # noqa: E402
from panel.routing import websocket  # noqa: E402
from tasks import registry  # noqa: E402

# An ASGI server runs no system checks, and these must not be skipped.
if _unsafe := safe_to_listen(None):
    raise ImproperlyConfigured(" ".join(f"{error.msg} {error.hint}" for error in _unsafe))

# Otherwise the first page of each process pays for it, and the first line of a running task comes late.
compile_templates()
registry.autodiscover()

application = ProtocolTypeRouter({"http": _http, "websocket": websocket})
keep_flushing()
