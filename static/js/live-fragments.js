// Puts the server's fragments into the page: each top element replaces (by morph) the element of its id; one that is not
// in the page yet and names a container in data-append is appended there.

import { morph } from "./morph.js";

/** Apply HTML text. */
export function applyFragments(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const fragment of [...template.content.children]) {
    const { id } = fragment;
    const present = id ? document.getElementById(id) : null;
    if (present) morph(present, fragment);
    else if (fragment.dataset.append) document.querySelector(fragment.dataset.append)?.append(fragment);
    const shown = id ? document.getElementById(id) : fragment;
    if (shown?.isConnected) window.htmx?.process(shown);
  }
}
