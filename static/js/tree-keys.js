// Keys of an ARIA tree: one row is in the tab order, the arrows, Home and End move, Enter follows the row's link.
const rows = (tree) => [...tree.querySelectorAll('[role="treeitem"]')].filter((item) => item.offsetParent !== null);
const level = (item) => Number(item.getAttribute("aria-level"));

/** Put exactly one row into the tab order: the given one, the focused one, the current one or the first. */
export function rove(tree, item = null) {
  const all = rows(tree);
  const chosen =
    item ??
    all.find((candidate) => candidate === document.activeElement) ??
    all.find((candidate) => candidate.getAttribute("aria-selected") === "true") ??
    all[0];
  for (const candidate of all) candidate.tabIndex = candidate === chosen ? 0 : -1;
}

function target(tree, item, key) {
  const all = rows(tree);
  const at = all.indexOf(item);
  if (key === "ArrowDown") return all[at + 1];
  if (key === "ArrowUp") return all[at - 1];
  if (key === "Home") return all[0];
  if (key === "End") return all[all.length - 1];
  if (key === "ArrowRight") return level(all[at + 1] ?? item) > level(item) ? all[at + 1] : undefined;
  return all.slice(0, at).findLast((candidate) => level(candidate) < level(item)); // ArrowLeft
}

/** Wire the keys; `toggle(item, open)` opens and closes a branch. */
export function enableTreeKeys(tree, toggle) {
  tree.addEventListener("focusin", (event) => {
    if (event.target.matches('[role="treeitem"]')) rove(tree, event.target);
  });
  tree.addEventListener("keydown", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (!item || event.ctrlKey || event.metaKey || event.altKey) return;
    const state = item.getAttribute("aria-expanded");
    if (event.key === " ") item.click();
    else if (event.key === "ArrowRight" && state === "false") toggle(item, true);
    else if (event.key === "ArrowLeft" && state === "true") toggle(item, false);
    else if (/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key)) target(tree, item, event.key)?.focus();
    else return;
    event.preventDefault();
  });
}
