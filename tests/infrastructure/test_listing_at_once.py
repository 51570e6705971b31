"""All domains are asked at once, and each by itself only for what the engine does not tell so."""

from collections.abc import Callable
from typing import Any

import libvirt
import pytest

from infrastructure.drivers.facts import VEKind, VEState
from infrastructure.drivers.libvirt_inventory import _all_domains
from tests.infrastructure.test_driver_errors import libvirt_error

UNKNOWN = libvirt_error(libvirt.VIR_ERR_NO_SUPPORT, "not supported", libvirt.VIR_FROM_NONE)


class Counted:
    """libvirt's test driver, of which every question about one domain is counted."""

    def __init__(self, connection: "libvirt.virConnect", lacks: tuple[str, ...] = ()) -> None:
        self._connection, self._lacks = connection, lacks
        self.asked: list[str] = []

    def listAllDomains(self, flags: int = 0) -> list[Any]:
        if flags and "marks" in self._lacks:
            raise UNKNOWN
        return [_Domain(domain, self.asked) for domain in self._connection.listAllDomains(flags)]

    def getAllDomainStats(self, groups: int, flags: int) -> list[Any]:
        if "stats" in self._lacks:
            raise UNKNOWN
        return self._connection.getAllDomainStats(groups, flags)


class _Domain:
    def __init__(self, domain: "libvirt.virDomain", asked: list[str]) -> None:
        self._domain, self._asked = domain, asked

    def UUIDString(self) -> str:
        return self._domain.UUIDString()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        self._asked.append(name)
        return getattr(self._domain, name)  # type: ignore[no-any-return]


@pytest.fixture
def connection() -> "libvirt.virConnect":
    return libvirt.open("test:///default")


def test_a_running_vm_costs_one_question(connection: "libvirt.virConnect") -> None:
    counted = Counted(connection)
    (ve,) = _all_domains(counted, VEKind.VM)  # type: ignore[arg-type]
    assert ve.state is VEState.RUNNING and ve.persistent
    assert [name for name in counted.asked if name != "blockInfo"] == ["XMLDesc"]


@pytest.mark.parametrize("lacks", [("marks",), ("stats",), ("marks", "stats")])
def test_an_engine_that_cannot_tell_them_all_is_asked_about_each(
    connection: "libvirt.virConnect", lacks: tuple[str, ...]
) -> None:
    counted = Counted(connection, lacks)
    found = _all_domains(counted, VEKind.VM)  # type: ignore[arg-type]
    assert found == _all_domains(connection, VEKind.VM)
    assert ("autostart" in counted.asked) is ("marks" in lacks)
    assert ("state" in counted.asked) is ("stats" in lacks)
