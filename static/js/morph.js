// Morphing: new markup is merged into the page, so that focus, scroll, typed text and open menus stay.
import { Idiomorph } from "../vendor/idiomorph/idiomorph.esm.js";

// What scripts and the user set on an element is not in the server's markup and must survive it; an element names
// more such attributes itself: data-keep="hidden aria-expanded".
const KEPT = new Set(["style", "open"]);

const OPTIONS = {
  ignoreActiveValue: true,
  callbacks: {
    beforeAttributeUpdated: (name, element) =>
      !KEPT.has(name) && !element.dataset?.keep?.split(" ").includes(name),
  },
};

/** Merge new content into the element: an HTML string, a node or a list of nodes. Returns the resulting nodes. */
export function morph(target, content, morphStyle = "outerHTML") {
  return Idiomorph.morph(target, content, { ...OPTIONS, morphStyle });
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
