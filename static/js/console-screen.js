// The picture: keeps the last frame while the console reconnects, scales, saves a screenshot, fills the screen.

const SCALE_KEY = "mooring-console-scale";

export class ConsoleScreen {
  /** `stage` holds `target` (noVNC's screen) and `still` (a canvas for the last frame). */
  constructor({ stage, target, still, size }) {
    Object.assign(this, { stage, target, still, size });
    this.fit = localStorage.getItem(SCALE_KEY) !== "full";
    this.rfb = null;
    this.focused = false;
  }

  /** Show a connected console; it gets the keyboard if it had it, or if nothing else has. */
  attach(rfb) {
    this.rfb = rfb;
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

  /** Give the keyboard back to the page; the keys that led here must not stay pressed in the guest. */
  leave(next) {
    window.dispatchEvent(new Event("blur")); // noVNC releases all keys then
    this.rfb?.blur();
    next?.focus();
  }

  saveScreenshot(name) {
    this.rfb?.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${name} ${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    }, "image/png");
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.stage.closest("section").requestFullscreen().then(() => this.rfb?.focus());
  }
}
