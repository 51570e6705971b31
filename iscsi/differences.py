"""What a target's server lacks of what it should have, as calls of its driver in the order that is safe. Pure.

The order keeps one promise, whatever a server has at first: nobody can log in without CHAP where CHAP is wanted, or
while the list of initiators is another one. A target that is built is closed until all else is there.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from iscsi import equivalents
from iscsi.drivers.base import TargetServers
from iscsi.drivers.facts import AddressFacts, LunFacts, LunSpec, ServerFacts, ServerSpec, TargetFacts, TargetSpec
from iscsi.equivalents import Commands

# Servers round sizes to about a MiB, and sizes of LUNs are whole GiB.
SAME_SIZE = 4 << 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be of one target: its server, the target with its LUNs (None: no server), the addresses it needs.

    sizes: LUN → bytes. `surplus`: addresses of Mooring's that its node should not have.
    """

    server: ServerSpec
    target: TargetSpec | None = None
    sizes: Mapping[int, int] = field(default_factory=dict)
    addresses: tuple[AddressFacts, ...] = ()
    surplus: tuple[AddressFacts, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """A call of the driver, in words and as the commands that do the same by hand.

    lun: the LUN that it is about. When it fails the others go on; when another one fails, nothing may follow.
    shows: the image that the server opens by it, which must be taken from whoever had it before, such as one that died.
    """

    words: str
    do: Callable[[TargetServers], object] = field(compare=False)
    commands: Commands = field(default_factory=list)
    lun: int | None = None
    shows: str = ""


def differences(wanted: Wanted, found: ServerFacts | None) -> list[Action]:
    """What is to be done, in this order; nothing where all is as wanted, or the server does not tell what it has."""
    if wanted.target is None:
        return [_stop(wanted.server.number)] if found is not None else []
    if found is None or not found.running:
        return [_start(wanted.server), *_whole(wanted, wanted.target)]
    if found.error is not None:
        return []
    # One that waits though it runs is kept by nobody: a crash would be its end.
    moved = [_start(wanted.server)] if found.waiting or set(found.portals) != set(wanted.server.portals) else []
    return [*moved, *_content(wanted, wanted.target, found)]


def _content(wanted: Wanted, wished: TargetSpec, found: ServerFacts) -> list[Action]:
    """What a server that runs lacks of its target."""
    if found.target is None:
        return _whole(wanted, wished)
    if found.target.iqn != wished.iqn:
        number = wanted.server.number
        drop = Action(
            f"Removing {found.target.iqn}",
            lambda servers: servers.remove_target(number),
            equivalents.remove_target(number),
        )
        return [drop, *_whole(wanted, wished)]
    return _changed(wanted, wished, found.target)


def address_differences(wanted: Wanted, there: Iterable[AddressFacts]) -> list[Action]:
    """Addresses to add, and those to take away: only such as Mooring itself put on the node are ever wanted here."""
    known = {each.address: each for each in there}
    lacking = [_add_address(each) for each in wanted.addresses if not _has(known, each)]
    return lacking + [_drop_address(each) for each in wanted.surplus if _has(known, each)]


def _has(known: Mapping[str, AddressFacts], wanted: AddressFacts) -> bool:
    return wanted.address in known and known[wanted.address].interface == wanted.interface


def _whole(wanted: Wanted, target: TargetSpec) -> list[Action]:
    number = wanted.server.number
    make = Action(
        f"Making {target.iqn}",
        lambda servers: servers.make_target(number, target.iqn),
        equivalents.make_target(number, target.iqn),
    )
    return [make, *_changed(wanted, target, TargetFacts(target.iqn, ready=True))]


def _changed(wanted: Wanted, target: TargetSpec, found: TargetFacts) -> list[Action]:
    number = wanted.server.number
    actions: list[Action] = []
    other_users = not _same_users(target, found)
    is_open = found.initiators is not None
    if is_open and other_users:
        actions.append(
            Action("Closing it meanwhile", lambda servers: servers.close_target(number), equivalents.close(number))
        )
        is_open = False
    if other_users:
        actions.append(_set_accounts(number, target))
    actions += _luns(wanted, target, found)
    if not is_open or set(found.initiators or ()) != set(target.initiators):
        actions.append(_open(number, target))
    if target.initiators and any(each.initiator not in target.initiators for each in found.sessions):
        actions.append(
            Action("Ending its sessions: one is of an initiator that may not log in any more",
                   lambda servers: servers.end_sessions(number), [])
        )  # fmt: skip
    return actions


def _same_users(target: TargetSpec, found: TargetFacts) -> bool:
    mutual = (target.mutual.user, target.mutual.revision) if target.mutual else None
    return found.mutual == mutual and found.accounts == {each.user: each.revision for each in target.accounts}


def _luns(wanted: Wanted, target: TargetSpec, found: TargetFacts) -> list[Action]:
    number = wanted.server.number
    shown = {lun.number: lun for lun in found.luns}
    specs = {lun.number: lun for lun in target.luns}
    gone = [each for key, each in shown.items() if key not in specs or not _same_image(each, specs[key])]
    actions = [_remove_lun(number, each.number) for each in gone]
    for key, spec in sorted(specs.items()):
        there = shown.get(key)
        if there is None or there in gone:
            actions.append(_add_lun(number, spec))
        elif not there.online or abs(there.size - wanted.sizes.get(key, there.size)) > SAME_SIZE:
            actions.append(_reload_lun(number, spec))
    return actions


def _same_image(shown: LunFacts, spec: LunSpec) -> bool:
    return (shown.pool, shown.image, shown.serial) == (spec.pool, spec.image, spec.serial)


def _start(spec: ServerSpec) -> Action:
    return Action(
        f"Starting target server {spec.number} at {', '.join(spec.portals)}",
        lambda servers: servers.start(spec),
        equivalents.start(spec),
    )


def _stop(number: int) -> Action:
    return Action(f"Stopping target server {number}", lambda servers: servers.stop(number), equivalents.stop(number))


def _set_accounts(number: int, target: TargetSpec) -> Action:
    names = ", ".join(account.user for account in target.accounts)
    return Action(
        f"Asking for CHAP of {names}" if names else "Asking for CHAP no more",
        lambda servers: servers.set_accounts(number, target.accounts, target.mutual),
        equivalents.set_accounts(number, target),
    )


def _open(number: int, target: TargetSpec) -> Action:
    return Action(
        f"Letting in {', '.join(target.initiators) or 'every initiator'}",
        lambda servers: servers.open(number, target.initiators),
        equivalents.open_to(number, target.initiators),
    )


def _add_lun(number: int, spec: LunSpec) -> Action:
    return Action(
        f"Showing {spec.pool}/{spec.image} as LUN {spec.number}",
        lambda servers: servers.add_lun(number, spec),
        equivalents.add_lun(number, spec),
        lun=spec.number,
        shows=spec.image,
    )


def _remove_lun(number: int, lun: int) -> Action:
    return Action(
        f"Showing LUN {lun} no more",
        lambda servers: servers.remove_lun(number, lun),
        equivalents.remove_lun(number, lun),
        lun=lun,
    )


def _reload_lun(number: int, spec: LunSpec) -> Action:
    return Action(
        f"Opening {spec.pool}/{spec.image}, LUN {spec.number}, anew",
        lambda servers: servers.reload_lun(number, spec),
        [*equivalents.remove_lun(number, spec.number), *equivalents.add_lun(number, spec)],
        lun=spec.number,
    )


def _add_address(each: AddressFacts) -> Action:
    return Action(
        f"Adding the address {each.address}/{each.prefix} to {each.interface}",
        lambda servers: servers.add_address(each.address, each.prefix, each.interface),
        equivalents.add_address(each),
    )


def _drop_address(each: AddressFacts) -> Action:
    return Action(
        f"Taking the address {each.address}/{each.prefix} off {each.interface}",
        lambda servers: servers.remove_address(each.address, each.prefix, each.interface),
        equivalents.remove_address(each),
    )
