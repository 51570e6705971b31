// Keyboard shortcuts. None acts while a field or the console has the focus, and none changes anything.
import { openDialog } from "./dialogs.js";

const SEQUENCE_MS = 1200;
let pressedG = 0;

const typing = (target) =>
  target.closest?.("input, select, textarea, [contenteditable], canvas, [data-keyboard]") !== null;

const go = (key) => document.querySelector(`a[data-shortcut="g ${key}"]`)?.click();

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (typing(event.target) || document.querySelector("dialog:modal, .menu:popover-open")) return;
  if (Date.now() - pressedG < SEQUENCE_MS) {
    pressedG = 0;
    if (event.key === "i" || event.key === "t") {
      go(event.key);
      event.preventDefault();
      return;
    }
  }
  if (event.key === "g") pressedG = Date.now();
  else if (event.key === "?") openDialog("shortcuts");
  else if (event.key === "f") document.getElementById("tree-filter")?.focus();
  else if (event.key === "t") document.querySelector("[data-dock-toggle]")?.click();
  else return;
  event.preventDefault();
});
