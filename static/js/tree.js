// The Infrastructure tree: opening branches, the filter, and reading changed branches again.
import { morphHtml } from "./morph.js";
import { note } from "./notes.js";
import { followInventory, partial } from "./tree-changes.js";
import { enableTreeKeys, rove } from "./tree-keys.js";

const FILTER_DELAY_MS = 200;
const OPEN_AT_MOST = 40;
const tree = document.getElementById("tree");
const filter = document.getElementById("tree-filter");
const opened = () => [...tree.querySelectorAll('.branch > [aria-expanded="true"]')].map((r) => r.parentNode.dataset.node);

function remember() {
  if (beforeFilter) return;
  const value = opened().slice(0, OPEN_AT_MOST).join(".");
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${tree.dataset.cookie}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

async function load(parameters) {
  const query = new URLSearchParams({ selected: tree.dataset.selected, open: opened().join(","), ...parameters });
  const answer = await fetch(`${tree.dataset.url}?${query}`, { headers: { "HX-Request": "true" } });
  if (!answer.ok) throw new Error(`the tree was answered ${answer.status}`);
  return answer.text();
}

function settle() {
  const all = document.getElementById("tree-nodes");
  document.getElementById("tree-foot").textContent = all.dataset.footer;
  rove(tree);
}

let turn = 0;
let beforeFilter = null; // what was open; a filter opens all that matches, which is not the user's choice

async function reload() {
  const mine = ++turn;
  const q = filter.value.trim();
  if (q) beforeFilter ??= opened();
  tree.setAttribute("aria-busy", "true");
  try {
    const html = await load({ q, open: (beforeFilter ?? opened()).join(",") });
    if (mine !== turn) return; // a later filter or event has asked since
    if (!q) beforeFilter = null;
    morphHtml(tree, html, "innerHTML");
    settle();
  } finally {
    if (mine === turn) tree.removeAttribute("aria-busy");
  }
}

function replaceBranches(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelectorAll(".branch");
  for (const branch of fresh) {
    const old = document.getElementById(branch.id);
    if (old) morphHtml(old, branch.outerHTML);
    else if (!partial()) return reload(); // a new node: its place among the others is the server's to say
  }
  settle();
  return undefined;
}

function failed() {
  note("warn", "The tree did not load.", "Mooring did not answer. Try again when the page is live.");
}

/** Open or close a row's branch; children are fetched when they are not there yet. */
export async function toggle(item, open = item.getAttribute("aria-expanded") !== "true") {
  if (!item.hasAttribute("aria-expanded")) return;
  if (item.dataset.key === "root") {
    item.setAttribute("aria-expanded", String(open));
    document.getElementById("tree-nodes").hidden = !open;
    return;
  }
  const branch = item.parentNode;
  if (open) {
    try {
      await replaceBranches(await load({ node: branch.dataset.node }));
    } catch {
      failed();
    }
  } else {
    for (const child of [...branch.children]) if (child !== item) child.remove();
    item.setAttribute("aria-expanded", "false");
    rove(tree, item);
  }
  remember();
}

if (tree) {
  enableTreeKeys(tree, toggle);
  followInventory({
    isFiltered: () => filter.value.trim() !== "",
    readAll: reload,
    readBranches: async (nodes, ves) => replaceBranches(await load({ nodes: nodes.join(","), ves: ves.join(",") })),
  });
  tree.addEventListener("click", (event) => {
    if (!event.target.closest(".tw")?.firstElementChild) return;
    event.preventDefault();
    toggle(event.target.closest('[role="treeitem"]'));
  });
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => reload().catch(failed), FILTER_DELAY_MS);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && filter.value) {
      filter.value = "";
      reload().catch(failed);
    } else if (event.key === "ArrowDown") {
      tree.querySelector('[tabindex="0"]')?.focus();
      event.preventDefault();
    }
  });
  rove(tree);
  const top = Number(sessionStorage.getItem("mooring.tree.top"));
  if (top) tree.scrollTop = top;
  tree.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  addEventListener("pagehide", () => sessionStorage.setItem("mooring.tree.top", String(tree.scrollTop)));
}
