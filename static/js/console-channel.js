// One try to reach a console: a fresh ticket by POST, then the websocket that shows it and becomes the console's channel.

const TICKET_MS = 10_000;
const HANDSHAKE_MS = 15_000;

/** Why a console could not be opened, in words for the user; `code` as in the websocket's close codes. */
export class Refused extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
  }
}

/** Ask for a ticket: {ticket, ve, kind}. */
export async function fetchTicket(form) {
  let answer;
  try {
    answer = await fetch(form.action, {
      method: "POST", body: new FormData(form), redirect: "manual", signal: AbortSignal.timeout(TICKET_MS),
    });
  } catch {
    throw new Refused(0, "Mooring does not answer");
  }
  if (answer.ok) return answer.json();
  if (answer.type === "opaqueredirect") throw new Refused(4401, "You are signed out. Reload the page to sign in.");
  if (answer.status === 403) throw new Refused(4403, "Your role does not allow this console. Ask an administrator.");
  if (answer.status === 404) throw new Refused(4403, "This VE is no longer there.");
  throw new Refused(0, `Mooring answered with an error (${answer.status})`);
}

/** The console's bytes as a channel that noVNC takes for a websocket; notes go beside them as text. */
export class Channel {
  constructor(socket) {
    Object.assign(this, { socket, onopen: null, onmessage: null, onerror: null, onclose: null, onnote: () => {} });
    this.pings = new Map();
    this.frames = 0; // requests for the next picture that noVNC has made
    this.early = [];
    socket.onmessage = ({ data }) => this.receive(data);
    socket.onerror = (event) => this.onerror?.(event);
    socket.addEventListener("close", (event) => this.onclose?.(event));
  }

  get readyState() { return this.socket.readyState; }
  get protocol() { return this.socket.protocol; }
  get binaryType() { return this.socket.binaryType; }
  set binaryType(type) { this.socket.binaryType = type; }

  receive(data) {
    if (typeof data !== "string") {
      if (this.onmessage) this.onmessage({ data });
      else this.early.push(data);
      return;
    }
    const note = JSON.parse(data);
    if (note.type === "pong") this.pings.get(note.n)?.();
    else this.onnote(note);
  }

  /** Take what came before there was somebody to take it. */
  flush() {
    for (const data of this.early.splice(0)) this.onmessage({ data });
  }

  send(data) {
    if (data[0] === 3 && data.length === 10) this.frames += 1; // RFB: FramebufferUpdateRequest
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(data);
  }

  /** Send a note; what a button sends is audited by its note, which goes first. */
  say(note) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(note));
  }

  /** Milliseconds to Mooring and back. */
  roundTrip() {
    const n = Math.round(performance.now());
    const begun = performance.now();
    this.say({ type: "ping", n });
    return new Promise((resolve) => {
      this.pings.set(n, () => { this.pings.delete(n); resolve(performance.now() - begun); });
    });
  }

  close() { this.socket.close(); }
}

/** Open the websocket and show the ticket. Resolves to {channel, ready}: the console's bytes begin with the next message. */
export function openChannel(ticket, onClose) {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/console/`;
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, "binary");
    socket.binaryType = "arraybuffer";
    const timer = setTimeout(() => { socket.close(); reject(new Refused(0, "The console did not answer")); }, HANDSHAKE_MS);
    let opened = false;
    socket.onopen = () => socket.send(JSON.stringify(ticket));
    socket.onmessage = ({ data }) => {
      clearTimeout(timer);
      const message = JSON.parse(data);
      if (message.type !== "ready") {
        reject(new Refused(message.code, message.reason));
        return;
      }
      opened = true;
      resolve({ channel: new Channel(socket), ready: message });
    };
    // Registered before noVNC's own handler, so that the picture and the focus are still there when it is called.
    socket.addEventListener("close", (event) => {
      clearTimeout(timer);
      if (opened) onClose(event);
      else reject(new Refused(event.code, event.reason || "Mooring does not answer"));
    });
  });
}
