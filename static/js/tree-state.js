// What the user made of the tree: open branches, the filter, the place. A cookie takes it to the next page, whose
// server then sends the right rows at once.
export const ROW = 26; // px, as navigation.css has it
const OPEN_AT_MOST = 200;
export const tree = document.getElementById("tree");
const filter = document.getElementById("tree-filter");

const opened = new Set(tree?.dataset.opened.split(".").filter(Boolean)); // ids of nodes
const closed = new Set(); // under a filter all that matches is open, but these

export const query = () => filter.value.trim();
export const topRow = () => Math.floor(tree.scrollTop / ROW);
export const inView = () => Math.max(1, Math.ceil(tree.clientHeight / ROW));
export const total = () => Number(tree.dataset.total);
export const rowOf = (item) => Number(item.dataset.row);
export const itemAt = (row) => tree.querySelector(`[data-row="${row}"]`);
export const items = () => [...tree.querySelectorAll('[role="treeitem"]')];
export const forget = () => closed.clear();

/** The parameters of a request for rows. */
export const asked = () => ({
  selected: tree.dataset.selected,
  open: [...opened].join(","),
  closed: [...closed].join(","),
  q: query(),
});

/** Say that a node is open, or closed; returns what undoes it. */
export function fold(node, open) {
  const set = query() ? closed : opened;
  const add = query() ? !open : open;
  const change = (adding) => (adding ? set.add(node) : set.delete(node));
  change(add);
  remember();
  return () => {
    change(!add);
    remember();
  };
}

/** Keep the open nodes, the newest first, and the place. */
export function remember() {
  const nodes = [...opened].toReversed().slice(0, OPEN_AT_MOST).join(".");
  const place = query() ? 0 : topRow();
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const life = "Path=/; Max-Age=31536000; SameSite=Lax";
  document.cookie = `${tree.dataset.cookie}=${nodes}_${place}.${inView()}; ${life}${secure}`;
}
