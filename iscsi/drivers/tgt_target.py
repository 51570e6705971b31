"""The target of a server, changed by tgt's control protocol.

What is delicate in tgt 1.0.85, and why things are done in this order: a target without access rules lets nobody log in,
one with a rule for an address lets all of that address in whatever their names; a target without accounts asks for no
CHAP; taking away an account that is not the last one makes the next listing crash; a LUN that is closed while a command
is under way crashes. Every LUN, of whatever target, says the same of itself until it is told an identity.
"""

import hashlib
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from infrastructure.drivers.errors import DriverError
from iscsi.drivers import ceph_files, protocol, rules, shown
from iscsi.drivers.facts import Account, LunFacts, LunSpec, TargetFacts
from iscsi.drivers.protocol import ALL, Failure, Request
from iscsi.drivers.tgt_wire import Wire

# A LUN is opened within the request; Ceph that answers takes a few tenths of a second.
OPEN_SECONDS = 15.0
DRAIN_SECONDS = 8.0
_PAUSE = 0.1
_VENDOR, _PRODUCT = "MOORING", "LUN"
# 4 KiB: tgt would tell of a disk with blocks as big as RADOS objects, which some file systems refuse.
_PHYSICAL_BLOCK = "3"


class TgtTargets:
    """TargetKeeper on a real node."""

    _wire: Wire
    _name: str  # of the node

    def _user(self) -> str:
        """As whom the node's servers open images, without "client."."""
        raise NotImplementedError

    def make_target(self, number: int, iqn: str) -> bool:
        rules.check_iqn(iqn)
        found = self._find(number)
        if found is None:
            self._do(number, protocol.new_target(_number_of(iqn), iqn), f"make the target {iqn}")
            return True
        if found[1].iqn != iqn:
            raise rules.other_target(number, found[1].iqn)
        return False

    def remove_target(self, number: int) -> bool:
        found = self._find(number)
        if found is None:
            return False
        target, facts = found
        self._close(number, target)
        for lun in facts.luns:
            self._drop(number, target, lun.number)
        end = time.monotonic() + DRAIN_SECONDS
        while self._ask(number, protocol.delete_target(target)) not in (0, Failure.NO_TARGET):
            if time.monotonic() > end:
                raise rules.busy_target(number)
            self._end_sessions(number, target)
            time.sleep(_PAUSE)
        return True

    def set_accounts(self, number: int, accounts: tuple[Account, ...], mutual: Account | None = None) -> bool:
        rules.check_accounts(accounts, mutual)
        target, facts = self._require(number)
        wanted = {account.user: account.revision for account in accounts}
        if facts.accounts == wanted and facts.mutual == ((mutual.user, mutual.revision) if mutual else None):
            return False
        with self._closed(number, target):
            self._forget_accounts(number, facts)
            for account in accounts:
                self._add_account(number, target, account, outgoing=False)
            if mutual is not None:
                self._add_account(number, target, mutual, outgoing=True)
            for account in (*accounts, *([mutual] if mutual else [])):
                mark = Account(shown.marker(account.user, account.revision), secrets.token_urlsafe(12)[:16])
                self._do(number, protocol.new_account(mark), "note the CHAP users")
        return True

    def _forget_accounts(self, number: int, facts: TargetFacts) -> None:
        """The last one first: tgt lists a target's accounts up to their number, and crashes at a gap."""
        bound = [*reversed(facts.accounts), *([facts.mutual[0]] if facts.mutual else [])]
        others = [user for user in shown.users_of(self._told(number, protocol.show_accounts())) if user not in bound]
        for user in (*bound, *others):
            self._do(number, protocol.delete_account(user), "forget a CHAP user", unless=(Failure.NO_USER,))

    def _add_account(self, number: int, target: int, account: Account, *, outgoing: bool) -> None:
        """For the target, and for discovery."""
        self._do(number, protocol.new_account(account), f"take the CHAP user {account.user}")
        for where in (ALL, target):
            request = protocol.bind_account(where, account.user, outgoing=outgoing)
            self._do(number, request, f"ask for the CHAP user {account.user}")

    def open(self, number: int, initiators: tuple[str, ...] = ()) -> bool:
        for name in initiators:
            rules.check_initiator(name)
        target, facts = self._require(number)
        changed = self._set_rules(number, target, initiators or (shown.EVERYBODY,))
        if not facts.ready:  # a reload that was interrupted
            self._do(number, protocol.set_state(target, "ready"), "go on with the target")
        return changed or not facts.ready

    def close_target(self, number: int) -> bool:
        target, _ = self._require(number)
        return self._close(number, target)

    def _close(self, number: int, target: int) -> bool:
        return self._set_rules(number, target, ())

    def _set_rules(self, number: int, target: int, wanted: tuple[str, ...]) -> bool:
        """Who is let in by now stays so while others are added."""
        there = shown.rules_of(self._told(number, protocol.show_all()))
        for name in wanted:
            if name not in there:
                bind = protocol.bind_address if name == shown.EVERYBODY else protocol.bind_initiator
                self._do(number, bind(target, name), f"let {name} in", unless=(Failure.ACL_EXISTS,))
        for name in there:
            if name not in wanted:
                self._remove_rule(number, target, name)
        return set(there) != set(wanted)

    def _remove_rule(self, number: int, target: int, name: str) -> None:
        """What is listed does not say whether it is a name or an address."""
        error = self._ask(number, protocol.unbind_initiator(target, name))
        if error == Failure.NO_ACL:
            error = self._ask(number, protocol.unbind_address(target, name))
        if error not in (0, Failure.NO_ACL):
            raise self._failure(number, error, f"keep {name} out")

    @contextmanager
    def _closed(self, number: int, target: int) -> Iterator[None]:
        """Nobody may log in within the block. When it fails, the target stays closed."""
        there = shown.rules_of(self._told(number, protocol.show_all()))
        self._close(number, target)
        yield
        self._set_rules(number, target, there)

    def add_lun(self, number: int, lun: LunSpec) -> bool:
        rules.check_lun(lun)
        target, facts = self._require(number)
        there = _lun(facts, lun.number)
        if there is not None and there.image and (there.pool, there.image) != (lun.pool, lun.image):
            raise rules.other_lun(lun.number, f"{there.pool}/{there.image}")
        if there is not None and there.image and there.serial == lun.serial and there.online:
            return False
        if there is not None:  # what an interrupted call left
            self._drop(number, target, lun.number)
        self._show(number, target, lun)
        return True

    def remove_lun(self, number: int, lun: int) -> bool:
        rules.check_lun_number(lun)
        target, facts = self._require(number)
        if _lun(facts, lun) is None:
            return False
        self._drop(number, target, lun)
        return True

    def reload_lun(self, number: int, lun: LunSpec) -> bool:
        rules.check_lun(lun)
        target, facts = self._require(number)
        there = _lun(facts, lun.number)
        if there is None:
            raise rules.no_lun(lun.number)
        if there.image and (there.pool, there.image) != (lun.pool, lun.image):
            raise rules.other_lun(lun.number, f"{there.pool}/{there.image}")
        with self._away(number, target):
            self._drop(number, target, lun.number)
            self._show(number, target, lun)
        return True

    @contextmanager
    def _away(self, number: int, target: int) -> Iterator[None]:
        """Disconnect the initiators and let none log in: they try again, and fail no command meanwhile.

        A target that is offline refuses them as one that is busy; without its access rules it would be one that is
        unknown, which initiators do not ask again. When the block fails it is ready nevertheless.
        """
        self._do(number, protocol.set_state(target, "offline"), "pause the target")
        try:
            self._end_sessions(number, target)
            yield
        finally:
            self._do(number, protocol.set_state(target, "ready"), "go on with the target")

    def end_sessions(self, number: int) -> int:
        target, _ = self._require(number)
        return self._end_sessions(number, target)

    def _end_sessions(self, number: int, target: int) -> int:
        found = self._find(number)
        sessions = found[1].sessions if found else ()
        ended = 0
        for session in sessions:
            error = self._ask(number, protocol.end_connection(target, session.id, session.connection))
            if error not in (0, Failure.NO_SESSION, Failure.NO_CONNECTION):
                raise self._failure(number, error, "disconnect an initiator")
            ended += not error
        return ended

    def _show(self, number: int, target: int, lun: LunSpec) -> None:
        """Its identity before its content: no initiator takes it for another disk."""
        said = f"open {protocol.path_of(lun)} as LUN {lun.number}"
        options = ceph_files.store_options(self._user())
        self._do(number, protocol.new_lun(target, lun.number, options), said, seconds=OPEN_SECONDS)
        try:
            identity = {
                "scsi_id": _identity(lun.serial),
                "scsi_sn": lun.serial,
                "vendor_id": _VENDOR,
                "product_id": _PRODUCT,
                "removable": "0",
                # tgt answers each UNMAP of an RBD image with a hardware error, and leaves small ones undone though it
                # says that they read as zeros: initiators must not be offered it.
                "thin_provisioning": "0",
                "lbppbe": _PHYSICAL_BLOCK,
            }
            self._do(number, protocol.change_lun(target, lun.number, **identity), said)
            path = protocol.change_lun(target, lun.number, path=protocol.path_of(lun))
            error = self._ask(number, path, seconds=OPEN_SECONDS)
            if error:
                raise rules.no_image(lun)
        except DriverError:
            with suppress(DriverError):  # what is told is why it was not shown
                self._ask(number, protocol.delete_lun(target, lun.number))
            raise

    def _drop(self, number: int, target: int, lun: int) -> None:
        """Not ready first, so that no more commands come; those under way are waited for."""
        self._ask(number, protocol.change_lun(target, lun, removable="1", online="0"))
        end = time.monotonic() + DRAIN_SECONDS
        gone = protocol.delete_lun(target, lun)  # which closes the image, and answers nobody else meanwhile
        while (error := self._ask(number, gone, seconds=OPEN_SECONDS)) == Failure.LUN_ACTIVE:
            if time.monotonic() > end:
                self._ask(number, protocol.change_lun(target, lun, removable="0", online="1"))
                raise rules.busy_lun(lun)
            time.sleep(_PAUSE)
        if error not in (0, Failure.NO_LUN):
            raise self._failure(number, error, f"take LUN {lun} away")

    def _find(self, number: int) -> tuple[int, TargetFacts] | None:
        rules.check_number(number)
        revisions = shown.revisions_of(self._told(number, protocol.show_accounts()))
        return shown.target_of(self._told(number, protocol.show_all()), revisions)

    def _require(self, number: int) -> tuple[int, TargetFacts]:
        if (found := self._find(number)) is None:
            raise rules.no_target(number)
        return found

    def _told(self, number: int, request: Request) -> str:
        answer = self._wire.ask(number, request)
        if answer.error:
            raise self._failure(number, answer.error, "tell of itself")
        return answer.text

    def _ask(self, number: int, request: Request, *, seconds: float | None = None) -> int:
        """tgtd's error number."""
        return (self._wire.ask(number, request, seconds=seconds) if seconds else self._wire.ask(number, request)).error

    def _do(
        self,
        number: int,
        request: Request,
        doing: str,
        *,
        unless: tuple[int, ...] = (),
        seconds: float | None = None,
    ) -> None:
        error = self._ask(number, request, seconds=seconds)
        if error and error not in unless:
            raise self._failure(number, error, doing)

    def _failure(self, number: int, error: int, doing: str) -> DriverError:
        return protocol.failure(error, f"Target server {number} on {self._name}", doing)


def _lun(facts: TargetFacts, number: int) -> LunFacts | None:
    return next((lun for lun in facts.luns if lun.number == number), None)


def _number_of(iqn: str) -> int:
    """The target's number in its server, which tgt makes a part of each LUN's identity: another one for each target."""
    return 1 + zlib.crc32(iqn.encode()) % 0x7FFFFFFE


def _identity(serial: str) -> str:
    """32 hexadecimal digits, of which tgt makes the disk's worldwide name."""
    return hashlib.sha256(serial.encode()).hexdigest()[:32]
