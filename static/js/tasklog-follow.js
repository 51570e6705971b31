// Follow keeps the end of the log in sight while rows arrive. Scrolling up turns it off; so does the checkbox.
const MOST_LINES = 20_000; // more rows make the browser slow; the downloads have the whole log

function trim(log) {
  const lines = log.getElementsByClassName("line");
  if (lines.length <= MOST_LINES) return;
  for (const line of [...lines].slice(0, lines.length - MOST_LINES)) line.remove();
}

/** Keep the end in sight from now on. */
export function subscribeFollow() {
  const box = document.getElementById("log-follow");
  const log = document.getElementById("log-steps");
  const scroller = document.getElementById("main");
  let last = scroller.scrollTop;
  let height = scroller.scrollHeight;

  const toEnd = () => {
    const below = log.getBoundingClientRect().bottom - scroller.getBoundingClientRect().bottom;
    if (below > 0) scroller.scrollTop += below + 12;
    last = scroller.scrollTop;
    height = scroller.scrollHeight;
  };

  scroller.addEventListener("scroll", () => {
    // A region above that got shorter moves the page up as well; only the user's own scrolling counts.
    if (scroller.scrollTop < last - 4 && scroller.scrollHeight >= height) box.checked = false;
    last = scroller.scrollTop;
    height = scroller.scrollHeight;
  });
  box.addEventListener("change", () => { if (box.checked) toEnd(); });
  new MutationObserver((records) => {
    if (!records.some((record) => record.addedNodes.length)) return;
    trim(log);
    if (box.checked) toEnd();
  }).observe(log, { childList: true });
}
