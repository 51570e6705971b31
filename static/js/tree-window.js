// The rows that are in the page: those in view and 20 beyond either edge.
import { morphHtml } from "./morph.js";
import { ROW, asked, inView, itemAt, items, query, rowOf, topRow, total, tree } from "./tree-state.js";

const BEYOND = 20;
const MARGIN = 8; // rows left beyond an edge when more are fetched
const PAUSE_MS = 60;
const TIMEOUT_MS = 30_000;
const settled = []; // what is done after each change of the rows
let running = null; // the promise of the request under way
let queued = null; // what is asked for after it
let goal = null; // the row that is to have the focus as soon as it is here
let lastItem = null; // {id, row} of the row that had the focus last: it may be out of the window

export const onSettle = (action) => settled.push(action);

/** The row that keys start from when that is not the focused one: it is on its way, or out of the window. */
export const rowOnTheWay = () => goal;
export const lastRow = () => lastItem?.row ?? 0;

/**
 * Read the window again and put it in place; `top` scrolls to a row, else the rows in view stay where they are. One
 * request at a time; those that come meanwhile are answered by one more. Throws when the server did not answer.
 */
export function read(wanted = {}) {
  if (!running) return start(wanted);
  queued ??= { wanted: {}, done: running.catch(() => {}).then(() => start(queued.wanted)) };
  const { top = queued.wanted.top } = wanted;
  Object.assign(queued.wanted, wanted, { top });
  return queued.done;
}

function start(wanted) {
  queued = null;
  running = fetchRows(wanted).finally(() => { running = null; });
  return running;
}

async function fetchRows({ top = null, ...more }) {
  const first = Math.max(0, (top ?? topRow()) - BEYOND);
  const parameters = { ...asked(), first, rows: inView() + 2 * BEYOND, ...more };
  if (top === null) parameters.mark = tree.dataset.mark;
  tree.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(`${tree.dataset.url}?${new URLSearchParams(parameters)}`, {
      headers: { "HX-Request": "true" },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (answer.headers.get("HX-Refresh")) location.reload(); // signed out
    if (!answer.ok) throw new Error(`the tree was answered ${answer.status}`);
    const html = await answer.text();
    if (goal === null && losesFocus(first, parameters.rows)) return fetchRows(more);
    if (answer.status !== 204 && parameters.q === query()) place(html, top);
  } finally {
    tree.removeAttribute("aria-busy");
  }
}

/** Whether the row in view that has the focus now is not among those asked for: keys have moved on meanwhile. */
function losesFocus(first, rows) {
  const item = document.activeElement?.closest('#tree [role="treeitem"]');
  const row = item ? rowOf(item) : -1;
  return row >= topRow() && row < topRow() + inView() && (row < first || row >= first + rows);
}

function place(html, top) {
  const scroll = tree.scrollTop;
  const holder = document.activeElement;
  // The tree itself has it in place of a row that left the window.
  const focused = holder === tree ? lastItem?.id : tree.contains(holder) && holder.id;
  // By their ids: morphing may make another row of an element.
  const anchor = items().find(({ offsetTop }) => offsetTop >= scroll && offsetTop < scroll + tree.clientHeight);
  const [anchorId, before] = [anchor?.id, anchor?.offsetTop];
  morphHtml(tree, html);
  const after = anchorId && document.getElementById(anchorId)?.offsetTop;
  if (top !== null) tree.scrollTop = top * ROW;
  else if (after && after !== before) tree.scrollTop = scroll + after - before;
  else if (tree.scrollTop !== scroll) tree.scrollTop = scroll;
  for (const action of settled) action();
  rove();
  // A row that was moved lost the focus. When it left the window the tree keeps it: the next key goes on from there.
  if (focused && document.activeElement?.id !== focused) {
    (document.getElementById(focused) ?? tree).focus({ preventScroll: true });
  }
}

/** Put exactly one row into the tab order: the given one, the focused one, the current one or the first in view. */
export function rove(item = null) {
  const all = items();
  const chosen =
    item ??
    all.find((candidate) => candidate === document.activeElement || candidate.id === lastItem?.id) ??
    all.find((candidate) => candidate.hasAttribute("aria-current")) ??
    itemAt(topRow()) ??
    all[0];
  for (const candidate of all) candidate.tabIndex = candidate === chosen ? 0 : -1;
  if (chosen && lastItem?.id === chosen.id) lastItem.row = Number(chosen.dataset.row);
}

/** Give the focus to a row, wherever it is. */
export async function focusRow(row) {
  const wanted = Math.max(0, Math.min(row, total() - 1));
  goal = wanted;
  try {
    if (!itemAt(wanted)) await read({ top: Math.max(0, wanted - Math.floor(inView() / 2)) });
  } catch (error) {
    goal = null;
    throw error;
  }
  if (goal !== wanted) return; // a later key
  goal = null;
  const item = itemAt(wanted);
  item?.focus({ preventScroll: true });
  item?.scrollIntoView({ block: "nearest" });
}

/** Follow the scrolling and the size of the tree; `failed` is told when rows could not be had. */
export function followView(failed) {
  let waiting = 0;
  let reading = false;
  const lacks = () => {
    const first = topRow();
    const { first: from, end, total: all } = tree.dataset;
    return (first - MARGIN < from && from > 0) || (first + inView() + MARGIN > end && Number(end) < all);
  };
  async function look() {
    waiting = 0;
    if (reading || goal !== null || !lacks()) return;
    reading = true;
    try {
      await read();
    } catch {
      failed();
    }
    reading = false;
    if (lacks()) waiting ||= setTimeout(look, PAUSE_MS);
  }
  const soon = () => { waiting ||= setTimeout(look, PAUSE_MS); };
  tree.addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(tree);
  tree.addEventListener("focusin", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (!item) return;
    lastItem = { id: item.id, row: Number(item.dataset.row) };
    tree.tabIndex = -1;
    rove(item);
  });
}
