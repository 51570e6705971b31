"""A page used by the keyboard alone. The focus is looked at on the way: where it is, and whether it can be seen."""

import re
from typing import Any

from playwright.sync_api import Page, expect

# What has the focus: its name, and whether it is in view with a mark that shows the focus.
_FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const box = at.getBoundingClientRect();
  const name = (at.getAttribute('aria-label') || at.labels?.[0]?.innerText || at.innerText || at.id || '').trim();
  let marked = at.matches('.xterm-helper-textarea'); // its terminal shows a cursor, in the frame that is marked
  for (let element = at, up = 0; element && up < 6; element = element.parentElement, up += 1) {
    const style = getComputedStyle(element);
    const drawn = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
    marked ||= drawn && element.matches(':focus-visible, :has(:focus-visible), :focus-within');
    marked ||= up === 0 && style.boxShadow !== 'none';
  }
  const {width, height, top, bottom, left, right} = box;
  const inView = width > 0 && height > 0 && bottom > 0 && right > 0 && top < innerHeight && left < innerWidth;
  return {name, marked, inView, html: at.outerHTML.slice(0, 200)};
}"""
MOST_TABS = 150


class Keys:
    """Presses keys and never touches the pointer."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str, delay: float = 0) -> None:
        self.page.keyboard.type(text, delay=delay)

    def focus(self) -> dict[str, Any]:
        """What has the focus; fails when nothing has, or when it cannot be seen."""
        found: dict[str, Any] | None = None
        for _ in range(200):  # a region that is read again may take a moment to give it back
            found = self.page.evaluate(_FOCUS)
            if found and found["marked"] and found["inView"]:
                return found
            self.page.wait_for_timeout(50)
        assert found, "the focus is lost: nothing in the page has it"
        assert found["inView"], f"what has the focus is out of view: {found}"
        raise AssertionError(f"the focus cannot be seen: {found}")

    def expect_focus(self, pattern: str) -> None:
        """What has the focus is named so."""
        for _ in range(200):
            if re.search(pattern, self.focus()["name"]):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{self.focus()} has the focus, not {pattern!r}")

    def tab_to(self, pattern: str, key: str = "Tab") -> None:
        """Press Tab until something of this name has the focus; every stop on the way can be seen."""
        passed = []
        for _ in range(MOST_TABS):
            self.press(key)
            if self.page.evaluate("document.activeElement === document.body"):
                continue  # around the end of the page
            passed.append(self.focus()["name"])
            if re.search(pattern, passed[-1]):
                return
        raise AssertionError(f"Tab does not come to {pattern!r}; it came by {passed}")

    def find(self, name: str) -> None:
        """Search the whole system for a VE and open its page."""
        self.press("/")
        self.expect_focus("Search whole system")
        self.press("Control+A")
        self.type(name)
        option = self.page.get_by_role("option", name=re.compile(rf"^{name}\b"))
        expect(option.first).to_be_visible()
        self.press("ArrowDown")
        expect(option.first).to_have_attribute("aria-selected", "true")
        with self.page.expect_navigation():  # this page may have the same heading
            self.press("Enter")
        expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_visible()
