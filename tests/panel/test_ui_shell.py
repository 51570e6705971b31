"""The frame of every page: theme, navigation, content security."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders

from panel.accounts.models import User

pytestmark = pytest.mark.django_db

PAGE = "/infrastructure/nodes/"


def shell(client: Any) -> str:
    answer = client.get(PAGE)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize(("cookie", "theme"), [("dark", "dark"), ("light", "light")])
def test_the_chosen_theme_is_in_the_first_byte(cookie: str, theme: str, viewer: User, client_of: Any) -> None:
    client = client_of(viewer)
    client.cookies["theme"] = cookie

    html = shell(client)

    assert f'<html lang="en" data-bs-theme="{theme}">' in html
    assert "theme-first.js" not in html


@pytest.mark.parametrize("cookie", ["", '"><script>', "blue"])
def test_without_a_choice_the_system_decides_before_the_first_paint(cookie: str, viewer: User, client_of: Any) -> None:
    client = client_of(viewer)
    client.cookies["theme"] = cookie

    html = shell(client)

    assert "data-theme-auto" in html
    assert html.index("theme-first.js") < html.index("<body")
    assert "<script>" not in html


def test_only_pages_the_user_may_open_are_linked(viewer: User, administrator: User, client_of: Any) -> None:
    assert 'href="/audit/"' not in shell(client_of(viewer))
    assert 'href="/audit/"' in shell(client_of(administrator))


def test_every_link_of_the_frame_leads_somewhere(administrator: User, client_of: Any) -> None:
    client = client_of(administrator)

    for href in set(re.findall(r'<a [^>]*href="(/[^"]*)"', shell(client))):
        if href.startswith("/static/"):
            continue
        assert client.get(href).status_code in (200, 302), href


def test_the_group_of_the_current_page_is_open(administrator: User, client_of: Any) -> None:
    html = client_of(administrator).get("/tasks/").content.decode()

    assert re.search(r'aria-expanded="true" aria-controls="nav-management"', html)
    assert 'href="/tasks/" aria-current="page"' in html


def test_nothing_needs_inline_script_or_style(administrator: User, client_of: Any) -> None:
    answer = client_of(administrator).get(PAGE)
    html = answer.content.decode()

    policy = answer["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|javascript:", html)


def test_every_asset_of_the_frame_exists(viewer: User, client_of: Any) -> None:
    assets = re.findall(rf'(?:src|href)="{settings.STATIC_URL}([^"]+)"', shell(client_of(viewer)))

    assert len(assets) >= 7
    for asset in assets:
        assert finders.find(asset), asset


def test_the_csrf_token_goes_with_every_request_of_htmx(viewer: User, client_of: Any) -> None:
    assert re.search(r"""hx-headers='\{"X-CSRFToken": "\w{32,}"\}'""", shell(client_of(viewer)))


def test_a_fragment_for_a_signed_out_browser_reloads_the_page(client_class: Any) -> None:
    answer = client_class().get(PAGE, headers={"HX-Request": "true"})

    assert answer.status_code == 401
    assert answer["HX-Refresh"] == "true"
