// VEs chosen in the tree for one action on all of them. The choice lives in this page; rows out of the window keep it.
import { count } from "./words.js";
import { asked, itemAt, items, rowOf, tree } from "./tree-state.js";
import { focusRow, onSettle } from "./tree-window.js";

const bar = document.getElementById("tree-bulk");
const chosen = new Set(); // ids of VEs
let from = null; // the row that a range begins at

const idOf = (item) => item?.dataset.key.match(/^ve:(\d+)$/)?.[1];

function show() {
  for (const item of items()) {
    const id = idOf(item);
    if (id) item.setAttribute("aria-selected", String(chosen.has(id)));
  }
  if (!bar) return;
  bar.hidden = chosen.size === 0;
  document.getElementById("tree-chosen").textContent = `${count(chosen.size, "VE")} selected`;
}

function flip(item) {
  const id = idOf(item);
  if (!id) return;
  if (!chosen.delete(id)) chosen.add(id);
  from = rowOf(item);
  show();
}

/** Choose no VE any more; false when none was. */
function clear() {
  const some = chosen.size > 0;
  chosen.clear();
  from = null;
  show();
  return some;
}

async function reach(row) {
  const [first, last] = [Math.min(from, row), Math.max(from, row)];
  let ids = [];
  for (let at = first; at <= last && ids; at += 1) {
    const item = itemAt(at);
    if (!item) ids = null;
    else if (idOf(item)) ids.push(idOf(item));
  }
  if (!ids) {
    const answer = await fetch(`${tree.dataset.vesUrl}?${new URLSearchParams({ ...asked(), first, last })}`);
    if (!answer.ok) throw new Error(`the tree was answered ${answer.status}`);
    ids = (await answer.json()).ves.map(String);
  }
  for (const id of ids) chosen.add(id);
  show();
}

/** Take a key that chooses: x and the space bar, Shift and an arrow, Esc. */
export function choosesBy(event, item, failed) {
  if (event.key === "Escape") return clear();
  if (!idOf(item)) return false;
  if (event.key === "x" || event.key === " ") {
    flip(item);
    return true;
  }
  if (!event.shiftKey || !/^Arrow(Up|Down)$/.test(event.key)) return false;
  from ??= rowOf(item);
  const row = rowOf(item) + (event.key === "ArrowDown" ? 1 : -1);
  focusRow(row).then(() => reach(row)).catch(failed);
  return true;
}

/** Wire the pointer and the bar of actions. */
export function enableChoice(failed) {
  onSettle(show);
  tree.addEventListener("mousedown", (event) => {
    if (event.shiftKey) event.preventDefault(); // no text is selected on the way
  });
  tree.addEventListener("click", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (!idOf(item) || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
    event.preventDefault();
    item.focus({ preventScroll: true });
    if (event.shiftKey && from !== null) reach(rowOf(item)).catch(failed);
    else flip(item);
  });
  bar?.addEventListener("htmx:configRequest", (event) => {
    event.detail.formData.append("ve", [...chosen].join(","));
  });
  bar?.querySelector("[data-tree-clear]").addEventListener("click", () => {
    clear();
    tree.querySelector('[tabindex="0"]')?.focus();
  });
  document.addEventListener("mooring:task-started", clear);
}
