// The raw log: the same text as the download, read again while the task goes on and somebody looks.
const PAUSE_MS = 1000;
const card = document.getElementById("task-log");
const raw = document.getElementById("log-raw");
let reading = false;
let stale = false;

/** The whole log as text. Raises an error when the panel does not answer with it. */
export async function wholeLog() {
  const answer = await fetch(card.dataset.text, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`The log was answered with status ${answer.status}.`);
  return answer.text();
}

async function read() {
  stale = reading;
  if (reading) return;
  reading = true;
  try {
    const text = await wholeLog();
    if (raw.textContent !== text) {
      const atEnd = raw.scrollTop + raw.clientHeight >= raw.scrollHeight - 4;
      raw.textContent = text;
      if (atEnd && document.getElementById("log-follow").checked) raw.scrollTop = raw.scrollHeight;
    }
  } catch (error) {
    if (!raw.textContent) raw.textContent = `The log could not be read. ${error.message} Choose Raw log again to retry.`;
  }
  setTimeout(() => {
    reading = false;
    if (stale && !raw.hidden) read();
  }, PAUSE_MS);
}

/** Show or hide the raw log. */
export function showRaw(shown) {
  raw.hidden = !shown;
  if (shown) read();
}

document.addEventListener("mooring:task", () => { if (!raw.hidden) read(); });
