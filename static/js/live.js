// The live part of a page. Elements say what they follow, <div data-topic="task:41" data-after="17">; the server's
// fragments are put in place, then a `mooring:<prefix>` event tells the page's scripts.

import { applyFragments } from "./live-fragments.js";
import { LiveSocket } from "./live-socket.js";
import { describe, showStatus } from "./live-status.js";
import { learnClock } from "./times.js";

const topics = new Map(); // topic → {after, handlers, inPage}
const denied = new Set();
const seen = new WeakMap(); // element → "topic after" when it was last looked at
let socket = null;
let refusal = null;
let scanning = false;

/** Follow a topic: `onUpdate({topic, rev, data, final})` after its fragments were applied. Returns how to stop. */
export function subscribe(topic, { after = 0, onUpdate = () => {} } = {}) {
  const followed = follow(topic, after);
  followed.handlers.add(onUpdate);
  return () => {
    followed.handlers.delete(onUpdate);
    drop(topic);
  };
}

/** "connecting", "live", "reconnecting", "offline" or "refused". */
export function connectionState() {
  return refusal ? "refused" : socket ? describe(socket.heard, socket.started)[0] : "connecting";
}

function follow(topic, after) {
  let followed = topics.get(topic);
  if (!followed) {
    followed = { after, handlers: new Set(), inPage: false };
    topics.set(topic, followed);
    ask(topic, followed);
    connect();
  } else if (after < followed.after) {
    // The page got content that is older than what this socket has delivered: have the difference again.
    followed.after = after;
    ask(topic, followed);
  }
  return followed;
}

function ask(topic, followed) {
  socket?.send({ type: "subscribe", topic, after: followed.after });
}

function drop(topic) {
  const followed = topics.get(topic);
  if (!followed || followed.inPage || followed.handlers.size) return;
  topics.delete(topic);
  socket?.send({ type: "unsubscribe", topic });
}

function connect() {
  if (socket || refusal) return;
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live/`;
  socket = new LiveSocket(url, { onOpen, onMessage, onRefused });
}

function onOpen() {
  for (const [topic, followed] of topics) ask(topic, followed);
  socket.send({ type: "ping" }); // topics without news do not answer: the beat says that the page is live
}

function onRefused(code, reason) {
  refusal = code === 4401 ? "Signed out. Reload the page to sign in" : reason || "No access to live data";
  tell();
}

function onMessage(message) {
  if (message.type === "beat") learnClock(message.at);
  if (message.type === "update") update(message);
  if (message.type === "denied") {
    topics.delete(message.topic);
    denied.add(message.topic);
    document.dispatchEvent(new CustomEvent("mooring:denied", { detail: message }));
  }
  tell();
}

function update({ topic, rev, html, data, final }) {
  const followed = topics.get(topic);
  if (!followed) return; // unsubscribed meanwhile
  followed.after = rev;
  if (html) applyFragments(html);
  const detail = { topic, rev, data, final };
  for (const handler of followed.handlers) handler(detail);
  document.dispatchEvent(new CustomEvent(`mooring:${topic.split(":")[0]}`, { detail }));
}

function tell() {
  showStatus(connectionState(), refusal ?? describe(socket.heard, socket.started)[1]);
}

/** Subscribe to what the page's elements follow now, and leave what they no longer do. */
function scan() {
  scanning = false;
  const present = new Set();
  for (const element of document.querySelectorAll("[data-topic]")) {
    const topic = element.dataset.topic;
    const after = Number(element.dataset.after || 0);
    present.add(topic);
    const mark = `${topic} ${after}`;
    // A denied topic is asked for again only by content that is new.
    if (seen.get(element) === mark && (topics.has(topic) || denied.has(topic))) continue;
    seen.set(element, mark);
    follow(topic, after).inPage = true;
  }
  for (const [topic, followed] of topics) {
    if (followed.inPage && !present.has(topic)) {
      followed.inPage = false;
      drop(topic);
    }
  }
}

function soon() {
  if (scanning) return;
  scanning = true;
  queueMicrotask(scan);
}

scan();
new MutationObserver(soon).observe(document.body, {
  childList: true, subtree: true, attributes: true, attributeFilter: ["data-topic", "data-after"],
});
setInterval(() => { if (socket) tell(); }, 1000);
