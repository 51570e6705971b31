"""The websockets of consoles.

The browser's first message is its ticket, {"ticket", "ve": 7, "kind": "screen" | "text"}; it is never in a URL. A text
console adds "force" (take it over from another program) and, on a reconnect, "line" and "offset" as it last knew them.
The server answers {"type": "refused", "code", "reason"} or {"type": "ready", "session", "node", "warning", …}; then
binary messages are the console's bytes both ways: RFB of a screen, terminal input and output of a text console.

Text messages go beside them:
    browser: {"type": "ping", "n"} · {"type": "ack", "bytes"}: what a terminal has shown so far ·
             {"type": "sent", "what": "keys" | "paste" | "clipboard" | "size", …}: audited before what follows goes on
    server:  {"type": "pong", "n"} · {"type": "skipped", "bytes"} · {"type": "answers", "you"} (text consoles only)
"""

from infrastructure.consumers.socket import ConsoleSocket

__all__ = ["ConsoleSocket"]
