// What changed in the inventory, for the tree: gathered, so that a storm of events costs two requests a second.
const PAUSE_MS = 500;
const RETRY_MS = 2000;
const AT_ONCE = 100; // more changes than this are read as a whole

const changed = { nodes: new Set(), ves: new Set(), all: false };
let timer = 0;
let lastRead = -PAUSE_MS;
let reading = false; // one at a time: an older answer must not come after a newer one

/** Of very many nodes only the first are shown: what is not in the tree then is no reason to read all of it. */
export const partial = () => document.getElementById("t-more-nodes") !== null;

function gather({ nodes = [], ves = [], removed = [] }) {
  for (const id of nodes) {
    if (document.getElementById(`t-node-${id}`)) changed.nodes.add(id);
    else if (!partial()) changed.all = true;
  }
  for (const id of ves) {
    changed.ves.add(id);
    const home = document.getElementById(`t-ve-${id}`)?.parentNode.dataset.node;
    if (home) changed.nodes.add(home); // where it was, should it have moved
  }
  if (removed.length || !(nodes.length + ves.length)) changed.all = true;
}

/** Read what changed, at once and then at most twice a second: `readAll()`, or `readBranches(nodes, ves)`. */
export function followInventory({ isFiltered, readAll, readBranches }) {
  async function read() {
    timer = 0;
    if (reading) return;
    reading = true;
    lastRead = performance.now();
    const nodes = [...changed.nodes];
    const ves = [...changed.ves];
    const all = changed.all || isFiltered() || nodes.length + ves.length > AT_ONCE;
    changed.nodes.clear();
    changed.ves.clear();
    changed.all = false;
    try {
      await (all ? readAll() : readBranches(nodes, ves));
    } catch {
      changed.all = true; // the server is away: read everything when it answers again
      timer ||= setTimeout(read, RETRY_MS);
    }
    reading = false;
    if (changed.all || changed.nodes.size || changed.ves.size) soon();
  }

  function soon() {
    timer ||= setTimeout(read, Math.max(0, lastRead + PAUSE_MS - performance.now()));
  }

  document.addEventListener("mooring:inventory", (event) => {
    gather(event.detail.data ?? {});
    soon();
  });
}
