// The menu of a row: the actions of its node or VE, by the right mouse button, Shift F10 or a full stop.
import { openMenu } from "./menus.js";

const menu = document.getElementById("row-menu");

/** What the menu opens beside: the pointer, or the row. The row keeps its own state: it is no menu button. */
const beside = (item, point) => ({
  getBoundingClientRect: () => (point ? new DOMRect(point.x, point.y, 0, 0) : item.getBoundingClientRect()),
  setAttribute: () => {},
  focus: () => item.focus(),
});

/** Fetch and open the menu of a row; false when it has none. */
export async function openRowMenu(item, point = null) {
  const answer = await fetch(item.dataset.menu, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(`the menu was answered ${answer.status}`);
  menu.innerHTML = await answer.text();
  window.htmx.process(menu);
  openMenu(menu, beside(item, point));
}

const isMenuKey = ({ key, shiftKey }) => key === "ContextMenu" || (shiftKey && key === "F10") || key === ".";

/** Take a key that opens the menu. */
export function opensMenuBy(event, item, failed) {
  if (!isMenuKey(event) || !item.dataset.menu) return false;
  openRowMenu(item).catch(failed);
  return true;
}

/** Wire the right mouse button. */
export function enableRowMenu(tree, failed) {
  tree.addEventListener("contextmenu", (event) => {
    const item = event.target.closest('[role="treeitem"]');
    if (!item?.dataset.menu) return;
    event.preventDefault();
    item.focus({ preventScroll: true });
    openRowMenu(item, { x: event.clientX, y: event.clientY }).catch(failed);
  });
}
