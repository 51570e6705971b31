// The Paste dialog: types its text into the guest key by key.

import { typeText } from "./console-keys.js";

/** Wire the dialog; `current()` is the connected RFB or null. */
export function setUpPaste(current) {
  const dialog = document.getElementById("console-paste");
  const form = dialog.querySelector("form");
  const text = form.elements.text;
  const progress = dialog.querySelector("[data-progress]");
  let typing = false;

  const say = (words) => { progress.textContent = words; };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const rfb = current();
    if (typing) return;
    if (!rfb) {
      say("Not connected. Wait until the console is.");
      return;
    }
    typing = true;
    const alive = () => dialog.open && current() === rfb;
    const left = await typeText(rfb, text.value, { alive, onProgress: (done, of) => say(`${done} of ${of}`) });
    typing = false;
    if (!alive()) {
      say("Stopped before the end.");
    } else if (left.length) {
      say(`Left out, not on a US keyboard: ${left.join(" ")}`);
    } else {
      text.value = "";
      say("");
      dialog.close();
      rfb.focus();
    }
  });
  dialog.addEventListener("close", () => { if (!typing) say(""); });
}
