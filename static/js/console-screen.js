// The screen of a VM: noVNC, the last frame while the console reconnects, scale, screenshot.

import RFB from "../vendor/novnc/core/rfb.js";
import { Refused } from "./console-channel.js";
import { saveAs } from "./console-files.js";

const SCALE_KEY = "mooring-console-scale";
const RFB_MS = 15_000;

export class ScreenFace {
  /** `stage` holds `target` (noVNC's screen) and `still` (a canvas for the last frame); `size` tells the resolution. */
  constructor({ stage, target, still, size, onClipboard }) {
    Object.assign(this, { stage, target, still, size, onClipboard });
    this.fit = localStorage.getItem(SCALE_KEY) !== "full";
    this.rfb = null;
    this.focused = false;
    this.moved = "The picture";
  }

  wishes() { return {}; }

  /** What it is connected to, for the strip. */
  describe(name) { return `QEMU (${name})`; }

  /** Speak RFB over the channel; resolves once noVNC's handshake is through. */
  async attach(channel, _ready, closed) {
    const rfb = new RFB(this.target, channel, { shared: true });
    channel.flush();
    await opened(rfb, closed);
    this.rfb = rfb;
    rfb.addEventListener("clipboard", ({ detail }) => this.onClipboard(detail.text));
    this.show(rfb);
  }

  /** It gets the keyboard if it had it, or if nothing else has. */
  show(rfb) {
    this.canvas = this.target.querySelector("canvas");
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-label", this.stage.dataset.label);
    this.setFit(this.fit);
    rfb.showDotCursor = true;
    rfb.background = "transparent";
    if (this.focused || document.activeElement === document.body) rfb.focus({ preventScroll: true });
    this.tellSize();
    this.sizes = new MutationObserver(() => this.tellSize());
    this.sizes.observe(this.canvas, { attributes: true, attributeFilter: ["width", "height"] });
    setTimeout(() => { if (this.rfb === rfb) this.still.hidden = true; }, 400); // the first frame is there by then
  }

  /** Keep what is shown now, before noVNC takes it away. */
  freeze() {
    const { canvas } = this;
    if (!this.rfb) return;
    this.focused = Boolean(canvas) && document.activeElement === canvas;
    this.sizes?.disconnect();
    this.rfb = null;
    if (!canvas?.width) return;
    this.still.width = canvas.width;
    this.still.height = canvas.height;
    this.still.style.width = canvas.style.width;
    this.still.style.height = canvas.style.height;
    this.still.getContext("2d").drawImage(canvas, 0, 0);
    this.still.hidden = false;
  }

  tellSize() {
    const { width, height } = this.canvas;
    if (width) this.size.textContent = `${width} × ${height}`;
  }

  setFit(fit) {
    this.fit = fit;
    localStorage.setItem(SCALE_KEY, fit ? "fit" : "full");
    if (this.rfb) this.rfb.scaleViewport = fit;
  }

  focus() { this.rfb?.focus(); }

  /** The keys that led out of the console must not stay pressed in the guest. */
  blur() {
    window.dispatchEvent(new Event("blur")); // noVNC releases all keys then
    this.rfb?.blur();
  }

  save(name) {
    this.rfb?.toBlob((blob) => saveAs(blob, name, "png"), "image/png");
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
