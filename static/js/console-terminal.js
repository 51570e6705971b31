// A text console: xterm.js, its flow control, and what it knows of its place in the console's output.

import { saveAs, textOf } from "./console-files.js";
import { silence } from "./console-answers.js";

const { Terminal, FitAddon } = window;
const ACK_BYTES = 64 << 10; // Mooring sends at most four times as much ahead of what is shown
const SIZE_KEY = "mooring-console-terminal";
const COLUMNS = 80; // what a guest takes a serial line to be that has not been told
const ROWS = 24;
const FONT = 13; // px
const encoder = new TextEncoder();
const SHOWN = { background: "#0b0d10", foreground: "#d6dbe0", cursor: "#d6dbe0" };

export class TerminalFace {
  /** `target` holds the terminal, `size` tells columns and rows; onPaste(text) is asked about text of several lines. */
  constructor({ stage, target, size, onPaste, onSelection }) {
    Object.assign(this, { stage, target, size, onPaste });
    this.moved = "The output";
    this.channel = null;
    this.line = null;
    this.place = 0; // bytes of the line's output received
    this.answers = false;
    this.fit = localStorage.getItem(SIZE_KEY) === "fit";
    this.terminal = new Terminal({
      fontFamily: '"JetBrains Mono Variable", monospace', fontSize: FONT, scrollback: 5000, theme: SHOWN, cols: COLUMNS, rows: ROWS,
    });
    this.fitting = new FitAddon.FitAddon();
    this.terminal.loadAddon(this.fitting);
    this.terminal.open(target);
    this.terminal.textarea.setAttribute("aria-label", stage.dataset.label);
    this.terminal.onData((data) => this.type(encoder.encode(data)));
    this.terminal.onBinary((data) => this.type(Uint8Array.from(data, (character) => character.charCodeAt(0))));
    this.terminal.onSelectionChange(() => onSelection(this.terminal.getSelection()));
    this.terminal.onResize(() => this.tellSize());
    this.terminal.attachCustomKeyEventHandler((event) => this.ownKey(event));
    target.addEventListener("paste", (event) => this.pasting(event), true);
    silence(this.terminal, () => !this.answers || this.replaying > 0);
    new ResizeObserver(() => this.setFit(this.fit)).observe(stage);
  }

  wishes() { return this.line ? { line: this.line, offset: this.place } : {}; }

  describe(name) { return `${this.stage.dataset.device} of ${name}`; }

  async attach(channel, ready) {
    this.channel = channel;
    if (ready.line === this.line && ready.offset !== this.place) this.terminal.reset();
    this.line = ready.line;
    this.place = ready.offset;
    this.received = this.shown = this.told = 0;
    this.replaying = ready.replay;
    this.answers = ready.answers;
    channel.onnote = (note) => this.note(note);
    channel.onmessage = ({ data }) => this.show(new Uint8Array(data), channel);
    channel.flush();
    this.setFit(this.fit);
    if (document.activeElement === document.body) this.terminal.focus();
  }

  freeze() { this.channel = null; }

  show(data, channel) {
    this.place += data.length;
    this.terminal.write(data, () => {
      this.replaying = Math.max(0, this.replaying - data.length);
      if (this.channel !== channel) return;
      this.shown += data.length;
      if (this.shown - this.told < ACK_BYTES) return;
      this.told = this.shown;
      channel.say({ type: "ack", bytes: this.shown });
    });
  }

  note({ type, bytes, you }) {
    if (type === "answers") this.answers = you;
    if (type !== "skipped") return;
    this.place += bytes;
    this.terminal.reset();
    this.terminal.write(`\x1b[2m[${bytes.toLocaleString("en")} bytes left out: this browser was too slow for them]\x1b[0m\r\n`);
  }

  type(data) {
    for (let at = 0; at < data.length; at += 16_384) this.channel?.send(data.subarray(at, at + 16_384));
  }

  /** Ctrl+C and Ctrl+V belong to the guest; with Shift they are this computer's. False: not for the guest. */
  ownKey(event) {
    if (!event.ctrlKey || !event.shiftKey || event.altKey) return true;
    if (event.code === "KeyV") return false; // the browser pastes
    if (event.code !== "KeyC" || !this.terminal.hasSelection()) return true;
    event.preventDefault();
    if (event.type === "keydown") navigator.clipboard.writeText(this.terminal.getSelection());
    return false;
  }

  /** Text of several lines is asked about first: a shell would run each line at once. */
  pasting(event) {
    const text = event.clipboardData?.getData("text/plain") ?? "";
    event.preventDefault();
    event.stopImmediatePropagation();
    if (/[\r\n]/.test(text)) this.onPaste(text);
    else if (text) this.paste(text);
  }

  /** Paste as a terminal does, in brackets when the guest's program asks for them; control characters stay behind. */
  paste(text) {
    // eslint-disable-next-line no-control-regex
    const clean = text.replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g, "");
    if (!clean || !this.channel) return;
    this.channel.say({ type: "sent", what: "paste", characters: [...clean].length });
    this.terminal.paste(clean);
  }

  setFit(fit) {
    this.fit = fit;
    localStorage.setItem(SIZE_KEY, fit ? "fit" : "standard");
    this.terminal.options.fontSize = fit ? FONT : this.filling();
    if (fit) this.fitting.fit();
    else this.terminal.resize(COLUMNS, ROWS);
    this.tellSize();
  }

  /** The font size in px at which 80 × 24 characters fill the stage; a character is 0.6 wide and 1.32 high. */
  filling() {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(20, Math.max(10, Math.floor(Math.min((clientWidth - 40) / COLUMNS / 0.6, (clientHeight - 20) / ROWS / 1.32))));
  }

  tellSize() { this.size.textContent = `${this.terminal.cols} × ${this.terminal.rows} characters`; }

  /** A serial line carries no size: type the command that tells the guest. */
  tellGuest() {
    const { cols: columns, rows } = this.terminal;
    this.channel?.say({ type: "sent", what: "size", columns, rows });
    this.type(encoder.encode(`stty rows ${rows} cols ${columns}\r`));
  }

  focus() { this.terminal.focus(); }

  blur() { this.terminal.blur(); }

  save(name) {
    saveAs(new Blob([textOf(this.terminal.buffer.active)], { type: "text/plain" }), name, "txt");
  }
}
