"""The command lines that do by hand what a job does through an API; shown in the task log, never run."""

from collections.abc import Collection

from infrastructure.choices import Kind
from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.uris import data_uri, peer_uri
from infrastructure.models import VE, Node
from infrastructure.services.endpoints import endpoint_for

_SCHEME = {Kind.VM: ("qemu+tls", "/system"), Kind.CT: ("lxc+tls", "/")}


def connection(kind: str, node: Node) -> str:
    """The libvirt URI of a node's hypervisor of this kind, without the folder of the panel's certificates."""
    scheme, path = _SCHEME[Kind(kind)]
    host = f"[{node.address}]" if ":" in node.address else node.address
    return f"{scheme}://{host}{path}"


def virsh(ve: VE, node: Node, command: str, *options: str) -> list[str]:
    """virsh against the node's hypervisor: `virsh -c qemu+tls://10.0.0.11/system start vmtest`."""
    return ["virsh", "-c", connection(ve.kind, node), command, *options, ve.name]


def migrate(
    ve: VE,
    source: Node,
    target: Endpoint,
    *,
    running: bool,
    live: bool,
    unsafe: bool,
    bandwidth_mib: int = 0,
    auto_converge: bool = False,
    copy_disks: Collection[str] = (),
) -> list[str]:
    """The migration as one virsh command."""
    argv = ["virsh", "-c", connection(ve.kind, source), "migrate", ve.name, peer_uri(target), "--p2p"]
    argv += ["--persistent", "--undefinesource", "--verbose"]
    if not running:
        return [*argv, "--offline"]
    argv += ["--tls", "--migrateuri", data_uri(target)]
    argv += ["--live"] if live else []
    argv += ["--unsafe"] if unsafe else []
    argv += ["--bandwidth", str(bandwidth_mib)] if bandwidth_mib else []
    argv += ["--copy-storage-all", "--migrate-disks", ",".join(copy_disks)] if copy_disks else []
    return [*argv, "--auto-converge"] if auto_converge else argv


def move_definition(ve: VE, source: Node, target: Node) -> list[list[str]]:
    """What puts a stopped VE's definition on the target; the source keeps its own."""
    own = virsh(ve, source, "autostart", "--disable")
    if ve.is_vm:
        peer = peer_uri(endpoint_for(target))
        move = ["virsh", "-c", connection(ve.kind, source), "migrate", ve.name, peer, "--p2p", "--offline"]
        return [own, [*move, "--persistent"]]
    dump = virsh(ve, source, "dumpxml", "--inactive", "--security-info")
    return [own, dump, ["virsh", "-c", connection(ve.kind, target), "define", f"{ve.name}.xml"]]
