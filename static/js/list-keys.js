// Lists by keyboard: j and k move along the rows, x selects one, "." opens its menu, Enter follows its name.
// The row that has the focus is the current one; without any, j begins at the first row and k at the last.

const FIELDS = "input:not([type=checkbox]), select, textarea, [contenteditable], canvas, [data-keyboard]";
const blocked = (event) =>
  event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.target.closest?.(FIELDS) ||
  document.querySelector("dialog:modal, :popover-open");

const rows = () => [...document.querySelectorAll("main table.tb tbody tr")].filter((row) => row.querySelector("a.nm"));
const current = () => document.activeElement?.closest?.("main table.tb tbody tr") ?? null;

function move(step) {
  const list = rows();
  if (!list.length) return;
  const place = list.indexOf(current());
  const next = place < 0 ? (step > 0 ? 0 : list.length - 1) : Math.min(list.length - 1, Math.max(0, place + step));
  list[next].querySelector("a.nm").focus();
  list[next].scrollIntoView({ block: "nearest" });
}

const ACTS = {
  j: () => move(1),
  k: () => move(-1),
  x: () => current()?.querySelector("input[data-select]")?.click(),
  ".": () => current()?.querySelector('[aria-haspopup="menu"]')?.click(),
};

document.addEventListener("keydown", (event) => {
  const act = ACTS[event.key];
  if (!act || blocked(event)) return;
  act();
  event.preventDefault();
});
