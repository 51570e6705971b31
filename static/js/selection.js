// Rows that are selected: kept over sort, page, live refresh and reload, for each list of each page in this tab.
import { morphHtml } from "./morph.js";

const PAUSE_MS = 120;
const states = new Map(); // section id → {ids: Map(id → name), found: the filters, when all they find is meant}

const storeKey = (section) => `mooring-selected ${location.pathname} ${section.id}`;
const sections = () => [...document.querySelectorAll("[data-select-page]")].map((box) => box.closest("section"));
const boxesOf = (section) => [...section.querySelectorAll("input[data-select]")];
const barOf = (section) => section.querySelector("[data-bulk]");

function load(section) {
  try {
    const kept = JSON.parse(sessionStorage.getItem(storeKey(section)) ?? "{}");
    return { ids: new Map(kept.ids ?? []), found: kept.found ?? null };
  } catch {
    return { ids: new Map(), found: null };
  }
}

function stateOf(section) {
  if (!states.has(section.id)) states.set(section.id, load(section));
  return states.get(section.id);
}

/** What the server is asked about: ids, or the filters that find them. */
function query(section) {
  const { ids, found } = stateOf(section);
  const { bulk } = barOf(section).dataset;
  if (found === null) return new URLSearchParams({ [bulk]: [...ids.keys()].join(",") });
  return new URLSearchParams({ found, scope: section.querySelector("[data-select-page]").dataset.scope });
}

const timers = new WeakMap();

async function fillBar(section) {
  const bar = barOf(section);
  const asked = query(section);
  asked.set("of", bar.dataset.bulk);
  const answer = await fetch(`${bar.dataset.url}?${asked}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok || bar.hidden) return;
  morphHtml(bar.querySelector("[data-bulk-actions]"), await answer.text(), "innerHTML");
  const gone = bar.querySelector("[data-gone]")?.dataset.gone.split(" ").filter(Boolean) ?? [];
  if (gone.length) change(section, ({ ids }) => gone.forEach((id) => ids.delete(id)));
}

/** Show the state of a list: boxes, rows, bar. */
function show(section) {
  const state = stateOf(section);
  const all = section.querySelector("[data-select-page]");
  if (state.found !== null && state.found !== all.dataset.query) state.found = null; // another filter, other rows
  const boxes = boxesOf(section);
  for (const box of boxes) {
    box.checked = state.found !== null || state.ids.has(box.dataset.select);
    box.closest("tr").setAttribute("aria-selected", String(box.checked));
  }
  const checked = boxes.filter((box) => box.checked).length;
  all.checked = checked > 0 && checked === boxes.length;
  all.indeterminate = checked > 0 && checked < boxes.length;
  const total = Number(all.dataset.total);
  const count = state.found === null ? state.ids.size : total;
  const bar = barOf(section);
  bar.hidden = count === 0;
  if (!count) return;
  const away = state.found === null ? count - checked : 0;
  const words = `${count.toLocaleString("en")} selected${away ? `, ${away.toLocaleString("en")} not on this page` : ""}`;
  const counter = bar.querySelector("[data-selected-count]");
  if (counter.textContent !== words) counter.textContent = words;
  const more = bar.querySelector("[data-select-found]");
  more.hidden = !(all.checked && state.found === null && total > boxes.length);
  more.textContent = `Select all ${total.toLocaleString("en")} found`;
  clearTimeout(timers.get(bar));
  timers.set(bar, setTimeout(() => fillBar(section), PAUSE_MS));
}

function change(section, how) {
  const state = stateOf(section);
  how(state);
  sessionStorage.setItem(storeKey(section), JSON.stringify({ ids: [...state.ids], found: state.found }));
  show(section);
}

const nameOf = (box) => box.getAttribute("aria-label").replace(/^Select /, "");

function explicit(section, state) {
  if (state.found === null) return;
  state.found = null;
  for (const box of boxesOf(section)) state.ids.set(box.dataset.select, nameOf(box));
}

function setBoxes(section, boxes, on) {
  change(section, (state) => {
    explicit(section, state);
    for (const box of boxes) on ? state.ids.set(box.dataset.select, nameOf(box)) : state.ids.delete(box.dataset.select);
  });
}

/** Forget the selection of a list. */
export function clearSelection(section) {
  change(section, (state) => Object.assign(state, { ids: new Map(), found: null }));
}

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches?.("input[data-select]")) setBoxes(box.closest("section"), [box], box.checked);
  else if (box.matches?.("[data-select-page]")) setBoxes(box.closest("section"), boxesOf(box.closest("section")), box.checked);
});

// The boxes stand in the filters' form, which answers to input.
const quiet = (event) => event.target.matches?.("[data-select], [data-select-page]") && event.stopPropagation();
document.addEventListener("input", quiet, true);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-bulk] button");
  const section = button?.closest("section");
  if (!section) return;
  if ("selectNone" in button.dataset) clearSelection(section);
  else if ("selectFound" in button.dataset) {
    const { query: found } = section.querySelector("[data-select-page]").dataset;
    change(section, (state) => Object.assign(state, { found, ids: new Map() }));
  } else if (button.dataset.bulkAction) {
    const url = `${button.dataset.bulkAction}&${query(section)}`;
    window.htmx.ajax("GET", url, { source: button, target: "#modal", swap: "innerHTML" });
  }
});

document.addEventListener("keydown", (event) => {
  // A menu that Escape has just closed took the key.
  if (event.key !== "Escape" || event.defaultPrevented || document.querySelector("dialog:modal, :popover-open")) return;
  if (event.target.closest?.("input:not([type=checkbox]), select, textarea, [data-keyboard]")) return;
  for (const section of sections()) if (!barOf(section).hidden) clearSelection(section);
});

document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.id !== "bulk-form" || event.detail.requestConfig?.verb !== "post") return;
  if (event.detail.xhr.status === 204) sections().forEach(clearSelection);
});

document.addEventListener("htmx:afterSwap", () => sections().forEach(show));
sections().forEach(show);
