// Keys of an ARIA tree: the arrows, Home and End move, Enter follows the row's link, letters go to the next row of
// that name. Rows are numbered, so that the keys reach beyond the window.
import { goesOn } from "./shortcuts.js";
import { rowOf, total } from "./tree-state.js";
import { focusRow, lastRow, read, rowOnTheWay } from "./tree-window.js";

const TYPED_MS = 700; // later letters begin anew
const ASK_MS = 120;
const level = (item) => Number(item.getAttribute("aria-level"));
let typed = "";
let typedAt = 0;
let asking = 0;

function target(item, row, key) {
  if (key === "ArrowDown") return row + 1;
  if (key === "ArrowUp") return row - 1;
  if (key === "Home") return 0;
  if (key === "End") return total() - 1;
  if (key === "ArrowRight") return item?.getAttribute("aria-expanded") && item.dataset.holds !== "0" ? row + 1 : row;
  // ArrowLeft: the VEs of a node follow it, numbered from 1; all nodes are below the root.
  return item && level(item) === 3 ? row - Number(item.getAttribute("aria-posinset")) : 0;
}

// A letter that is a shortcut begins no name, unless it is typed as a capital; within a name every letter counts.
function types({ key, shiftKey }) {
  if (key.length !== 1 || goesOn()) return false;
  if (performance.now() - typedAt < TYPED_MS) return true;
  return /[\p{L}\p{N}]/u.test(key) && (shiftKey || !"ftgx".includes(key));
}

function type(key, row) {
  const fresh = performance.now() - typedAt >= TYPED_MS;
  typed = (fresh ? "" : typed) + key;
  typedAt = performance.now();
  clearTimeout(asking);
  asking = setTimeout(async () => {
    const tree = document.getElementById("tree");
    await read({ find: typed, after: row + (typed.length === 1 ? 1 : 0) });
    if (tree.dataset.found !== undefined) await focusRow(Number(tree.dataset.found));
  }, ASK_MS);
}

/** Wire the keys; `toggle(item, open)` opens and closes a branch, `extra(event, item)` may take a key first. */
export function enableTreeKeys(tree, { toggle, extra, failed }) {
  tree.addEventListener("keydown", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const row = rowOnTheWay() ?? (item ? rowOf(item) : lastRow());
    const state = item?.getAttribute("aria-expanded");
    const folds = item && item.dataset.key !== "root";
    if (types(event)) type(event.key, row);
    else if (item && extra(event, item)) typed = "";
    else if (folds && event.key === "ArrowRight" && state === "false") toggle(item, true);
    else if (folds && event.key === "ArrowLeft" && state === "true") toggle(item, false);
    else if (!item && /^(Arrow(Left|Right)|Enter)$/.test(event.key)) focusRow(row).catch(failed); // out of view: shown first
    else if (/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key)) focusRow(target(item, row, event.key)).catch(failed);
    else if (event.key === " " && item) item.click();
    else return;
    event.preventDefault();
  });
}
