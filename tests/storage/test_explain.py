"""What a health check means for the data: nothing calming is said that is not so."""

from dataclasses import replace

import pytest

from storage.drivers.facts import Groups, HealthCheck
from storage.explain import explain
from tests.storage.samples import cluster_facts

CODES = ("OSD_DOWN", "OSD_HOST_DOWN", "OSD_RACK_DOWN", "PG_DEGRADED")
SERVED = Groups(total=4, states={"active+clean": 2, "active+undersized+degraded": 2})


def means(code: str, groups: Groups, *, manager: bool = True) -> str:
    facts = replace(cluster_facts(), groups=groups, manager_answers=manager)
    return explain(HealthCheck(code, "HEALTH_WARN", "something is down"), facts, {}).means


@pytest.mark.parametrize("code", CODES)
def test_no_data_is_said_to_be_lost_while_all_of_it_is_served(code: str) -> None:
    assert means(code, SERVED).startswith("No data is lost")


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "groups",
    [
        Groups(total=4, states={"active+clean": 3, "down": 1}),
        Groups(total=4, states={"active+clean": 3, "undersized+degraded+peered": 1}),
        replace(SERVED, unfound=1),
    ],
)
def test_what_is_not_served_is_said_of_each_of_them(code: str, groups: Groups) -> None:
    assert means(code, groups).startswith("Reads and writes of some pieces wait")


@pytest.mark.parametrize("code", CODES)
def test_without_a_manager_nothing_is_claimed(code: str) -> None:
    assert means(code, SERVED, manager=False) == "Whether all data is served is known again when a manager answers."
