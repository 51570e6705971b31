"""axe-core finds nothing to object to: every page, dialog and menu, light and dark, and at the narrowest width."""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from django.urls import URLPattern, URLResolver, get_resolver
from playwright.sync_api import Browser

from tasks.templatetags.tasks import progress_bar
from tests.e2e import samples
from tests.e2e.axe import COLOURS, EVERYTHING, LAYOUT, violations
from tests.e2e.conftest import make_user
from tests.e2e.samples import SECRET, People
from tests.e2e.views import NOT_PAGES, VIEWS, View
from tests.panel.test_route_permissions import _path

pytestmark = pytest.mark.e2e

# Each look: theme, size, rules. The other theme has the same elements in other colours, the narrow page the same
# elements in other places.
LOOKS: tuple[tuple[Literal["light", "dark"], tuple[int, int], dict[str, Any]], ...] = (
    ("light", (1440, 900), EVERYTHING),
    ("dark", (1440, 900), COLOURS),
    ("light", (1024, 768), LAYOUT),
)

# The browser says that it took a theme over before its styles have.
_NEXT_FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def people(browser: Browser, signed_in_state: Any) -> Iterator[People]:
    each = People(browser, signed_in_state)
    yield each
    each.close()


@pytest.fixture(scope="module")
def ids(people: People) -> Iterator[dict[str, int]]:
    made = samples.make(make_user(f"sample-{people.tag}", "operator", SECRET))
    yield made
    samples.remove(made)


def routes(patterns: list[Any], prefix: str = "", space: str = "") -> Iterator[tuple[str, str]]:
    """(name with its namespace, a path) of every route."""
    for entry in patterns:
        if isinstance(entry, URLResolver):
            inner = f"{space}{entry.namespace}:" if entry.namespace else space
            yield from routes(entry.url_patterns, prefix + str(entry.pattern), inner)
        elif isinstance(entry, URLPattern):
            yield f"{space}{entry.name}", _path(prefix + str(entry.pattern))


def test_every_route_that_shows_a_page_is_looked_at(people: People) -> None:
    shown = {view.route for view in VIEWS} | set(NOT_PAGES)
    others = {name: path for name, path in routes(get_resolver().url_patterns) if name not in shown}
    client = people.page_of("admin").context.request

    answers = {name: client.get(path, max_redirects=0).status for name, path in others.items()}

    missing = sorted(name for name, status in answers.items() if status != 405)
    assert not missing, f"no view in tests/e2e/views.py shows {', '.join(missing)}"


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_a_view_has_no_violation_in_either_theme_at_either_width(
    view: View, people: People, ids: dict[str, int]
) -> None:
    page = people.page_of(view.who)
    page.set_viewport_size({"width": 1440, "height": 900})
    answer = view.show(page, ids)
    assert str(answer.status) == (view.route if view.route.isdecimal() else "200"), page.url
    found = {}
    for theme, (width, height), rules in LOOKS:
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=theme)  # what a panel without a choice of its own follows
        page.evaluate(_NEXT_FRAME)
        found[f"{theme} {width}"] = violations(page, rules)

    told = [f"{where}: {text}" for where, texts in found.items() for text in texts]
    assert not told, "\n".join(told)


def test_how_far_a_task_is_stands_out_in_both_themes(people: People) -> None:
    page = people.page_of("admin")
    page.goto("/tasks/")
    page.evaluate(
        "(html) => document.querySelector('main').insertAdjacentHTML('beforeend', html)", progress_bar(50, "x")
    )
    fill = "getComputedStyle(document.querySelector('main .meter > rect')).fill"
    page.emulate_media(color_scheme="light")
    light = page.evaluate(fill)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(light) => {fill} !== light", arg=light)

    assert "rgb(0, 0, 0)" not in (light, page.evaluate(fill))
