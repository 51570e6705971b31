// Menus are native popovers: light dismiss and Esc come with them. This places them and adds the arrow keys.
const GAP = 4;

function place(menu, button) {
  const anchor = button.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const end = menu.dataset.align === "end";
  const left = end ? anchor.right - width : anchor.left;
  const below = anchor.bottom + GAP;
  const top = below + height > innerHeight ? Math.max(GAP, anchor.top - GAP - height) : below;
  menu.style.left = `${Math.max(GAP, Math.min(left, innerWidth - width - GAP))}px`;
  menu.style.top = `${top}px`;
}

const items = (menu) => [...menu.querySelectorAll('[role="menuitem"]')];
let opener = null;

/** Open a popover menu beside its button, with the first item focused. */
export function openMenu(menu, button) {
  opener = button;
  if (!menu.matches(":popover-open")) menu.showPopover();
  place(menu, button);
  items(menu)[0]?.focus();
}

document.addEventListener(
  "toggle",
  (event) => {
    const menu = event.target;
    if (!(menu instanceof HTMLElement) || !menu.matches(".menu")) return;
    const button = menu.id && document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
    button?.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "open" && button) openMenu(menu, button);
    if (event.newState === "closed") opener?.setAttribute("aria-expanded", "false");
  },
  true,
);

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.(".menu");
  if (!menu) return;
  const list = items(menu);
  const index = list.indexOf(document.activeElement);
  const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: list.length - 1 }[event.key];
  if (next !== undefined && list.length) {
    list[(next + list.length) % list.length].focus();
    event.preventDefault();
  } else if (event.key === "Tab") {
    menu.hidePopover();
  } else if (event.key === "Escape") {
    menu.hidePopover();
    opener?.focus();
    event.preventDefault();
  }
});

// An item that cannot run stays visible with its reason; choosing it does nothing.
document.addEventListener(
  "click",
  (event) => {
    const item = event.target.closest?.('[aria-disabled="true"]');
    if (item) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else if (event.target.closest?.('.menu [role="menuitem"]')) {
      event.target.closest(".menu").hidePopover();
    }
  },
  true,
);

// A row's menu is fetched when it is asked for, into the one shared popover.
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id !== "row-menu") return;
  const button = event.detail.requestConfig?.elt;
  if (button) openMenu(event.target, button);
});
