"""The browser's side of a console's connection, run by Node: a page has one console at a time."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
const sockets = [];
globalThis.location = { protocol: "https:", host: "panel.example" };
globalThis.FormData = class {};
globalThis.fetch = async () => ({ ok: true, json: async () => ({ ticket: "t", ve: 7, kind: "screen" }) });
globalThis.WebSocket = class extends EventTarget {
  static OPEN = 1;
  readyState = 1;
  constructor() {
    super();
    sockets.push(this);
    setTimeout(() => { this.onopen(); this.onmessage({ data: '{"type": "ready", "node": "primary"}' }); });
  }
  send() {}
  close() {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code: 1000, reason: "" }));
  }
};
const { ConsoleLink } = await import("file://%s/static/js/console-link.js");
const { Refused } = await import("file://%s/static/js/console-channel.js");
const later = () => new Promise((done) => { setTimeout(done, 30); });
let usable = () => {};
const face = {
  wishes: () => ({}),
  freeze() {},
  attach: (channel, ready, closed) => new Promise((resolve, reject) => {
    usable = resolve;
    closed.then(({ code, reason }) => reject(new Refused(code, reason)));
  }),
};
const connected = [];
const link = new ConsoleLink({
  form: { action: "/ticket" }, face, veState: () => "running",
  onConnecting() {}, onAtRest() {}, onFailed() {}, onConnected: ({ node }) => connected.push(node),
});
link.start();
await later();
link.start({ again: true });
await later();
usable();
await later();
console.log(JSON.stringify({ open: sockets.map(({ readyState }) => readyState === 1), connected }));
process.exit(0);
"""


def test_reconnecting_during_a_handshake_leaves_no_second_console_open() -> None:
    command = ["node", "--input-type=module", "-e", SCRIPT % (ROOT, ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(done.stdout) == {"open": [False, True], "connected": ["primary"]}
