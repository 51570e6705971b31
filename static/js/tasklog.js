// The task page: Follow, the raw log, and copying. The rows come by the live socket, which puts them in place itself.
import { subscribeFollow } from "./tasklog-follow.js";
import { showRaw, wholeLog } from "./tasklog-raw.js";

subscribeFollow();

async function copied(button, text) {
  const label = button.querySelector("span");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(await text);
    label.textContent = "Copied";
  } catch {
    label.textContent = "Not copied: the browser refused";
  }
  setTimeout(() => (label.textContent = before), 2000);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-copy-link]");
  if (link) copied(link, new URL(link.dataset.copyLink, location.href).href);
  const log = event.target.closest("[data-log-copy]");
  if (log) copied(log, wholeLog());
  const view = event.target.closest("[data-log-view]");
  if (!view) return;
  for (const button of document.querySelectorAll("[data-log-view]")) {
    button.setAttribute("aria-pressed", String(button === view));
  }
  const raw = view.dataset.logView === "raw";
  document.getElementById("log-view-steps").hidden = raw;
  showRaw(raw);
});
