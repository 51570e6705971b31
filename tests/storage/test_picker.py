"""The picker on a page: what it shows, keeps and greys, and what a change of the cluster or the choice does to it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from lxml import html

from panel.accounts.models import User
from storage.models import Cluster
from tests.storage.fake_clusters import Driven, driven

URL = "/storage/policies/"
FRAGMENT = {"HX-Request": "true", "HX-Target": "redundancy"}


@pytest.fixture
def storage(db: None) -> Iterator[Driven]:
    with driven() as found:
        yield found


@pytest.fixture
def get(viewer: User, client_of: Callable[[User], Any]) -> Callable[..., Any]:
    """get(tier=2, mode="r3") → the page as a tree; `fragment=True` as the picker asks for its regions."""
    client = client_of(viewer)

    def read(*, fragment: bool = False, **query: object) -> Any:
        answer = client.get(URL, query, headers=FRAGMENT if fragment else {})
        assert answer.status_code == 200
        return html.fromstring(f"<div>{answer.content.decode()}</div>" if fragment else answer.content.decode())

    return read


def words(element: Any) -> str:
    return " ".join(element.text_content().split())


def chosen(page: Any) -> dict[str, str]:
    return {radio.get("name"): radio.get("value") for radio in page.xpath('//input[@type="radio"][@checked]')}


def disabled(page: Any, name: str) -> list[str]:
    return page.xpath(f'//input[@name="{name}"][@disabled]/@value')


def fit(page: Any, mode: str) -> str:
    return words(page.xpath(f'//*[@id="fit-{mode}"]')[0])


def consequences(page: Any) -> str:
    return words(page.xpath('//*[@id="consequences"]')[0])


def test_it_begins_with_what_fits(storage: Driven, get: Callable[..., Any]) -> None:
    page = get()
    assert chosen(page) == {"tier": "2", "domain": "host", "mode": "r3"}
    assert disabled(page, "tier") == ["0", "1", "3"]
    assert disabled(page, "domain") == ["rack", "row", "room"]
    assert disabled(page, "mode") == ["ec3-2", "ec5-2", "ec7-2", "ec17-3"]


def test_modes_say_how_they_fit(storage: Driven, get: Callable[..., Any]) -> None:
    page = get(tier=2, domain="host")
    assert fit(page, "ec3-2") == "Needs 5 hosts, tier 2 has 3"
    assert (fit(page, "r1"), fit(page, "r2"), fit(page, "r3")) == (
        "No redundancy",
        "Fits, 1 spare",
        "Fits, no spare host",
    )
    row = [words(cell) for cell in page.xpath('//tr[@id="pick-ec17-3"]/td')]
    assert row == ["", "Encoding 17+3", "18%", "20", "3", "2", "118 GiB", "Needs 20 hosts, tier 2 has 3"]


def test_failure_domains_say_their_count(storage: Driven, get: Callable[..., Any]) -> None:
    page = get()
    assert words(page.xpath('//*[@id="domain-words-osd"]')[0]) == "Covers a failed disk. 21 in tier 2"
    assert words(page.xpath('//*[@id="domain-words-rack"]')[0]) == "Covers a failed rack. 0 in tier 2"


def test_a_choice_is_kept_while_it_fits(storage: Driven, get: Callable[..., Any]) -> None:
    assert chosen(get(tier=2, domain="osd", mode="ec5-2")) == {"tier": "2", "domain": "osd", "mode": "ec5-2"}
    assert chosen(get(tier=2, domain="host", mode="ec5-2"))["mode"] == "r2"


def test_a_choice_that_stops_fitting_is_told_until_the_next_choice(storage: Driven, get: Callable[..., Any]) -> None:
    page = get(domain="osd", mode="ec17-3")
    assert page.xpath('//input[@name="left"]/@value') == [""]
    storage.fake.stop(19, 20)
    storage.observe()
    page = get(domain="osd", mode="ec17-3")
    assert "Encoding 17+3 does not fit now. 2 replicas is chosen instead." in consequences(page)
    assert page.xpath('//input[@name="left"]/@value') == ["ec17-3"]
    assert "does not fit now" in consequences(get(domain="osd", mode="r2", left="ec17-3"))
    assert "does not fit now" not in consequences(get(domain="osd", mode="r2", left=""))
    storage.fake.start(19, 20)
    storage.observe()
    assert "does not fit now" not in consequences(get(domain="osd", mode="r2", left="ec17-3"))


def test_both_figures_are_told(storage: Driven, get: Callable[..., Any]) -> None:
    told = consequences(get(domain="osd", mode="ec17-3"))
    assert "Loses nothing after any 3 disks are lost" in told
    assert "Keeps serving after any 2 disks are lost" in told
    assert "The loss of one host may lose data." in told


def test_what_a_size_takes_is_told(storage: Driven, get: Callable[..., Any]) -> None:
    page = get(size=2, mode="r3", noun="LUN")
    assert consequences(page).startswith("What this means 6 GiB of raw space for 2 GiB")
    assert words(page.xpath('//tr[@id="pick-r2"]/td')[6]) == "4 GiB"


def test_a_size_too_large_is_greyed(storage: Driven, get: Callable[..., Any]) -> None:
    assert fit(get(size=1000), "r2") == "Not enough free space"
    assert "No mode fits." in consequences(get(size=1000))


def test_the_drawing_has_a_box_for_each_disk(storage: Driven, get: Callable[..., Any]) -> None:
    page = get(domain="osd", mode="ec5-2")
    groups = page.xpath('//*[@class="mini"]/div')
    assert [words(group.xpath("./span")[0]) for group in groups] == ["primary", "secondnode1", "secondnode2"]
    assert [len(group.xpath(".//i")) for group in groups] == [7, 7, 7]
    assert ["".join(group.xpath(".//i/text()")) for group in groups] == ["DDDDDPP", "", ""]
    assert ["".join(g.xpath(".//i/text()")) for g in get(mode="r3").xpath('//*[@class="mini"]/div')] == ["C"] * 3


def test_a_change_brings_the_two_regions_and_no_more(storage: Driven, get: Callable[..., Any]) -> None:
    page = get(fragment=True, mode="r2")
    assert page.xpath("./*/@id") == ["redundancy", "consequences"]
    assert page.xpath('//*[@id="consequences"]/@hx-swap-oob') == ["morph"]
    assert not get(mode="r2").xpath('//*[@id="consequences"]/@hx-swap-oob')


def test_the_counts_follow_a_killed_disk(storage: Driven, get: Callable[..., Any]) -> None:
    storage.fake.stop(20)
    storage.observe()
    page = get(fragment=True, domain="osd")
    assert words(page.xpath('//*[@id="domain-words-osd"]')[0]) == "Covers a failed disk. 20 in tier 2"
    assert fit(page, "ec17-3") == "Fits, no spare disk"
    assert "20 of 21 disks count." in consequences(page)


def test_the_region_is_read_again_when_the_storage_changed(storage: Driven, get: Callable[..., Any]) -> None:
    [region] = get().xpath('//*[@id="redundancy"]')
    assert (region.get("data-topic"), region.get("data-refresh")) == ("storage", "storage")
    assert region.get("hx-trigger") == "change delay:150ms, mooring:refresh"


@pytest.mark.parametrize(
    "query",
    [{"tier": "9"}, {"tier": "x"}, {"domain": "<b>"}, {"mode": "zz"}, {"size": "-1"}, {"size": "²"}, {"noun": "<b>"}],
)
def test_nonsense_falls_back_to_the_default(storage: Driven, get: Callable[..., Any], query: dict[str, str]) -> None:
    page = get(**query)
    assert chosen(page)["tier"] == "2"
    assert chosen(page)["domain"] == "host"
    assert "<b>" not in consequences(page)


def test_a_silent_cluster_says_so_and_allows_nothing(storage: Driven, get: Callable[..., Any]) -> None:
    from datetime import timedelta

    from django.utils import timezone

    Cluster.objects.update(observed_at=timezone.now() - timedelta(seconds=40))
    page = get()
    assert "storage1 has not answered for 40 s." in consequences(page)
    assert page.xpath('//*[@id="consequences"]/@data-refusal') == ["storage1 has not answered for 40 s"]


def test_a_near_full_tier_says_the_figure_and_allows_nothing(storage: Driven, get: Callable[..., Any]) -> None:
    storage.fake.fill(0.9)
    storage.observe()
    page = get()
    assert "Tier 2 is 90% full, and the near-full mark is 85%." in consequences(page)
    assert page.xpath('//*[@id="consequences"]/@data-refusal')[0].startswith("Tier 2 is 90% full")


def test_without_a_cluster_the_page_says_so(get: Callable[..., Any]) -> None:
    assert "No storage cluster is connected" in words(get())


def test_it_takes_few_queries(storage: Driven, viewer: User, client_of: Callable[[User], Any]) -> None:
    client = client_of(viewer)
    client.get(URL)
    with CaptureQueriesContext(
        connection,
    ) as found:
        client.get(URL, {"mode": "r3"}, headers=FRAGMENT)
    assert len(found) <= 6, [query["sql"] for query in found]
