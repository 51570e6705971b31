"""The console of a VM in a browser, and what its strip says."""

from playwright.sync_api import Browser, BrowserContext, expect

from tests.chaos.asking import Asker
from tests.chaos.machine import until
from tests.e2e.conftest import URL


class Console:
    """One page with an open console."""

    def __init__(self, browser: Browser, cookies: dict[str, str], query: Asker) -> None:
        self._context: BrowserContext = browser.new_context(
            base_url=URL, ignore_https_errors=True, reduced_motion="reduce"
        )
        self._context.add_cookies([{"name": name, "value": value, "url": URL} for name, value in cookies.items()])
        self._page = self._context.new_page()
        self._query = query

    def open(self, ve: str) -> None:
        """Open the VE's console, wait until it is connected, and note from then on when it says that it is not."""
        self._page.goto(f"/infrastructure/ves/{self._query(f'VE.objects.get(name={ve!r}).pk')}/console/")
        self.assert_connected()
        # By the time anybody looks it may be connected again.
        self._page.evaluate(
            """() => {
              const at = document.getElementById('console-state');
              window.told = '';
              new MutationObserver(() => { if (!at.textContent.includes('Connected')) window.told = at.textContent; })
                .observe(at, {childList: true, subtree: true, characterData: true});
            }"""
        )

    def assert_connected(self) -> None:
        expect(self._page.locator("#console-state")).to_contain_text("Connected", timeout=30_000)

    def assert_told(self) -> None:
        """It has said that it is not connected."""
        until(lambda: self._page.evaluate("window.told"), 60, "the console did not say that it is not connected")
        print(f"    the console said: {' '.join(self._page.evaluate('window.told').split())}")

    def close(self) -> None:
        self._context.close()
