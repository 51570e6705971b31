// What changed in the inventory, for the tree, which shows no figures. A change of a row that is in the page is read at once, and at most twice a
// second; one elsewhere can only move or count rows, and waits longer in a storm of them.
const PAUSE_MS = 500;
const PAUSE_ELSEWHERE_MS = 3000;
const RETRY_MS = 2000;

function isHere({ nodes = [], ves = [], removed = [], all = false }) {
  const ids = [...nodes.map((id) => `t-node-${id}`), ...ves.map((id) => `t-ve-${id}`)];
  if (all || !(ids.length + removed.length)) return true;
  return [...ids, ...removed.map((key) => `t-${key.replace(":", "-")}`)].some((id) => document.getElementById(id));
}

/** Call `readAgain()` after changes; one at a time, as an older answer must not come after a newer one. */
export function followInventory(readAgain) {
  let due = 0; // when the next read may begin, for changes here
  let dueElsewhere = 0;
  let timer = 0;
  let planned = Infinity;
  let reading = false;

  async function run() {
    timer = 0;
    planned = Infinity;
    reading = true;
    const now = performance.now();
    due = now + PAUSE_MS;
    dueElsewhere = now + PAUSE_ELSEWHERE_MS;
    try {
      await readAgain();
    } catch {
      plan(performance.now() + RETRY_MS); // the server is away
    }
    reading = false;
    if (planned < Infinity && !timer) wait();
  }

  function wait() {
    clearTimeout(timer);
    timer = setTimeout(run, Math.max(0, planned - performance.now()));
  }

  function plan(at) {
    if (at >= planned) return;
    planned = at;
    if (!reading) wait();
  }

  document.addEventListener("mooring:inventory", (event) => {
    const data = event.detail.data ?? {};
    if (!data.figures) plan(Math.max(performance.now(), isHere(data) ? due : dueElsewhere));
  });
}
