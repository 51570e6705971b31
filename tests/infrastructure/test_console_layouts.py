"""The console's keyboard layouts against libxkbcommon's, which a Linux guest uses: keys give what they are for."""

import ctypes
import json
import subprocess
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import { layouts, strokesOf } from "file://%s/static/js/console-layouts.js";
const characters = [...Array.from({ length: 0x250 - 0x21 }, (_, at) => String.fromCharCode(at + 0x21)), "€"];
const found = {};
for (const [key] of layouts()) {
  found[key] = Object.fromEntries(characters.map((each) => [each, strokesOf(each, key)]).filter(([, to]) => to));
}
console.log(JSON.stringify(found));
"""
# Key codes of Linux (evdev) + 8, as X counts them.
_ROWS = {
    "Digit": (10, "1234567890"),
    "Key": (24, "QWERTYUIOP"),
    "Key2": (38, "ASDFGHJKL"),
    "Key3": (52, "ZXCVBNM"),
}
CODES = {
    f"{name.rstrip('23')}{each}": first + at for name, (first, row) in _ROWS.items() for at, each in enumerate(row)
}
CODES |= {
    "Backquote": 49,
    "Minus": 20,
    "Equal": 21,
    "BracketLeft": 34,
    "BracketRight": 35,
    "Semicolon": 47,
    "Quote": 48,
}
CODES |= {"Backslash": 51, "IntlBackslash": 94, "Comma": 59, "Period": 60, "Slash": 61, "Space": 65}
SHIFT, ALTGR = 50, 108
DEAD = {"^": "circumflex", "`": "grave", "´": "acute", "~": "tilde", "¨": "diaeresis"}


class Names(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


@cache
def xkb() -> Any:
    library = ctypes.CDLL(find_library("xkbcommon") or "libxkbcommon.so.0")
    for name in ("xkb_context_new", "xkb_keymap_new_from_names", "xkb_state_new"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


class Keyboard:
    """A guest's keyboard."""

    def __init__(self, layout: str) -> None:
        context = ctypes.c_void_p(xkb().xkb_context_new(0))
        names = Names(b"evdev", b"pc105", layout.encode(), b"", b"")
        self._keymap = ctypes.c_void_p(xkb().xkb_keymap_new_from_names(context, ctypes.byref(names), 0))
        assert self._keymap, f"libxkbcommon knows no layout {layout}"

    def give(self, stroke: dict[str, Any]) -> str:
        """The name of what a stroke gives: a character, or "dead_acute"."""
        state = ctypes.c_void_p(xkb().xkb_state_new(self._keymap))
        for held, code in (("shift", SHIFT), ("altgr", ALTGR)):
            if stroke[held]:
                xkb().xkb_state_update_key(state, code, 1)
        symbol = xkb().xkb_state_key_get_one_sym(state, CODES[stroke["code"]])
        text = ctypes.create_string_buffer(64)
        xkb().xkb_keysym_get_name(symbol, text, 64)
        name = text.value.decode()
        if name.startswith("dead_"):
            return name
        xkb().xkb_keysym_to_utf8(symbol, text, 64)
        return text.value.decode()


@cache
def tables() -> dict[str, dict[str, list[dict[str, Any]]]]:
    command = ["node", "--input-type=module", "-e", SCRIPT % ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("layout", ["us", "gb", "de", "ch", "fr", "es"])
def test_every_stroke_gives_its_character(layout: str) -> None:
    keyboard, wrong = Keyboard(layout), []
    for character, strokes in tables()[layout].items():
        if len(strokes) == 1:
            expected = [character]
        elif strokes[1]["character"] == " ":
            expected = [f"dead_{DEAD[character]}", " "]
        else:
            expected = [f"dead_{DEAD[strokes[0]['character']]}", strokes[1]["character"]]
        given = [keyboard.give(stroke) for stroke in strokes]
        if given != expected:
            wrong.append((character, expected, given))

    assert wrong == []


@pytest.mark.parametrize("layout", ["us", "gb", "de", "ch", "fr", "es"])
def test_every_layout_types_all_of_ascii(layout: str) -> None:
    assert {chr(point) for point in range(0x21, 0x7F)} <= tables()[layout].keys()


def test_the_picker_offers_these_layouts() -> None:
    assert set(tables()) == {"us", "gb", "de", "ch", "fr", "es"}
