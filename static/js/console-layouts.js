// Keyboard layouts: which keys give a character on a guest whose keyboard is set to one of them.
//
// A guest gets keys, not characters: the same key is "z" on one layout and "y" on another. Each layout is written as its
// four rows at up to three levels (plain, Shift, AltGr), in the order of CODES; a space stands for no character.

const CODES = [
  ["Backquote", ..."1234567890".split("").map((digit) => `Digit${digit}`), "Minus", "Equal"],
  [..."QWERTYUIOP".split("").map((letter) => `Key${letter}`), "BracketLeft", "BracketRight"],
  [..."ASDFGHJKL".split("").map((letter) => `Key${letter}`), "Semicolon", "Quote", "Backslash"],
  ["IntlBackslash", ..."ZXCVBNM".split("").map((letter) => `Key${letter}`), "Comma", "Period", "Slash"],
];

const LAYOUTS = {
  us: {
    name: "English (US)",
    rows: [
      ["`1234567890-=", "~!@#$%^&*()_+"], ["qwertyuiop[]", "QWERTYUIOP{}"],
      ["asdfghjkl;'\\", 'ASDFGHJKL:"|'], [" zxcvbnm,./", " ZXCVBNM<>?"],
    ],
  },
  gb: {
    name: "English (UK)",
    rows: [
      ["`1234567890-=", '¬!"£$%^&*()_+', "    €"], ["qwertyuiop[]", "QWERTYUIOP{}"],
      ["asdfghjkl;'#", "ASDFGHJKL:@~"], ["\\zxcvbnm,./", "|ZXCVBNM<>?"],
    ],
  },
  de: {
    name: "German",
    dead: "^´`",
    rows: [
      ["^1234567890ß´", '°!"§$%&/()=?`', "  ²³   {[]}\\"], ["qwertzuiopü+", "QWERTZUIOPÜ*", "@ €        ~"],
      ["asdfghjklöä#", "ASDFGHJKLÖÄ'"], ["<yxcvbnm,.-", ">YXCVBNM;:_", "|      µ"],
    ],
  },
  ch: {
    name: "German (Switzerland)",
    dead: "^`´~¨",
    rows: [
      ["§1234567890'^", '°+"*ç%&/()=?`', "  @#  ¬|¢  ´~"], ["qwertzuiopü¨", "QWERTZUIOPè!", "  €       []"],
      ["asdfghjklöä$", "ASDFGHJKLéà£", "          {}"], ["<yxcvbnm,.-", ">YXCVBNM;:_", "\\"],
    ],
  },
  fr: {
    name: "French",
    dead: "¨",
    rows: [
      ["²&é\"'(-è_çà)=", " 1234567890°+", "  ~#{[|`\\^@]}"], ["azertyuiop $", "AZERTYUIOP¨£", "  €"],
      ["qsdfghjklmù*", "QSDFGHJKLM%µ"], ["<wxcvbn,;:!", ">WXCVBN?./§"],
    ],
  },
  es: {
    name: "Spanish",
    dead: "`^´¨",
    rows: [
      ["º1234567890'¡", 'ª!"·$%&/()=?¿', "\\|@#~ ¬"], ["qwertyuiop`+", "QWERTYUIOP^*", "  €       []"],
      ["asdfghjklñ´ç", "ASDFGHJKLÑ¨Ç", "          {}"], ["<zxcvbnm,.-", ">ZXCVBNM;:_"],
    ],
  },
};
const MARKS = { "\u0300": "`", "\u0301": "´", "\u0302": "^", "\u0303": "~", "\u0308": "¨" };
const SPACE = { character: " ", code: "Space", shift: false, altgr: false };
const made = new Map();

/** [["us", "English (US)"], …] */
export const layouts = () => Object.entries(LAYOUTS).map(([key, { name }]) => [key, name]);

function keysOf(key) {
  if (made.has(key)) return made.get(key);
  const keys = new Map([[" ", SPACE]]);
  for (const [row, levels] of LAYOUTS[key].rows.entries()) {
    for (const [level, characters] of levels.entries()) {
      for (const [at, character] of [...characters].entries()) {
        const known = character === " " || keys.has(character);
        if (!known) keys.set(character, { character, code: CODES[row][at], shift: level === 1, altgr: level === 2 });
      }
    }
  }
  made.set(key, keys);
  return keys;
}

/**
 * The strokes that give a character: [{character, code, shift, altgr}, …], more than one with a dead key; null when the
 * layout has no way to it.
 */
export function strokesOf(character, layout) {
  const keys = keysOf(layout);
  const dead = LAYOUTS[layout].dead ?? "";
  const key = keys.get(character);
  if (key) return dead.includes(character) ? [key, SPACE] : [key];
  const [base, mark, ...rest] = [...character.normalize("NFD")];
  const accent = MARKS[mark];
  if (rest.length || !accent || !dead.includes(accent) || !keys.has(base) || !keys.has(accent)) return null;
  return [keys.get(accent), keys.get(base)];
}
