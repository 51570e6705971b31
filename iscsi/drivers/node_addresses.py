"""IP addresses of a node, over `ip`."""

import json
from collections.abc import Iterator

from infrastructure.drivers.base import HostDriver
from infrastructure.drivers.errors import Conflict, DriverError, NotFound, Refused
from iscsi.drivers import rules
from iscsi.drivers.facts import AddressFacts

# Who answers at an address that is to be added: two probes of a second, as RFC 5227 has it.
_PROBE = ("arping", "-D", "-q", "-c", "2", "-w", "3", "-I")
_TELL = ("arping", "-A", "-q", "-c", "2", "-w", "3", "-I")
_SILENT, _ANSWERED = 0, 1
_USED = "Choose another address, or find the machine that has it."


class NodeAddresses:
    """AddressKeeper on a real node."""

    _host: HostDriver

    def addresses(self) -> tuple[AddressFacts, ...]:
        done = self._host.run(["ip", "-j", "address", "show"])
        try:
            told = json.loads(done.text or "[]")
        except ValueError:
            raise DriverError("The node's `ip` does not print JSON", code="no-iproute2", component="host") from None
        return tuple(sorted(_usable(told), key=lambda each: (each.interface, each.address)))

    def add_address(self, address: str, prefix: int, interface: str) -> bool:
        _check(address, prefix, interface)
        there = next((each for each in self.addresses() if each.address == address), None)
        if there is not None and there.interface == interface:
            return False
        if there is not None:
            raise _used(f"{there.interface} of this node has {address} already")
        if self._probe(address, interface) == _ANSWERED:
            raise _used(f"Another machine answers at {address}")
        done = self._host.run(["ip", "address", "add", f"{address}/{prefix}", "dev", interface], check=False)
        said = done.stderr.decode(errors="replace").strip()
        if done.code != 0 and "File exists" not in said:
            raise _failure(said, address, interface)
        if ":" not in address:
            self._arping(*_TELL, interface, "-s", address, address)
        return True

    def remove_address(self, address: str, prefix: int, interface: str) -> bool:
        _check(address, prefix, interface)
        wanted = (address, interface)
        if not any((each.address, each.interface) == wanted for each in self.addresses()):
            return False
        done = self._host.run(["ip", "address", "delete", f"{address}/{prefix}", "dev", interface], check=False)
        said = done.stderr.decode(errors="replace").strip()
        if done.code != 0 and "Cannot assign" not in said:
            raise _failure(said, address, interface)
        return done.code == 0

    def is_answered(self, address: str, interface: str) -> bool:
        rules.check_address(address)
        code = self._probe(address, interface)
        if code not in (_SILENT, _ANSWERED):
            raise DriverError(
                f"Whether a machine answers at {address} could not be found out on {interface} (arping: {code})",
                code="no-arping",
                component="host",
                advice="See that iputils-arping is installed there and that the interface is up.",
            )
        return code == _ANSWERED

    def _probe(self, address: str, interface: str) -> int:
        """How arping ended. IPv6 is not looked for: it finds out by itself when it is added."""
        return _SILENT if ":" in address else self._arping(*_PROBE, interface, address)

    def _arping(self, *words: str) -> int:
        """How it ended; a node without it adds addresses without asking whether others have them."""
        return self._host.run(list(words), check=False).code


def _check(address: str, prefix: int, interface: str) -> None:
    rules.check_address(address)
    if not 1 <= prefix <= (128 if ":" in address else 32):
        raise Refused(f"/{prefix} is no length of a prefix", code="bad-prefix", component="host")
    if not interface or len(interface) > 15 or interface.startswith("-") or "/" in interface or " " in interface:
        raise Refused(f"{interface[:40]!r} is no interface", code="bad-interface", component="host")


def _usable(told: list[dict[str, object]]) -> Iterator[AddressFacts]:
    for link in told:
        for row in link.get("addr_info") or ():  # type: ignore[attr-defined]
            if row.get("scope") == "global" and rules.is_address(str(row.get("local", ""))):
                yield AddressFacts(str(row["local"]), int(row.get("prefixlen", 0)), str(link.get("ifname", "")))


def _used(message: str) -> Conflict:
    return Conflict(message, code="address-used", component="host", advice=_USED)


def _failure(said: str, address: str, interface: str) -> DriverError:
    words = said.splitlines()[-1][:200] if said else "no reason given"
    kind = NotFound if "Cannot find device" in said or "does not exist" in said else DriverError
    return kind(f"{address} was not changed on {interface}: {words}", code="address", component="host")
