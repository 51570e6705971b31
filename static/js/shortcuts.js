// Keyboard shortcuts. None acts while a field or the console has the focus, and none changes anything. What the page
// does not have is not listed: places are the links that name their keys, the rest says what it needs (data-works).
import { openDialog } from "./dialogs.js";

const SEQUENCE_MS = 1200;
let pressedG = -SEQUENCE_MS;

/** Whether the next key belongs to a "g" that was just pressed. */
export const goesOn = () => performance.now() - pressedG < SEQUENCE_MS;

const typing = (target) =>
  target.closest?.("input:not([type=checkbox], [type=radio]), select, textarea, [contenteditable], canvas, [data-keyboard]") !== null;

const places = () => [...document.querySelectorAll("a[data-shortcut^='g ']")];

function list() {
  const dialog = document.getElementById("shortcuts");
  const content = dialog.querySelector("template");
  if (content) content.replaceWith(content.content.cloneNode(true)); // few pages ever show it
  const rows = places().map((link) => {
    const row = document.createElement("div");
    const words = document.createElement("span");
    words.textContent = link.dataset.shortcutName ?? link.textContent.trim();
    const keys = document.createElement("span");
    for (const key of link.dataset.shortcut.split(" ")) {
      if (keys.childNodes.length) keys.append(" ");
      keys.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    }
    row.append(words, keys);
    return row;
  });
  dialog.querySelector("[data-places]").replaceChildren(...rows);
  for (const part of dialog.querySelectorAll("[data-works]")) part.hidden = !document.querySelector(part.dataset.works);
}

function press(event) {
  if (goesOn()) {
    pressedG = -SEQUENCE_MS;
    const link = places().find((place) => place.dataset.shortcut === `g ${event.key}`);
    if (link) return link.click() ?? true;
  }
  if (event.key === "g") pressedG = performance.now();
  else if (event.key === "?") document.getElementById("shortcuts") && (list(), openDialog("shortcuts"));
  else if (event.key === "/") return focusField("search");
  else if (event.key === "f") return focusField("tree-filter");
  else if (event.key === "t") document.querySelector("[data-dock-toggle]")?.click();
  else return false;
  return true;
}

function focusField(id) {
  const field = document.getElementById(id);
  field?.focus();
  field?.select();
  return Boolean(field);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
  if (typing(event.target) || document.querySelector("dialog:modal, .menu:popover-open")) return;
  if (press(event)) event.preventDefault();
});

// The list is also opened by its button.
document.addEventListener("click", (event) => {
  if (event.target.closest?.('[data-dialog="shortcuts"]')) list();
}, true);
