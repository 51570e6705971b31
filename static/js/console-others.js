// Who else has a console of this VE open, as the live socket tells it.

import { shortTime } from "./times.js";

/** Keep `element` current; `mine()` is the session id of this page's own console. */
export function followOthers(element, ve, mine) {
  let open = [];
  const show = () => {
    const others = open.filter(({ session }) => session !== mine());
    const parts = others.map(({ user, kind, since }) => `${user} (${kind}) since ${shortTime(new Date(since))}`);
    element.textContent = parts.length ? `Also open: ${parts.join(", ")}` : "";
    element.hidden = !parts.length;
  };
  document.addEventListener("mooring:console", ({ detail }) => {
    if (detail.topic !== `console:${ve}`) return;
    open = detail.data.open ?? [];
    show();
  });
  return show;
}
