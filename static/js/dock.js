// The dock: collapsed or expanded, remembered. The live socket replaces its content; the state stands on <html>.
import "./elapsed.js";
import "./zone.js";
import { refresh } from "./refresh.js";

const KEY = "mooring.dock";
const SCROLLED = 40; // px: from here on new rows of a list wait behind "3 new, show"
const root = document.documentElement;

function remembered() {
  try {
    return localStorage.getItem(KEY) === "open";
  } catch {
    return false;
  }
}

function show(open) {
  root.toggleAttribute("data-dock-open", open);
  document.querySelector("[data-dock-toggle]")?.setAttribute("aria-expanded", String(open));
  const list = document.getElementById("dock-list");
  if (list) list.hidden = !open;
}

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-dock-toggle]")) return;
  const open = !root.hasAttribute("data-dock-open");
  show(open);
  try {
    localStorage.setItem(KEY, open ? "open" : "");
  } catch {
    // Without storage the dock is collapsed on the next page.
  }
});

function refreshLists() {
  for (const region of document.querySelectorAll('[data-refresh~="tasks"]')) refresh(region);
}

document.addEventListener("mooring:tasks", () => {
  show(root.hasAttribute("data-dock-open"));
  refreshLists();
});
// What this page asked for itself is shown at once, also while it is not live.
document.addEventListener("mooring:task-changed", refreshLists);

document.addEventListener("htmx:configRequest", (event) => {
  const region = event.detail.elt;
  if (region.id !== "task-table" || document.getElementById("main").scrollTop < SCROLLED) return;
  const shown = [...region.querySelectorAll("tr[id^=task-][data-state]")].map((row) => Number(row.id.slice(5)));
  if (shown.length) event.detail.headers["Mooring-Known"] = String(Math.max(...shown));
});

show(remembered());
