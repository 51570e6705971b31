// The console page: toolbar, strip and notes around the screen.

import { sendCombination } from "./console-keys.js";
import { ConsoleLink } from "./console-link.js";
import { setUpPaste } from "./console-paste.js";
import { ConsoleScreen } from "./console-screen.js";
import { clockTime, serverNow } from "./times.js";

const $ = (id) => document.getElementById(id);
const stage = $("console-stage");
const { name } = stage.dataset;
const state = $("console-state");
const encrypted = location.protocol === "https:" ? "encrypted" : "not encrypted";
const screen = new ConsoleScreen({ stage, target: $("console-screen"), still: $("console-still"), size: $("console-size") });

function say(tone, icon, words) {
  state.className = `s b ${tone}`;
  state.firstElementChild.className = `ti ti-${icon}`;
  const text = state.lastElementChild;
  if (text.textContent !== words) text.textContent = words;
  for (const button of document.querySelectorAll("[data-console-needs]")) button.disabled = tone !== "ok";
}

function tellMove({ from, node, ended, stoodStill }) {
  const [fact, more] = $("console-migration").querySelectorAll("[data-text]");
  const at = clockTime(new Date(serverNow() - (Date.now() - ended)));
  fact.textContent = `${name} moved from ${from} to ${node} at ${at}.`;
  more.textContent = `The console followed. The picture stood still for ${(stoodStill / 1000).toFixed(1)} s.`;
  $("console-migration").hidden = false;
}

const link = new ConsoleLink({
  form: $("console-ticket"),
  target: $("console-screen"),
  veState: () => $("console-ve").dataset.state,
  onConnecting: (again) => say("", "loader-2", again ? `Reconnecting to ${name}` : `Connecting to ${name}`),
  onConnected: (rfb, news) => {
    screen.attach(rfb);
    say("ok", encrypted === "encrypted" ? "lock" : "lock-open", `Connected (${encrypted}) to QEMU (${name})`);
    stage.dataset.node = news.node;
    $("console-warning").hidden = !news.warning;
    $("console-warning").querySelector("[data-text]").textContent = news.warning;
    if (news.from) tellMove(news);
  },
  onEnding: () => screen.freeze(),
  onAtRest: () => say("", "plug-off", `${name} is ${$("console-ve").dataset.word}`),
  onFailed: (reason) => say("crit", "plug-x", reason),
});

const actions = {
  keys: (button) => { sendCombination(link.rfb, button.dataset.keys); link.rfb.focus(); },
  screenshot: () => screen.saveScreenshot(name),
  reconnect: () => { screen.freeze(); link.start({ again: true }); },
  fullscreen: () => screen.fullScreen(),
  window: (button) => window.open(button.dataset.url, `console-${stage.dataset.ve}`, "popup,width=1060,height=860"),
  fit: () => showScale(true),
  full: () => showScale(false),
  dismiss: (button) => { button.closest(".note").hidden = true; },
};

function showScale(fit) {
  screen.setFit(fit);
  for (const button of document.querySelectorAll('[data-console="fit"], [data-console="full"]')) {
    button.setAttribute("aria-pressed", String((button.dataset.console === "fit") === fit));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-console]");
  if (button && !button.disabled) actions[button.dataset.console]?.(button);
});

// Ctrl Alt ← leaves the console; it is caught before noVNC sends it to the guest.
stage.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey && event.altKey && event.code === "ArrowLeft")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  screen.leave(document.querySelector('[data-console="reconnect"]'));
}, true);

const showFocus = () => { $("console-focus").hidden = !stage.contains(document.activeElement); };
stage.addEventListener("focusin", showFocus);
stage.addEventListener("focusout", () => queueMicrotask(showFocus));

// The state of the VE arrives with the inventory, in the attributes of #console-ve.
new MutationObserver(() => link.nudge()).observe($("console-ve").parentElement, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"],
});

setUpPaste(() => link.rfb);
showScale(screen.fit);
link.start();
