"""Pages at 1,000 nodes × 50 VEs: how long the server takes, what it asks of the database, what the browser gets.

On a scratch database filled through the models. Samples b are the same with all rows rendered.
"""

import json
import re
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from playwright.sync_api import BrowserContext, Route, sync_playwright

from tests.bench.gates import Gate, Result, Rule
from tests.bench.scale_panel import USER, Panel, running_panel
from tests.bench.stage import say
from tests.e2e.conftest import CHROMIUM

NODES, VES, ROUNDS = 1000, 50, 12
SETTLE_SECONDS = 4.0  # a page of 250,000 elements is taken down after it was closed; it must not fall on the next one
SIZE = f"{NODES:,} × {VES}"
# By what the server part calls them: ours, and what it is held against.
SERVER = {
    ("tree", "tree_all"): Gate(f"tree, {SIZE}, server", Rule.P95_AT_MOST, 150, "ms"),
    ("queries", ""): Gate(f"tree, {SIZE}, queries", Rule.EACH_AT_MOST, 10, "queries"),
    ("expand", "tree_all"): Gate("expand a node, server", Rule.P95_AT_MOST, 50, "ms"),
    ("search", ""): Gate(f"search in {NODES * VES:,} VEs, server", Rule.P95_AT_MOST, 100, "ms"),
    ("ve", ""): Gate(f"a VE's page, {SIZE}, server", Rule.P95_AT_MOST, 150, "ms"),
    ("node", ""): Gate(f"a node's page with {VES} VEs, {SIZE}, server", Rule.P95_AT_MOST, 150, "ms"),
}
PAGES = {"ve": f"a VE's page, {SIZE}", "node": f"a node's page with {VES} VEs, {SIZE}"}
BROWSER = {
    **{
        (page, "elements"): Gate(f"{name}, elements", Rule.EACH_AT_MOST, 1400, "elements")
        for page, name in PAGES.items()
    },
    **{(page, "paint"): Gate(f"{name}, first paint", Rule.P95_AT_MOST, 500, "ms") for page, name in PAGES.items()},
}
GATES = (*SERVER.values(), *BROWSER.values())


def run(chosen: Collection[Gate]) -> Iterator[Result]:
    """Measure what the chosen gates need; all of them take about four minutes."""
    say(f"pages: making {NODES:,} nodes with {VES} VEs each")
    with running_panel(NODES, VES) as panel, tempfile.TemporaryDirectory() as folder:
        all_rows = Path(folder) / "all.html"
        say("pages: server")
        server = json.loads(panel.shell(_SERVER.format(rounds=ROUNDS, all_rows=str(all_rows))).splitlines()[-1])
        spent = server["cpu"]
        for (ours, theirs), gate in SERVER.items():
            if gate in chosen:
                yield Result(gate, server[ours], server.get(theirs, []), spent.get(ours), spent.get(theirs))
        if set(BROWSER.values()).isdisjoint(chosen):
            return
        say("pages: browser")
        browser = _browser(panel, server["paths"], all_rows)
        for (page, what), gate in BROWSER.items():
            if gate in chosen:
                yield Result(gate, browser[page][what], browser[page][f"{what}_all"])


