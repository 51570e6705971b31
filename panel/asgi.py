"""The web process's application: pages over HTTP, the live socket and the console over websockets."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
_http = get_asgi_application()

from channels.routing import ProtocolTypeRouter  # noqa: E402

from panel.routing import websocket  # noqa: E402

application = ProtocolTypeRouter({"http": _http, "websocket": websocket})
