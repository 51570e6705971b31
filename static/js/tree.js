// The Infrastructure tree: branches, the filter, and what the other modules do with its rows.
import { note } from "./notes.js";
import { followInventory } from "./tree-changes.js";
import { enableTreeKeys } from "./tree-keys.js";
import { enableRowMenu, opensMenuBy } from "./tree-menu.js";
import { choosesBy, enableChoice } from "./tree-select.js";
import { fold, forget, query, remember, topRow, tree } from "./tree-state.js";
import { followView, onSettle, read, rove } from "./tree-window.js";

const FILTER_DELAY_MS = 200;
const filter = document.getElementById("tree-filter");
let before = null; // the place before the filter

function failed() {
  note("warn", "The tree did not load.", "Mooring did not answer. Try again when the page is live.");
}

/** Open or close the branch of a node's row. */
async function toggle(item, open) {
  const undo = fold(item.dataset.key.split(":")[1], open);
  try {
    await read();
  } catch {
    undo();
    failed();
  }
}

async function applyFilter() {
  forget();
  if (query()) before ??= topRow();
  const top = query() ? 0 : (before ?? topRow());
  if (!query()) before = null;
  await read({ top });
}

function filterNow() {
  applyFilter().catch(failed);
}

function enableFilter() {
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(filterNow, FILTER_DELAY_MS);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && filter.value) {
      filter.value = "";
      event.preventDefault();
      filterNow();
    } else if (event.key === "ArrowDown") {
      tree.querySelector('[tabindex="0"]')?.focus();
      event.preventDefault();
    }
  });
  // A browser that goes back fills the field in again.
  if (query()) filterNow();
}

if (tree) {
  enableTreeKeys(tree, {
    toggle,
    failed,
    extra: (event, item) => choosesBy(event, item, failed) || opensMenuBy(event, item, failed),
  });
  enableChoice(failed);
  enableRowMenu(tree, failed);
  enableFilter();
  followView(failed);
  followInventory(read);
  onSettle(() => {
    document.getElementById("tree-foot").textContent = tree.dataset.footer;
  });
  tree.addEventListener("click", (event) => {
    const arrow = event.target.closest(".tw");
    if (!arrow) return;
    event.preventDefault(); // the form it belongs to is for pages without script
    toggle(tree.querySelector(`#t-node-${arrow.value}`), arrow.name === "open");
  });
  rove();
  addEventListener("pagehide", remember);
}