# Runs with the panel's settings: the test client takes every middleware, and a connection that is opened anew as the
# server opens one for each request.
_SERVER = """
import json, time
from pathlib import Path
from unittest.mock import patch
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from infrastructure import tree
from infrastructure.models import VE, Node
from infrastructure.views import tree as view
from panel.accounts.models import User

client = Client(headers={{"host": "localhost"}})
client.force_login(User.objects.get(username="scale"))
nodes = list(Node.objects.order_by("name").values_list("pk", flat=True))
ve = VE.objects.filter(node=nodes[len(nodes) // 2]).order_by("name")[5]
everything = ",".join(map(str, nodes))
found = {{name: [] for name in ("tree", "tree_all", "expand", "search", "queries", "ve", "node")}}
cpu = {{}}

def timed(name, path, **query):
    connection.close()
    start, busy = time.perf_counter(), time.process_time()
    answer = client.get(path, query)
    found[name].append((time.perf_counter() - start) * 1000)
    cpu[name] = cpu.get(name, 0) + time.process_time() - busy
    assert answer.status_code == 200, (path, answer.status_code)
    return answer

words = ["web", ve.name[-5:], str(ve.uuid)[5:17], ve.addresses[0], ve.nics[0]["mac"], "zzz", "10.1", "1"]
for turn in range({rounds} + 1):
    timed("tree", "/tree/", open=",".join(map(str, nodes[:40])), first=700, rows=70)
    with patch.object(view, "OPEN_AT_MOST", 10**9), patch.object(tree, "ROWS_AT_MOST", 10**9):
        whole = timed("tree_all", "/tree/", open=everything, first=0, rows=10**9)
    timed("expand", "/tree/", open=str(nodes[turn]), first=turn, rows=70)
    for word in words:
        timed("search", "/search/", q=word, scope="all")
    timed("ve", f"/infrastructure/ves/{{ve.pk}}/")
    timed("node", f"/infrastructure/nodes/{{nodes[len(nodes) // 2]}}/", tab="ves")
    if turn == 0:  # the first one compiles templates
        for samples in ("tree", "tree_all", "expand", "search", "ve", "node"):
            found[samples].clear()
        cpu.clear()
    some = everything[:400]
    for query in ({{"first": 0}}, {{"open": str(nodes[3])}}, {{"q": "web"}}, {{"open": some, "first": 300}}):
        with CaptureQueriesContext(connection) as seen:
            client.get("/tree/", query)
        found["queries"].append(len(seen))
assert whole.content.count(b'role="treeitem"') == 1 + len(nodes) + VE.objects.count()
Path({all_rows!r}).write_bytes(whole.content)
paths = {{"ve": f"/infrastructure/ves/{{ve.pk}}/", "node": f"/infrastructure/nodes/{{ve.node_id}}/?tab=ves"}}
print(json.dumps({{**found, "paths": paths, "cpu": cpu}}))
"""


def _browser(panel: Panel, paths: dict[str, str], all_rows: Path) -> dict[str, dict[str, list[float]]]:
    """Elements and first paint of the pages by name, with the window of the tree and with all its rows."""
    names = ("elements", "elements_all", "paint", "paint_all")
    found: dict[str, dict[str, list[float]]] = {page: {name: [] for name in names} for page in paths}
    everything = re.sub(r"^.*?(?=<div class=.tree.)", "", all_rows.read_text(), flags=re.S)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        context = chromium.new_context(base_url=panel.url, viewport={"width": 1440, "height": 900})
        _sign_in(context, panel)
        for turn in range(ROUNDS + 1):
            for page, path in paths.items():
                for suffix, rows in (("", ""), ("_all", everything)):
                    elements, paint = _visit(context, path, rows)
                    if turn:  # the first visit fetches the assets
                        found[page][f"elements{suffix}"].append(elements)
                        found[page][f"paint{suffix}"].append(paint)
        chromium.close()
    return found


def _visit(context: BrowserContext, path: str, rows: str) -> tuple[float, float]:
    """Number of elements and ms to the first contentful paint; `rows` take the place of the tree's."""
    page = context.new_page()
    if rows:
        page.route(f"**{path}", lambda route: _with_rows(route, rows))
    page.goto(path, timeout=300_000)
    page.wait_for_load_state("load")
    paint = None
    while paint is None:  # by asking again: the page's own policy forbids the evaluation that waiting for it needs
        paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
        page.wait_for_timeout(20)
    elements = page.evaluate("document.querySelectorAll('*').length")
    page.close()
    if rows:
        time.sleep(SETTLE_SECONDS)
    return float(elements), float(paint)


def _with_rows(route: Route, rows: str) -> None:
    answer = route.fetch()
    text = answer.text()
    start = text.index('<div class="tree"')
    end = text.index('<div class="tree-foot">')
    route.fulfill(response=answer, body=text[:start] + rows + text[end:])


def _sign_in(context: BrowserContext, panel: Panel) -> None:
    page = context.new_page()
    page.goto("/account/login/")
    page.get_by_label("User name").fill(USER)
    page.get_by_label("Password", exact=True).fill(panel.password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("tree", name="Infrastructure").wait_for()
    page.close()
