"""axe-core in the page that is open. The browser's debugger evaluates it, past the content security policy."""

from functools import cache
from typing import Any

from playwright.sync_api import Page

from tests.e2e.conftest import ROOT

EVERYTHING = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
# What another width can break: sizes, overlaps, regions that scroll now. Names and roles stay as they are.
LAYOUT = {"type": "rule", "values": ["color-contrast", "scrollable-region-focusable", "target-size"]}

_RUN = """async (rules) => {
  const looked = document.querySelector('dialog:modal') ?? document;
  const result = await axe.run(looked, {runOnly: rules, resultTypes: ['violations']});
  return result.violations.map(({id, help, nodes}) => ({
    id, help, count: nodes.length,
    nodes: nodes.slice(0, 3).map(({html, failureSummary}) => `${html.slice(0, 240)}\\n    ${failureSummary}`),
  }));
}"""


@cache
def _source() -> str:
    path = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    assert path.exists(), "axe-core is not installed: run npm ci --ignore-scripts"
    return path.read_text()


def violations(page: Page, rules: dict[str, Any] = EVERYTHING) -> list[str]:
    """One text for each rule that the page as it stands breaks: the rule, and the first elements with the reason.

    Of a page with a modal dialog open only the dialog is looked at: all else is inert until it closes.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(_source())
    found: list[dict[str, Any]] = page.evaluate(_RUN, rules)
    return [f"{rule['id']} ({rule['count']}): {rule['help']}\n  " + "\n  ".join(rule["nodes"]) for rule in found]
