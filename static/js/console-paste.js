// The Paste dialog: types its text into a screen key by key on the guest's layout, or pastes it into a terminal.

import { openDialog } from "./dialogs.js";
import { plan, typeCharacters } from "./console-keys.js";
import { layouts } from "./console-layouts.js";

/** The layout picker; what was chosen is kept for this user and VE, the user's last choice serves for others. */
export function setUpLayouts(select, { user, ve }) {
  const keys = [`mooring-console-layout:${user}:${ve}`, `mooring-console-layout:${user}`];
  select.replaceChildren(...layouts().map(([value, name]) => new Option(name, value)));
  const kept = keys.map((key) => localStorage.getItem(key)).find((value) => layouts().some(([known]) => known === value));
  select.value = kept ?? "us";
  select.addEventListener("change", () => { for (const key of keys) localStorage.setItem(key, select.value); });
  return () => select.value;
}

/**
 * Wire the dialog. `deliver(text, {alive, say, way})` sends the text and resolves to whether all of it went; it says why not.
 * Returns offer(text): open the dialog with a text to confirm.
 */
export function setUpPaste({ dialog, connected, deliver, focus }) {
  const form = dialog.querySelector("form");
  const { text } = form.elements;
  const progress = dialog.querySelector("[data-progress]");
  let busy = false;

  const say = (words) => { progress.textContent = words; };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    const channel = connected();
    if (!channel) {
      say("Not connected. Wait until the console is.");
      return;
    }
    if (!text.value) {
      say("There is no text yet.");
      return;
    }
    busy = true;
    const alive = () => dialog.open && connected() === channel;
    const done = await deliver(text.value, { alive, say, way: form.elements.way?.value });
    busy = false;
    if (!done) return;
    text.value = "";
    say("");
    dialog.close();
    focus();
  });
  dialog.addEventListener("close", () => { if (!busy) say(""); });

  return (offered) => {
    openDialog(dialog.id);
    text.value = offered;
    dialog.querySelector("[type=submit]").focus();
  };
}

/** How a screen takes text: as keys, or into the guest's clipboard where the guest has shown that it has one. */
export function screenDelivery({ face, link, layout }) {
  return async (text, { alive, say, way }) => {
    const { channel } = link;
    if (way === "clipboard") {
      channel.say({ type: "sent", what: "clipboard", characters: [...text].length });
      face.rfb.clipboardPasteFrom(text);
      return true;
    }
    const { characters, missing } = plan(text, layout());
    if (missing.length) {
      say(`Not on this keyboard layout: ${missing.join(" ")}. Choose the guest's layout, or take them out.`);
      return false;
    }
    channel.say({ type: "sent", what: "paste", characters: characters.length });
    await typeCharacters(face.rfb, characters, layout(), { alive, onProgress: (done, of) => say(`${done} of ${of}`) });
    if (!alive()) say("Stopped before the end.");
    return alive();
  };
}
