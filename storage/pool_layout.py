"""What a policy is in Ceph: the names and shapes of its pools, rule and profile. Pure.

Every name begins with the prefix that the panel's cephx user is confined to: "mooring-vm.t2.r2.host.fast". Each
datastore has pools of its own, named after its use, policy and name: libvirt's pools know no namespaces, so two
datastores cannot share one. LUNs of one policy do share pools, "mooring-lun.t2.r2.host": their row is of use "lun" and
has a name that no datastore can have. Rules belong to a tier and failure domain, profiles to a code as well: these are
shared.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storage.drivers.facts import Profile
from storage.drivers.matching import FILES_METADATA, FILES_ROOT, OWN
from storage.redundancy import Policy

MARK = "mooring"  # the key under which a pool's metadata says that the panel made it
_APPLICATIONS = {"vm": "rbd", "files": "cephfs", "lun": "rbd"}
FILES, LUN = "files", "lun"  # the uses
SHARED_POOLS = (FILES_METADATA, FILES_ROOT)  # of the file system of all datastores for files
_USUAL_COPIES = 3


@dataclass(frozen=True, slots=True)
class PoolLayout:
    """How a datastore lies in Ceph. `copies` are those of `pool`, which for images in codes holds the metadata.

    Files in codes have one pool, which is both `pool` and `data_pool`, and no copies: their metadata lie in the pools
    of the file system.
    """

    rule: str
    device_class: str
    domain: str
    pool: str
    copies: int
    data_pool: str = ""  # of codes only
    profile: Profile | None = None
    application: str = "rbd"

    @property
    def pools(self) -> tuple[str, ...]:
        """What is to be removed with the datastore, in this order: images are listed in the first."""
        return tuple(dict.fromkeys(name for name in (self.pool, self.data_pool) if name))


def layout(policy: Policy, use: str, name: str) -> PoolLayout:
    """The pools of a datastore. A code's metadata has as many copies as parts may be lost and one more.

    These copies lie in domains of the same type, so the policy's first figure holds for both pools; its second does
    too, since copies beyond two serve until one is left of two.
    """
    mode, tier, domain = policy.mode, f"t{policy.tier}", policy.domain
    meta, last = (f"meta-{mode.key}", "") if use == LUN else ("meta", f".{name}")
    rule, device_class = f"{OWN}{tier}.{domain}", f"tier{policy.tier}"
    if mode.copies:
        pool = f"{OWN}{use}.{tier}.{mode.key}.{domain}{last}"
        return PoolLayout(rule, device_class, domain, pool, copies=mode.needs, application=_APPLICATIONS[use])
    data_pool = f"{OWN}{use}.{tier}.{mode.key}.{domain}{last}"
    files = use == FILES
    return PoolLayout(
        rule,
        device_class,
        domain,
        pool=data_pool if files else f"{OWN}{use}.{tier}.{meta}.{domain}{last}",
        copies=0 if files else mode.loses_nothing_after + 1,
        data_pool=data_pool,
        application=_APPLICATIONS[use],
        profile=Profile(
            f"{OWN}{tier}.{mode.key}.{domain}",
            data=mode.data,
            coding=mode.coding,
            domain=domain,
            device_class=device_class,
        ),
    )


def shared_copies(policy: Policy, places: int) -> int:
    """Copies of the file system's own pools when a datastore of this policy is its first; `places`: its domains.

    As many as the policy may lose and one more, three where there is room for them: others will rely on them.
    """
    return max(policy.mode.loses_nothing_after + 1, min(_USUAL_COPIES, places))


def marks(use: str) -> dict[str, str]:
    """What says of a pool that the panel made it, and for what."""
    return {MARK: use}


def is_ours(applications: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether a pool carries the panel's mark."""
    return any(MARK in metadata for metadata in applications.values())
