// Keys for a guest: named combinations, and text typed key by key on the guest's keyboard layout.

import { strokesOf } from "./console-layouts.js";

const SHIFT = ["ShiftLeft", 0xffe1];
const ALTGR = ["AltRight", 0xfe03];
const NAMED = {
  Control: ["ControlLeft", 0xffe3],
  Alt: ["AltLeft", 0xffe9],
  Shift: SHIFT,
  Super: ["MetaLeft", 0xffeb],
  Escape: ["Escape", 0xff1b],
  Tab: ["Tab", 0xff09],
  Backspace: ["Backspace", 0xff08],
  Delete: ["Delete", 0xffff],
  PrintScreen: ["PrintScreen", 0xff61],
  Enter: ["Enter", 0xff0d],
};
for (let number = 1; number <= 12; number += 1) NAMED[`F${number}`] = [`F${number}`, 0xffbd + number];
const WHITE = { "\n": NAMED.Enter, "\t": NAMED.Tab };
const PAUSE = 12; // ms between characters: a guest's keyboard controller holds 16 events

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Press the keys of "Control+Alt+Delete" in order and release them in reverse. */
export function sendCombination(rfb, combination) {
  const keys = combination.split("+").map((name) => NAMED[name]);
  for (const [code, keysym] of keys) rfb.sendKey(keysym, code, true);
  for (const [code, keysym] of keys.toReversed()) rfb.sendKey(keysym, code, false);
}

function keysymOf(character) {
  const point = character.codePointAt(0);
  return point < 0x100 ? point : 0x01000000 + point;
}

function strike(rfb, { character, code, shift, altgr }) {
  const held = [...(shift ? [SHIFT] : []), ...(altgr ? [ALTGR] : [])];
  for (const [holding, keysym] of held) rfb.sendKey(keysym, holding, true);
  rfb.sendKey(keysymOf(character), code);
  for (const [holding, keysym] of held) rfb.sendKey(keysym, holding, false);
}

/** The characters of a text with one kind of line break, and those among them that a layout cannot type. */
export function plan(text, layout) {
  const characters = [...text.replaceAll("\r\n", "\n").replaceAll("\r", "\n")];
  const missing = new Set(characters.filter((character) => !WHITE[character] && !strokesOf(character, layout)));
  return { characters, missing: [...missing] };
}

/** Type characters that the layout has. `alive()` says whether to go on; `onProgress(done, of)` is told as it goes. */
export async function typeCharacters(rfb, characters, layout, { alive = () => true, onProgress = () => {} } = {}) {
  for (const [index, character] of characters.entries()) {
    if (!alive()) return;
    if (WHITE[character]) rfb.sendKey(WHITE[character][1], WHITE[character][0]);
    else for (const stroke of strokesOf(character, layout) ?? []) strike(rfb, stroke);
    await pause(PAUSE);
    onProgress(index + 1, characters.length);
  }
}
