// Says in every [data-live-status] element whether the page is live, and if not, how old its data is.

import { clockTime } from "./times.js";

export const RECONNECTING_AFTER = 3_000; // ms of silence
export const OFFLINE_AFTER = 30_000;

/** The state and its words for a socket that was last heard of at `heard` (ms, 0: never) and is not told to stay away. */
export function describe(heard, started, now = Date.now()) {
  const silence = now - (heard || started);
  const since = clockTime(new Date(heard || started));
  if (silence < RECONNECTING_AFTER) return heard ? ["live", "Live"] : ["connecting", "Connecting"];
  if (silence < OFFLINE_AFTER) return ["reconnecting", `Reconnecting, data is from ${since}`];
  return ["offline", `Offline since ${since}`];
}

/** Show the words; only a change is written, so that screen readers announce it once. */
export function showStatus(state, text) {
  for (const element of document.querySelectorAll("[data-live-status]")) {
    if (!element.hasAttribute("role")) element.setAttribute("role", "status");
    element.classList.add("live");
    element.classList.toggle("off", state !== "live" && state !== "connecting");
    if (element.dataset.state !== state) element.dataset.state = state;
    if (element.textContent !== text) element.textContent = text;
  }
}
