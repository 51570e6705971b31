// The search of the top bar: its list opens below the field; the arrows choose, Enter opens, Esc closes. The focus
// stays in the field, which names the chosen row.
import { count } from "./words.js";

const field = document.getElementById("search");
const list = document.getElementById("search-results");
const scope = document.getElementById("search-scope");
const options = () => [...list.querySelectorAll('[role="option"][href]')];
const chosen = () => list.querySelector('[aria-selected="true"]');

function choose(option) {
  chosen()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) field.setAttribute("aria-activedescendant", option.id);
  else field.removeAttribute("aria-activedescendant");
}

function show(open) {
  list.hidden = !open;
  if (!open) choose(null);
}

function move(key) {
  const all = options();
  if (!all.length) return;
  const at = all.indexOf(chosen());
  const next = { ArrowDown: at + 1, ArrowUp: at < 0 ? all.length - 1 : at - 1, Home: 0, End: all.length - 1 }[key];
  choose(all[(next + all.length) % all.length]);
}

function onKey(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const open = !list.hidden;
  if (event.key === "ArrowDown" && !open && field.value.trim()) window.htmx.trigger(field, "mooring:search");
  else if (open && /^Arrow(Up|Down)$/.test(event.key)) move(event.key);
  else if (open && chosen() && /^(Home|End)$/.test(event.key)) move(event.key);
  else if (open && chosen() && event.key === "Enter") chosen().click();
  else if (event.key === "Escape" && open) show(false);
  else return;
  event.preventDefault();
}

if (field) {
  field.addEventListener("keydown", onKey);
  // What is not there is not asked for, and an answer that comes after the field was left is not shown.
  field.addEventListener("htmx:beforeRequest", (event) => {
    if (field.value.trim()) return;
    event.preventDefault();
    show(false);
  });
  field.addEventListener("input", () => { if (!field.value.trim()) show(false); });
  list.addEventListener("htmx:beforeSwap", (event) => {
    if (!field.value.trim()) event.detail.shouldSwap = false;
  });
  list.addEventListener("htmx:afterSwap", () => {
    const total = Number(list.querySelector("template").dataset.count);
    document.getElementById("search-count").textContent = count(total, "result");
    list.scrollTop = 0;
    choose(null);
    show(field.form.contains(document.activeElement));
  });
  field.addEventListener("htmx:responseError", () => show(false));
  scope.addEventListener("change", () => {
    if (field.value.trim()) window.htmx.trigger(field, "mooring:search");
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
  field.form.addEventListener("focusout", (event) => {
    if (!field.form.contains(event.relatedTarget)) show(false);
  });
  field.addEventListener("click", () => show(field.value.trim() !== "" && options().length > 0));
}
