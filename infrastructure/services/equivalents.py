"""The command lines that do by hand what a job does through an API; shown in the task log, never run."""

from infrastructure.choices import Kind
from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.uris import data_uri, peer_uri
from infrastructure.models import VE, Node

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
    return [*argv, "--auto-converge"] if auto_converge else argv
