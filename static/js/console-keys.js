// Keys for a guest: named combinations, and text typed key by key as on a US keyboard.

const SHIFT = ["ShiftLeft", 0xffe1];
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

const SHIFTED = '~!@#$%^&*()_+{}|:"<>?ABCDEFGHIJKLMNOPQRSTUVWXYZ';
const PLAIN = "`1234567890-=[]\\;',./abcdefghijklmnopqrstuvwxyz";
const CODES = {
  "`": "Backquote", "-": "Minus", "=": "Equal", "[": "BracketLeft", "]": "BracketRight", "\\": "Backslash",
  ";": "Semicolon", "'": "Quote", ",": "Comma", ".": "Period", "/": "Slash", " ": "Space",
};
const PAUSE = 12; // ms between characters: a guest's keyboard controller holds 16 events

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

/** Press the keys of "Control+Alt+Delete" in order and release them in reverse. */
export function sendCombination(rfb, combination) {
  const keys = combination.split("+").map((name) => NAMED[name]);
  for (const [code, keysym] of keys) rfb.sendKey(keysym, code, true);
  for (const [code, keysym] of keys.toReversed()) rfb.sendKey(keysym, code, false);
}

/** [code, keysym, with shift] of a character on a US keyboard, null when it has no key there. */
export function keyOf(character) {
  if (character === "\n") return [...NAMED.Enter, false];
  if (character === "\t") return [...NAMED.Tab, false];
  const shifted = SHIFTED.indexOf(character);
  const plain = shifted < 0 ? character : PLAIN[shifted];
  const code = /[a-z]/.test(plain) ? `Key${plain.toUpperCase()}` : /[0-9]/.test(plain) ? `Digit${plain}` : CODES[plain];
  return code ? [code, character.codePointAt(0), shifted >= 0] : null;
}

/**
 * Type a text. `alive()` says whether to go on; `onProgress(done, of)` is told as it goes.
 * Resolves to the characters that have no key on a US keyboard and were left out.
 */
export async function typeText(rfb, text, { alive = () => true, onProgress = () => {} } = {}) {
  const characters = [...text.replaceAll("\r\n", "\n").replaceAll("\r", "\n")];
  const left = new Set();
  for (const [index, character] of characters.entries()) {
    if (!alive()) break;
    const key = keyOf(character);
    if (key) {
      const [code, keysym, shift] = key;
      if (shift) rfb.sendKey(SHIFT[1], SHIFT[0], true);
      rfb.sendKey(keysym, code);
      if (shift) rfb.sendKey(SHIFT[1], SHIFT[0], false);
      await pause(PAUSE);
    } else {
      left.add(character);
    }
    onProgress(index + 1, characters.length);
  }
  return [...left];
}
