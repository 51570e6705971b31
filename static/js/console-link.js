// Keeps a console connected: follows the VE to another node, waits for one that is stopped, gives up after a minute.

import { Refused, fetchTicket, openChannel } from "./console-channel.js";

const GIVE_UP_MS = 60_000;
const PAUSES = [0, 150, 300, 600, 1_000, 1_500, 2_000];
const BUSY = 4409;
const FINAL = new Set([4401, 4403, 4405, BUSY]);
const NOT_RUNNING = 4404;
const AT_REST = new Set(["stopped", "crashed", "missing"]);

export class ConsoleLink {
  /**
   * `form` asks for tickets, `veState()` is the VE's state as the page knows it. `face` shows the console:
   * wishes() → what else the first message carries, attach(channel, ready, closed) → when it is usable, freeze().
   * Told: onConnecting(), onConnected({node, warning, session, from, ended, stoodStill}), onAtRest(), onFailed(reason, busy).
   */
  constructor({ form, face, veState, ...told }) {
    Object.assign(this, { form, face, veState }, told);
    this.node = null;
    this.channel = null;
    this.opening = null;
    this.turn = 0; // of the loop: an older one ends when a newer one starts
    this.wake = () => {};
  }

  /** Connect now, whatever went on before; `force` takes the console from another program. */
  start({ again = false, force = false } = {}) {
    this.turn += 1;
    this.channel?.close();
    this.channel = null;
    this.opening?.close(); // its handshake may still be under way
    this.wake();
    this.run(this.turn, again, force);
  }

  /** Something about the VE changed: look again at once. */
  nudge() {
    this.wake();
  }

  async run(turn, again, force) {
    const current = () => turn === this.turn;
    let attempt = { since: Date.now(), count: 0, ended: null, asked: again };
    this.onConnecting(again);
    while (current()) {
      try {
        if (AT_REST.has(this.veState()) && !attempt.ended && !attempt.asked) throw new Refused(NOT_RUNNING, "");
        const closed = await this.connect(current, attempt.ended, force);
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
          this.onFailed(error.message, error.code === BUSY);
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
  async connect(current, ended, force) {
    const ticket = await fetchTicket(this.form);
    let over;
    const closed = new Promise((resolve) => { over = resolve; });
    const { channel, ready } = await openChannel({ ...ticket, ...this.face.wishes(), force }, (event) => {
      if (this.channel === channel && current()) this.face.freeze();
      over(event);
    });
    if (!current()) {
      channel.close();
      return closed;
    }
    this.opening = channel;
    await this.face.attach(channel, ready, closed);
    if (!current()) return closed;
    this.opening = null;
    this.channel = channel;
    const from = this.node && this.node !== ready.node ? this.node : null;
    this.node = ready.node;
    this.onConnected({ ...ready, from, ended, stoodStill: ended ? Date.now() - ended : 0 });
    const event = await closed;
    if (this.channel === channel) this.channel = null;
    return event;
  }
}
