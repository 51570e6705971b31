// Lists: what is empty or the default does not go into the address; the column chooser; reading a list again.
import { refresh } from "./refresh.js";

const GAP = 4;

document.addEventListener("htmx:configRequest", (event) => {
  const form = event.detail.elt.closest("form[data-clean]");
  if (!form) return;
  for (const [name, value] of [...event.detail.formData.entries()]) {
    const field = form.elements.namedItem(name);
    if (value === "" || value === field?.dataset?.default) event.detail.formData.delete(name);
  }
});

// The chooser is a native popover below its button; a menu it is not, so Tab walks through its boxes.
function place(popup, button) {
  const anchor = button.getBoundingClientRect();
  const { width } = popup.getBoundingClientRect();
  const top = anchor.bottom + GAP;
  popup.style.left = `${Math.max(GAP, Math.min(anchor.right - width, innerWidth - width - GAP))}px`;
  popup.style.top = `${top}px`;
  popup.style.maxHeight = `${innerHeight - top - GAP}px`;
}

document.addEventListener(
  "toggle",
  (event) => {
    const popup = event.target;
    if (!(popup instanceof HTMLElement) || !popup.matches(".popup")) return;
    const button = document.querySelector(`[popovertarget="${CSS.escape(popup.id)}"]`);
    button?.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState !== "open" || !button) return;
    place(popup, button);
    popup.querySelector("input:not(:disabled):not([type=hidden])")?.focus();
  },
  true,
);

// Something that the server keeps about a list was changed: columns, a saved view.
document.addEventListener("mooring:list", (event) => {
  const region = document.getElementById(event.detail.region);
  if (region) refresh(region);
});
