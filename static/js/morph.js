// Morphing: new markup is merged into the page, so that focus, scroll, typed text and open menus stay. Where the control
// that has the focus goes or can no longer be used, the first one beside it gets the focus.
import { Idiomorph } from "../vendor/idiomorph/idiomorph.esm.js";

// What scripts and the user set on an element is not in the server's markup and must survive it; an element names
// more such attributes itself: data-keep="hidden aria-expanded".
const KEPT = new Set(["style", "open"]);

const OPTIONS = {
  callbacks: {
    // What scripts fill and keep is not the server's to change: data-keep-whole.
    beforeNodeMorphed: (old) => old.dataset?.keepWhole === undefined,
    beforeAttributeUpdated: (name, element) =>
      !KEPT.has(name) && !element.dataset?.keep?.split(" ").includes(name),
  },
};

const CONTROLS = "a[href], button, input, select, textarea, [tabindex='0']";

/** The way from the element that has the focus up to the page: what comes next when a change takes it away. */
function around(element) {
  const way = [];
  for (let up = element?.parentElement; up && up !== document.body; up = up.parentElement) way.push(up);
  return way;
}

function keepFocus(had, way) {
  if (!way.length || (had.isConnected && !had.disabled)) return;
  for (const place of way) {
    const now = place.isConnected ? place : place.id && document.getElementById(place.id);
    const next = now && [...now.querySelectorAll(CONTROLS)].find((each) => !each.disabled && each.checkVisibility());
    if (next) return void next.focus({ preventScroll: true });
  }
}

/** Merge new content into the element: an HTML string, a node or a list of nodes. Returns the resulting nodes. */
export function morph(target, content, morphStyle = "outerHTML") {
  const had = document.activeElement;
  const way = target.contains?.(had) ? around(had) : [];
  const nodes = merge(target, content, morphStyle);
  keepFocus(had, way);
  return nodes;
}

function merge(target, content, morphStyle) {
  // What is being typed stays; of any other element that has the focus the content is merged as well.
  const ignoreActiveValue = Boolean(document.activeElement?.matches("input, textarea, select"));
  return Idiomorph.morph(target, content, { ...OPTIONS, ignoreActiveValue, morphStyle });
}

/** Merge an HTML string and let htmx find its attributes. */
export function morphHtml(target, html, morphStyle = "outerHTML") {
  const nodes = morph(target, html, morphStyle);
  for (const node of nodes) if (node instanceof Element) window.htmx.process(node);
  return nodes;
}

window.htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph" || style === "morph:outerHTML",
  handleSwap(style, target, fragment) {
    if (style !== "morph" && !style.startsWith("morph:")) return false;
    return morph(target, fragment.children, style === "morph:innerHTML" ? "innerHTML" : "outerHTML");
  },
});
