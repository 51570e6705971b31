// The websocket of the page: connects, reconnects with growing pauses, and notices a connection that went silent.

const FIRST_PAUSE = 200; // ms
const LONGEST_PAUSE = 5_000;
const SILENCE = 6_000; // the server beats every 2 s: after this the connection is dead, whatever the browser thinks
const TRY_FOR = 8_000; // a handshake that takes longer is given up

export class LiveSocket {
  /** `onOpen()` re-subscribes; `onMessage(message)`; `onRefused(code, reason)`: the server does not want us back. */
  constructor(url, { onOpen, onMessage, onRefused }) {
    Object.assign(this, { url, onOpen, onMessage, onRefused });
    this.started = Date.now();
    this.heard = 0;
    this.failures = 0;
    this.connect();
    setInterval(() => this.check(), 1000);
    addEventListener("online", () => this.again(0));
    addEventListener("pagehide", () => { this.away = true; this.socket?.close(); });
    addEventListener("pageshow", (event) => { if (event.persisted) { this.away = false; this.again(0); } });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.check(); });
  }

  get open() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.open) this.socket.send(JSON.stringify(message));
  }

  connect() {
    clearTimeout(this.timer);
    this.timer = null;
    this.tried = Date.now();
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => { if (socket === this.socket) this.onOpen(); };
    socket.onmessage = (event) => {
      if (socket !== this.socket) return;
      this.heard = Date.now();
      this.failures = 0;
      this.onMessage(JSON.parse(event.data));
    };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (event.code === 4401 || event.code === 4403) this.refused(event);
      else this.again();
    };
  }

  refused(event) {
    this.away = true;
    this.onRefused(event.code, event.reason);
  }

  /** Connect again after a pause that grows with each failure, spread so that a restart is not met by all at once. */
  again(pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures) * (0.5 + Math.random() / 2)) {
    if (this.away || this.open) return;
    clearTimeout(this.timer);
    this.failures = Math.min(this.failures + 1, 10);
    this.timer = setTimeout(() => this.connect(), pause);
  }

  /** Give up a connection that says nothing, or a handshake that takes too long. */
  check() {
    if (this.away) return;
    const last = Math.max(this.heard, this.tried);
    const dead = this.socket && Date.now() - last > (this.open ? SILENCE : TRY_FOR);
    if (dead) {
      const socket = this.socket;
      this.socket = null;
      socket.close();
      this.again();
    } else if (!this.socket && !this.timer) {
      this.again(0);
    }
  }
}
