"""The websocket routes."""

from channels.routing import URLRouter

websocket = URLRouter([])
