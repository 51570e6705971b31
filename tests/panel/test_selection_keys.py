"""Escape and the selection of a list, run by Node: one press ends one thing."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import { register } from "node:module";
const hook = `export const resolve = (name, context, next) => name === "./morph.js"
  ? { url: "data:text/javascript,export const morphHtml = () => {}", shortCircuit: true } : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
const listeners = {};
const element = (more) => ({ dataset: {}, textContent: "", matches: () => false, closest: () => null, ...more });
const kept = new Map([["mooring-selected /nodes/ list", JSON.stringify({ ids: [["3", "primary"]], found: null })]]);
globalThis.sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
globalThis.location = { pathname: "/nodes/" };
const bar = element({ dataset: { bulk: "node" }, hidden: true, querySelector: () => element({}) });
const all = element({ dataset: { total: "1", query: "" }, closest: () => section });
const section = element({
  id: "list",
  querySelector: (wanted) => (wanted === "[data-bulk]" ? bar : all),
  querySelectorAll: () => [],
});
globalThis.document = {
  addEventListener: (type, listener) => (listeners[type] ??= []).push(listener),
  querySelector: () => null,
  querySelectorAll: () => [all],
};
await import("file://%s/static/js/selection.js");
const escape = (defaultPrevented) => {
  for (const listener of listeners.keydown) listener({ key: "Escape", defaultPrevented, target: element({}) });
  return !bar.hidden;
};
console.log(JSON.stringify([escape(true), escape(false)]));
process.exit(0);
"""


def test_escape_that_closed_a_menu_keeps_the_selection() -> None:
    command = ["node", "--input-type=module", "-e", SCRIPT % ROOT]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert json.loads(done.stdout) == [True, False]
