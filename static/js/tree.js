// The Infrastructure tree: opening branches, the filter, and reading changed branches again.
import { morphHtml } from "./morph.js";
import { enableTreeKeys, rove } from "./tree-keys.js";

const FILTER_DELAY_MS = 200;
const PAUSE_MS = 500;
const OPEN_AT_MOST = 40;
const tree = document.getElementById("tree");
const filter = document.getElementById("tree-filter");
const row = (id) => document.getElementById(`t-node-${id}`);
// Of very many nodes only the first are shown: what is not in the tree then is no reason to read all of it.
const partial = () => document.getElementById("t-more-nodes") !== null;
const opened = () => [...tree.querySelectorAll('.branch > [aria-expanded="true"]')].map((r) => r.parentNode.dataset.node);

function remember() {
  if (filter.value.trim()) return; // a filter opens everything; that is not the user's choice
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
async function reload() {
  const mine = ++turn;
  tree.setAttribute("aria-busy", "true");
  try {
    const html = await load({ q: filter.value.trim() });
    if (mine !== turn) return; // a later filter or event has asked since
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
    replaceBranches(await load({ node: branch.dataset.node }));
  } else {
    for (const child of [...branch.children]) if (child !== item) child.remove();
    item.setAttribute("aria-expanded", "false");
    rove(tree, item);
  }
  remember();
}

// Changes are gathered, so that a storm of events costs two requests a second.
const changed = { nodes: new Set(), ves: new Set(), all: false };
let timer = 0;
let lastRead = -PAUSE_MS;

async function readChanges() {
  timer = 0;
  lastRead = performance.now();
  const { all } = changed;
  const nodes = [...changed.nodes];
  const ves = [...changed.ves];
  changed.nodes.clear();
  changed.ves.clear();
  changed.all = false;
  if (all || filter.value.trim() || nodes.length + ves.length > 100) await reload();
  else replaceBranches(await load({ nodes: nodes.join(","), ves: ves.join(",") }));
}

document.addEventListener("mooring:inventory", (event) => {
  if (!tree) return;
  const { nodes = [], ves = [], removed = [] } = event.detail.data ?? {};
  for (const id of nodes) {
    if (row(id)) changed.nodes.add(id);
    else if (!partial()) changed.all = true;
  }
  for (const id of ves) {
    changed.ves.add(id);
    const home = document.getElementById(`t-ve-${id}`)?.parentNode.dataset.node;
    if (home) changed.nodes.add(home); // where it was, should it have moved
  }
  if (removed.length || !(nodes.length + ves.length)) changed.all = true;
  timer ||= setTimeout(readChanges, Math.max(0, lastRead + PAUSE_MS - performance.now()));
});

if (tree) {
  enableTreeKeys(tree, toggle);
  tree.addEventListener("click", (event) => {
    if (!event.target.closest(".tw")?.firstElementChild) return;
    event.preventDefault();
    toggle(event.target.closest('[role="treeitem"]'));
  });
  let typing = 0;
  filter.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(reload, FILTER_DELAY_MS);
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && filter.value) {
      filter.value = "";
      reload();
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
