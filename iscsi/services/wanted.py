"""What should be of a target, from its rows."""

from collections.abc import Iterable

from iscsi.choices import Stage
from iscsi.differences import Wanted
from iscsi.drivers.facts import Account, AddressFacts, LunSpec, ServerSpec, TargetSpec
from iscsi.models import ChapUser, Lun, Portal, Target
from panel.trust.encryption import decrypt

# A target of these stages is on its node; one that moves, goes or failed is not.
THERE = (Stage.CREATING, Stage.READY)


def wanted_of(target: Target) -> Wanted:
    """Everything about one target. Raises TrustError when a secret cannot be decrypted."""
    portals = list(target.portals.all())
    server = ServerSpec(target.number, tuple(portal.address for portal in portals))
    own = tuple(address_of(portal) for portal in portals if portal.added)
    if target.stage not in THERE:
        return Wanted(server, surplus=own)
    if not target.started:
        return Wanted(server, addresses=own)
    luns = list(served_luns(target))
    spec = TargetSpec(
        iqn=target.iqn,
        luns=tuple(spec_of(lun) for lun in luns),
        accounts=(_account(target.chap_user),) if target.chap_user else (),
        mutual=_account(target.mutual_user) if target.mutual_user else None,
        initiators=tuple(target.initiators),
    )
    sizes = {lun.number: lun.size for lun in luns if lun.number is not None}
    return Wanted(server, spec, sizes, addresses=own)


def served_luns(target: Target) -> Iterable[Lun]:
    """The LUNs that its server should show."""
    return target.luns.filter(stage=Stage.READY).select_related("datastore").order_by("number")


def spec_of(lun: Lun) -> LunSpec:
    """How a server is to show an attached LUN."""
    return LunSpec(lun.number or 0, lun.datastore.pool, lun.image, lun.serial)


def address_of(portal: Portal) -> AddressFacts:
    return AddressFacts(portal.address, portal.prefix, portal.interface)


def _account(user: ChapUser) -> Account:
    return Account(user.name, decrypt(user.secret), user.version)
