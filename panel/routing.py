"""The websocket routes. Each handler declares its permission; a path without a route is refused."""

from typing import Any

from channels.routing import URLRouter
from django.urls import path

from infrastructure.consumers import ConsoleSocket
from panel.live.consumer import LiveSocket
from panel.live.wire import Receive, Send, Wire


class RefuseUnknown:
    """Answers a path without a route with 403; the router alone would fail with a traceback."""

    def __init__(self, inner: URLRouter) -> None:
        self.inner = inner

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        where = scope["path"].lstrip("/")
        if any(route.pattern.match(where) for route in self.inner.routes):
            await self.inner(scope, receive, send)
        else:
            await Wire(receive, send).refuse()


websocket = RefuseUnknown(
    URLRouter(
        [
            path("live/", LiveSocket()),  # type: ignore[arg-type]
            path("console/", ConsoleSocket()),  # type: ignore[arg-type]
        ]
    )
)
