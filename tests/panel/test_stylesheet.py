"""Our stylesheets reach the browser as one file."""

import re
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client

from panel.ui.stylesheet import NAME, SHEETS

CSS = settings.BASE_DIR / "static" / "css"
ALONE = {"entrance"}  # of the pages before a sign-in


def test_it_is_all_of_them_in_order() -> None:
    made = finders.find(NAME)
    assert isinstance(made, str)
    assert Path(made).read_text() == "\n".join((CSS / f"{name}.css").read_text() for name in SHEETS)


def test_none_is_left_out() -> None:
    assert {path.stem for path in CSS.glob("*.css")} == {*SHEETS, *ALONE}


def test_none_imports_another_which_only_the_first_rule_of_a_file_may() -> None:
    for name in SHEETS:
        assert "@import" not in (CSS / f"{name}.css").read_text(), name


def test_it_is_collected() -> None:
    found = {path for finder in finders.get_finders() for path, _ in finder.list(None)}
    assert NAME in found


def test_the_page_links_it_and_the_server_has_it(client: Client, db: None) -> None:
    page = client.get("/accounts/login/", follow=True).content.decode()
    links = re.findall(r'href="([^"]+\.css)"', page)
    assert [link for link in links if link.endswith(NAME)]
    answers = [client.get(link) for link in links]
    assert [answer.status_code for answer in answers] == [200] * len(links)
    for answer in answers:
        answer.close()
