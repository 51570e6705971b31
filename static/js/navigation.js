// The navigation groups below the tree. Which ones are open is remembered; the current page's group always is.
const KEY = "mooring.groups";

/** The groups kept open; none when what is kept cannot be read. */
function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept : [];
  } catch {
    return [];
  }
}

function set(button, open) {
  button.setAttribute("aria-expanded", String(open));
  document.getElementById(button.getAttribute("aria-controls")).hidden = !open;
}

for (const button of document.querySelectorAll(".nav-h[data-group]")) {
  if (read().includes(button.dataset.group)) set(button, true);
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    set(button, open);
    const others = read().filter((group) => group !== button.dataset.group);
    localStorage.setItem(KEY, JSON.stringify(open ? [...others, button.dataset.group] : others));
  });
}
