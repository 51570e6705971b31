"""Keeping what VEs are found by."""

from collections.abc import Iterable, Iterator
from typing import Any

from infrastructure.models import VE, VEWords

SOURCES = frozenset({"name", "uuid", "addresses", "nics"})  # the columns that words are made of
BATCH = 500


def write_words(ves: Iterable[VE]) -> None:
    """Write the words of new or changed VEs; theirs are one statement for 500."""
    rows = [VEWords(ve=ve, names=f"{ve.name}\n{ve.uuid}".lower(), addresses=_addresses(ve)) for ve in ves]
    VEWords.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["ve"],
        update_fields=["names", "addresses"],
    )


def on_save(sender: type[VE], instance: VE, update_fields: frozenset[str] | None, **_: Any) -> None:
    """Receiver of VE's post_save: a VE that was saved by itself is found as well."""
    if update_fields is None or SOURCES & update_fields:
        write_words([instance])


def addresses_of(ve: VE) -> Iterator[str]:
    """Every IP and MAC address of the VE, each once."""
    found = dict.fromkeys(ve.addresses)
    for nic in ve.nics:
        found |= dict.fromkeys([str(nic.get("mac") or ""), *nic.get("addresses", [])])
    return (address for address in found if address)


def _addresses(ve: VE) -> str:
    return "\n".join(addresses_of(ve)).lower()
