import { note } from "./notes.js";

// Regions that show the inventory: <section data-refresh="inventory" data-refresh-ids="node:3 ve:7" hx-get="…">; those
// of the storage and of tasks, data-refresh="storage tasks", follow every change.
// At the first change a region is fetched at once, then at most twice a second, and morphed.
const PAUSE_MS = 500;
const last = new WeakMap();
const waiting = new WeakSet();
const gone = new Set();

/** What the page is about, "ve:7"; undefined on a list. */
const subject = () => document.querySelector("[data-subject]")?.dataset.subject;

function concerns(region, { nodes = [], ves = [], removed = [], all = false }) {
  const wanted = region.dataset.refreshIds?.trim();
  if (!wanted || all) return true;
  const changed = new Set([...nodes.map((id) => `node:${id}`), ...ves.map((id) => `ve:${id}`), ...removed]);
  return wanted.split(/\s+/).some((id) => changed.has(id));
}

function fetchNow(region) {
  waiting.delete(region);
  if (!region.isConnected || gone.has(subject())) return;
  last.set(region, performance.now());
  window.htmx.trigger(region, "mooring:refresh");
}

/** Fetch a region again, now or as soon as its turn comes. */
export function refresh(region) {
  if (waiting.has(region)) return;
  const due = (last.get(region) ?? -PAUSE_MS) + PAUSE_MS - performance.now();
  if (due <= 0) {
    fetchNow(region);
    return;
  }
  waiting.add(region);
  setTimeout(() => fetchNow(region), due);
}

/** Keep the page of an object that was removed as it was last, and say so unless the page is left at once. */
function tellGone(id, words = "is no longer in the inventory.") {
  if (subject() === id && !gone.has(id)) {
    const name = document.querySelector("#page-title h1")?.textContent ?? document.title;
    setTimeout(() => {
      if (subject() === id) note("warn", `${name} ${words}`, "This page shows its last state.", null, true);
    }, 1000);
  }
  gone.add(id);
}

document.addEventListener("mooring:inventory", (event) => {
  const data = event.detail.data ?? {};
  for (const id of data.removed ?? []) tellGone(id);
  for (const region of document.querySelectorAll('[data-refresh~="inventory"]')) {
    if (concerns(region, data)) refresh(region);
  }
});

// A region may be fetched before the message of the removal has come, or when it was missed. What a control inside a
// region asks for is another object's.
document.addEventListener("htmx:responseError", (event) => {
  const isRegion = event.target.matches?.("[data-refresh], [data-refresh-every]");
  if (event.detail.xhr.status !== 404 || !isRegion || !subject()) return;
  tellGone(subject(), "is no longer in the inventory, or not shown to your role.");
});

for (const topic of ["tasks", "storage", "iscsi"]) {
  document.addEventListener(`mooring:${topic}`, () => {
    for (const region of document.querySelectorAll(`[data-refresh~="${topic}"]`)) refresh(region);
  });
}

// Figures age and graphs grow although nothing "changed": every 5 s, while the page is looked at.
setInterval(() => {
  if (document.hidden) return;
  for (const region of document.querySelectorAll("[data-refresh-every]")) refresh(region);
}, 5000);
