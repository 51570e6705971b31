// Times in the browser's zone: <time datetime> shows "22:32:27" today and "Nov 30, 19:02" this year, its title the full
// date with the zone; <time data-age> shows how long ago that was and counts on. Whatever changes the page, an observer
// formats new times before they are painted.

let skew = 0; // milliseconds that the server's clock is ahead of this one

const clock = new Intl.DateTimeFormat("en-US", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat("en-US", { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const year = new Intl.DateTimeFormat("en-US", { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const full = new Intl.DateTimeFormat("en-US", { dateStyle: "full", timeStyle: "long", hourCycle: "h23" });

/** "22:32:27" */
export const clockTime = (at) => clock.format(at);

/** The short form that fits the distance to now. */
export function shortTime(at, now = serverNow()) {
  if (at.toDateString() === now.toDateString()) return clock.format(at);
  return (at.getFullYear() === now.getFullYear() ? day : year).format(at);
}

/** "2 s ago", "3 min ago", "4 h ago", "41 d ago" */
export function age(at, now = serverNow()) {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** Now by the server's clock, as far as the live socket has told it. */
export const serverNow = () => new Date(Date.now() + skew);

/** Learn the server's clock from a time it has just sent; the smallest lead seen is the least delayed message. */
export function learnClock(iso) {
  const lead = Date.parse(iso) - Date.now();
  if (Number.isFinite(lead)) skew = Math.abs(lead) < 1500 ? 0 : lead;
}

function show(element) {
  const at = new Date(element.dateTime);
  if (!element.dateTime || Number.isNaN(at.getTime())) return;
  const text = element.hasAttribute("data-age") ? age(at) : shortTime(at);
  if (element.textContent !== text) element.textContent = text;
  const title = full.format(at);
  if (element.title !== title) element.title = title;
}

/** Format the times below a node, and the node itself. */
export function formatTimes(root = document) {
  if (root.matches?.("time[datetime]")) show(root);
  for (const element of root.querySelectorAll("time[datetime]")) show(element);
}

function onMutations(records) {
  for (const record of records) {
    for (const node of record.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) formatTimes(node);
    const near = record.target.nodeType === Node.ELEMENT_NODE ? record.target : record.target.parentElement;
    const time = near?.closest("time[datetime]");
    if (time) show(time);
  }
}

formatTimes();
new MutationObserver(onMutations).observe(document.body, {
  childList: true, subtree: true, characterData: true, attributes: true, attributeFilter: ["datetime"],
});
setInterval(() => {
  if (document.hidden) return;
  for (const element of document.querySelectorAll("time[data-age]")) show(element);
}, 1000);
// A time of yesterday must not go on looking like one of today.
document.addEventListener("visibilitychange", () => { if (!document.hidden) formatTimes(); });
setInterval(() => { if (!document.hidden) formatTimes(); }, 60_000);
