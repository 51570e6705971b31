// Short notes at the lower right: what was started, what was refused and why, what did not reach the server.
const box = document.getElementById("notes");
const ICONS = { ok: "circle-check", info: "info-circle", warn: "alert-triangle", crit: "alert-octagon" };
const SHOWN_MS = { ok: 6000, info: 6000, warn: 15000, crit: 20000 };

/** Show a note: tone ok, info, warn or crit; what happened; what to do; a link {href, label}; whether it stays. */
export function note(tone, text, advice = "", link = null, stays = false) {
  const element = document.createElement("div");
  element.className = `note ${tone}`;
  const icon = document.createElement("i");
  icon.className = `ti ti-${ICONS[tone] ?? ICONS.info}`;
  icon.setAttribute("aria-hidden", "true");
  const words = document.createElement("span");
  words.append(Object.assign(document.createElement("b"), { textContent: text }));
  if (advice) words.append(" ", advice);
  if (link) words.append(" ", Object.assign(document.createElement("a"), { href: link.href, textContent: link.label }));
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn btn-q btn-s btn-i";
  close.setAttribute("aria-label", "Close this note");
  close.append(Object.assign(document.createElement("i"), { className: "ti ti-x" }));
  close.addEventListener("click", () => element.remove());
  element.append(icon, words, close);
  box.append(element);
  if (!stays) setTimeout(() => element.remove(), SHOWN_MS[tone] ?? SHOWN_MS.info);
}

document.addEventListener("mooring:task-started", (event) => {
  const { title, url } = event.detail;
  note("info", `${title}: started.`, "", url ? { href: url, label: "Show the log" } : null);
});

document.addEventListener("mooring:note", (event) => {
  const { tone, text, advice, url, label } = event.detail;
  note(tone, text, advice, url ? { href: url, label } : null);
});

const isAction = (event) => event.detail.requestConfig?.verb !== "get" || event.detail.elt?.closest("#modal");

document.addEventListener("htmx:responseError", (event) => {
  const { status } = event.detail.xhr;
  if (status === 401 || !isAction(event)) return;
  if (status === 503 && event.detail.xhr.getResponseHeader("HX-Trigger")) return; // it brought its own note
  if (status === 403) note("crit", "Your role does not allow this.", "Ask an administrator for a role that does.");
  else if (status === 404) note("crit", "The object is gone.", "Reload the page to see what is there now.");
  else note("crit", `Mooring answered with an error (${status}).`, "System health names the part that fails.");
});

document.addEventListener("htmx:sendError", (event) => {
  if (isAction(event)) note("crit", "Mooring did not answer.", "Nothing was started. Try again when the page is live.");
});
document.addEventListener("htmx:timeout", (event) => {
  if (isAction(event)) note("warn", "Mooring did not answer in 30 s.", "The Task Log shows whether it was started.");
});
