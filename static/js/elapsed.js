// Durations of what still runs: <span data-elapsed="ISO time"> counts on from its beginning, "1 min 3 s".
import { serverNow } from "./times.js";

/** The two largest units that matter, as the server writes them. */
export function duration(seconds) {
  const left = Math.max(0, Math.floor(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return left % 60 ? `${Math.floor(left / 60)} min ${left % 60} s` : `${left / 60} min`;
  if (left < 86_400) {
    const minutes = Math.floor((left % 3600) / 60);
    return minutes ? `${Math.floor(left / 3600)} h ${minutes} min` : `${Math.floor(left / 3600)} h`;
  }
  const days = Math.floor(left / 86_400);
  const hours = Math.floor((left % 86_400) / 3600);
  return hours && days < 10 ? `${days} d ${hours} h` : `${days} d`;
}

setInterval(() => {
  if (document.hidden) return;
  const now = serverNow();
  for (const element of document.querySelectorAll("[data-elapsed]")) {
    const text = duration((now - new Date(element.dataset.elapsed)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}, 1000);
