// The console page: toolbar, strip and notes around the screen or terminal.

import { sendCombination } from "./console-keys.js";
import { ConsoleLink } from "./console-link.js";
import { followOthers } from "./console-others.js";
import { screenDelivery, setUpLayouts, setUpPaste } from "./console-paste.js";
import { showRates } from "./console-rates.js";
import { clockTime, serverNow } from "./times.js";

const $ = (id) => document.getElementById(id);
const stage = $("console-stage");
const { name, kind } = stage.dataset;
const state = $("console-state");
const encrypted = location.protocol === "https:" ? "encrypted" : "not encrypted";
let session = 0;
let copied = ""; // what Copy puts into this computer's clipboard

function offerCopy(text) {
  copied = text;
  $("console-copy").disabled = !text;
}

const parts = { stage, target: $("console-screen"), size: $("console-size") };
let offerPaste = () => {};
const face = kind === "text"
  ? new (await import("./console-terminal.js")).TerminalFace({ ...parts, onPaste: (text) => offerPaste(text), onSelection: offerCopy })
  : new (await import("./console-screen.js")).ScreenFace({ ...parts, still: $("console-still"), onClipboard: gotClipboard });

/** The guest has copied something: it has a clipboard, so text may be put into it as well. */
function gotClipboard(text) {
  offerCopy(text);
  $("console-clipboard").hidden = false;
}

function say(tone, icon, words) {
  state.className = `s b ${tone}`;
  state.firstElementChild.className = `ti ti-${icon}`;
  const text = state.lastElementChild;
  if (text.textContent !== words) text.textContent = words;
  for (const button of document.querySelectorAll("[data-console-needs]")) button.disabled = tone !== "ok";
  $("console-take").hidden = true;
}

function tellMove({ from, node, ended, stoodStill }) {
  const [fact, more] = $("console-migration").querySelectorAll("[data-text]");
  const at = clockTime(new Date(serverNow() - (Date.now() - ended)));
  fact.textContent = `${name} moved from ${from} to ${node} at ${at}.`;
  more.textContent = `The console followed. ${face.moved} stood still for ${(stoodStill / 1000).toFixed(1)} s.`;
  $("console-migration").hidden = false;
}

const link = new ConsoleLink({
  form: $("console-ticket"),
  face,
  veState: () => $("console-ve").dataset.state,
  onConnecting: (again) => say("", "loader-2", again ? `Reconnecting to ${name}` : `Connecting to ${name}`),
  onConnected: (news) => {
    say("ok", encrypted === "encrypted" ? "lock" : "lock-open", `Connected (${encrypted}) to ${face.describe(name)}`);
    stage.dataset.node = news.node;
    session = news.session;
    $("console-warning").hidden = !news.warning;
    $("console-warning").querySelector("[data-text]").textContent = news.warning;
    showOthers();
    if (news.from) tellMove(news);
  },
  onAtRest: () => say("", "plug-off", `${name} is ${$("console-ve").dataset.word}`),
  onFailed: (reason, busy) => {
    say("crit", "plug-x", reason);
    $("console-take").hidden = !busy;
  },
});

const showOthers = followOthers($("console-others"), stage.dataset.ve, () => session);
showRates({ rate: $("console-rate"), trip: $("console-trip"), channel: () => link.channel });
const layout = kind === "screen" ? setUpLayouts($("console-layout"), stage.dataset) : null;
offerPaste = setUpPaste({
  dialog: $("console-paste"),
  connected: () => link.channel,
  deliver: layout ? screenDelivery({ face, link, layout }) : async (text) => { face.paste(text); return true; },
  focus: () => face.focus(),
});

const actions = {
  keys: ({ dataset: { keys } }) => {
    link.channel.say({ type: "sent", what: "keys", keys });
    sendCombination(face.rfb, keys);
    face.focus();
  },
  screenshot: () => face.save(name),
  copy: async (button) => {
    await navigator.clipboard.writeText(copied);
    button.title = `Copied ${[...copied].length} characters`;
    face.focus();
  },
  tell: () => { face.tellGuest(); face.focus(); },
  reconnect: () => { face.freeze(); link.start({ again: true }); },
  take: () => link.start({ again: true, force: true }),
  fullscreen: () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else stage.closest("section").requestFullscreen().then(() => face.focus());
  },
  window: (button) => window.open(button.dataset.url, `console-${stage.dataset.ve}-${kind}`, "popup,width=1060,height=860"),
  fit: () => showScale(true),
  full: () => showScale(false),
  dismiss: (button) => { button.closest(".note").hidden = true; },
};

function showScale(fit) {
  face.setFit(fit);
  for (const button of document.querySelectorAll('[data-console="fit"], [data-console="full"]')) {
    button.setAttribute("aria-pressed", String((button.dataset.console === "fit") === fit));
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-console]");
  if (button && !button.disabled) actions[button.dataset.console]?.(button);
});

// Ctrl Alt ← leaves the console; it is caught before noVNC or the terminal sends it to the guest.
stage.addEventListener("keydown", (event) => {
  if (!(event.ctrlKey && event.altKey && event.code === "ArrowLeft")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  face.blur();
  document.querySelector('[data-console="reconnect"]').focus();
}, true);

const showFocus = () => { $("console-focus").hidden = !stage.contains(document.activeElement); };
stage.addEventListener("focusin", showFocus);
stage.addEventListener("focusout", () => queueMicrotask(showFocus));

// The state of the VE arrives with the inventory, in the attributes of #console-ve.
new MutationObserver(() => link.nudge()).observe($("console-ve").parentElement, {
  subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"],
});

showScale(face.fit);
link.start();
