// Keeps a console connected: follows the VE to another node, waits for one that is stopped, gives up after a minute.

import RFB from "../vendor/novnc/core/rfb.js";
import { Refused, fetchTicket, openChannel } from "./console-channel.js";

const GIVE_UP_MS = 60_000;
const PAUSES = [0, 150, 300, 600, 1_000, 1_500, 2_000];
const FINAL = new Set([4401, 4403, 4405]);
const NOT_RUNNING = 4404;
const AT_REST = new Set(["stopped", "crashed", "missing"]);
const RFB_MS = 15_000;

export class ConsoleLink {
  /**
   * `form` asks for tickets, `target` holds the screen, `veState()` is the VE's state as the page knows it.
   * Told: onConnecting(), onConnected(rfb, {node, warning, from, stoodStill}), onEnding(), onAtRest(), onFailed(reason).
   */
  constructor({ form, target, veState, ...told }) {
    Object.assign(this, { form, target, veState }, told);
    this.node = null;
    this.rfb = null;
    this.turn = 0; // of the loop: an older one ends when a newer one starts
    this.wake = () => {};
  }

  /** Connect now, whatever went on before. */
  start({ again = false } = {}) {
    this.turn += 1;
    this.rfb?.disconnect();
    this.rfb = null;
    this.wake();
    this.run(this.turn, again);
  }

  /** Something about the VE changed: look again at once. */
  nudge() {
    this.wake();
  }

  async run(turn, again) {
    const current = () => turn === this.turn;
    let attempt = { since: Date.now(), count: 0, ended: null, asked: again };
    this.onConnecting(again);
    while (current()) {
      try {
        if (AT_REST.has(this.veState()) && !attempt.ended && !attempt.asked) throw new Refused(NOT_RUNNING, "");
        const closed = await this.connect(current, attempt.ended);
        if (!current()) return;
        if (FINAL.has(closed.code)) throw new Refused(closed.code, closed.reason);
        attempt = { since: Date.now(), count: 0, ended: new Date() };
        this.onConnecting(true);
      } catch (error) {
        if (!current()) return;
        if (!(error instanceof Refused)) throw error;
        if (error.code === NOT_RUNNING && AT_REST.has(this.veState())) {
          await this.rest(current);
          attempt = { since: Date.now(), count: 0, ended: null };
          continue;
        }
        if (FINAL.has(error.code) || Date.now() - attempt.since > GIVE_UP_MS) {
          this.onFailed(error.message);
          return;
        }
      }
      attempt.count += 1;
      await this.pause(PAUSES[Math.min(attempt.count, PAUSES.length) - 1] * (0.8 + Math.random() * 0.4));
    }
  }

  /** Wait until the VE is no longer stopped. */
  async rest(current) {
    this.onAtRest();
    while (current() && AT_REST.has(this.veState())) await this.pause(3_600_000); // until nudged
    if (current()) this.onConnecting(false);
  }

  pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.wake = () => { clearTimeout(timer); done(); };
    });
  }

  /** Connect once; resolves to the close event of a console that was open. Rejects with Refused when none opened. */
  async connect(current, ended) {
    const ticket = await fetchTicket(this.form);
    let over;
    const closed = new Promise((resolve) => { over = resolve; });
    const { socket, node, warning } = await openChannel(ticket, (event) => {
      if (this.rfb && current()) this.onEnding(this.rfb);
      over(event);
    });
    if (!current()) {
      socket.close();
      return closed;
    }
    const rfb = new RFB(this.target, socket, { shared: true });
    await opened(rfb, closed);
    this.rfb = rfb;
    const from = this.node && this.node !== node ? this.node : null;
    this.node = node;
    this.onConnected(rfb, { node, warning, from, ended, stoodStill: ended ? Date.now() - ended : 0 });
    const event = await closed;
    if (this.rfb === rfb) this.rfb = null;
    return event;
  }
}

/** Wait until RFB's own handshake is through. */
function opened(rfb, closed) {
  return new Promise((resolve, reject) => {
    let settled = false;
    const fail = (code, reason) => {
      if (settled) return;
      settled = true;
      reject(new Refused(code, reason));
      rfb.disconnect();
    };
    setTimeout(() => fail(0, "The display does not answer"), RFB_MS);
    rfb.addEventListener("connect", () => { settled = true; resolve(); }, { once: true });
    rfb.addEventListener("credentialsrequired", () => fail(4405, "The display asks for a VNC password. Remove it from "
      + "the VE's definition: Mooring reaches displays on a socket and checks rights by itself."));
    rfb.addEventListener("securityfailure", () => fail(4405, "The display refused every way to sign in."));
    closed.then((event) => fail(event.code, event.reason || "The display closed the connection"));
  });
}
