// Puts the server's fragments into the page: each top element replaces (by morph) the element of its id; one that is not
// in the page yet and names a container in data-append is appended there.

import { morph } from "./morph.js";

const applied = new WeakMap(); // element → the markup it was last given: most regions of an update say nothing new

/** Apply HTML text. */
export function applyFragments(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const fragment of [...template.content.children]) {
    const { id } = fragment;
    const present = id ? document.getElementById(id) : null;
    const markup = fragment.outerHTML;
    if (present && applied.get(present) === markup) continue;
    if (present) morph(present, fragment);
    else if (fragment.dataset.append) document.querySelector(fragment.dataset.append)?.append(fragment);
    const shown = id ? document.getElementById(id) : fragment;
    if (!shown?.isConnected) continue;
    applied.set(shown, markup);
    if (markup.includes("hx-")) window.htmx?.process(shown); // rows of a log have nothing for it, and are many
  }
}
