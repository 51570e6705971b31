"""Whether a target can run a VM's CPU, by libvirt's own comparison."""

import copy

import libvirt
from lxml import etree

from infrastructure.drivers.facts import CpuVerdict
from infrastructure.drivers.libvirt_errors import is_code
from infrastructure.drivers.libvirt_xml import attribute, parse, text

# A target computes these anew from its own CPU when the VM starts there.
_OPEN_MODES = ("host-model", "maximum")


def requirement(connection: "libvirt.virConnect", domain: "libvirt.virDomain") -> str:
    """The live domain XML; a host-passthrough CPU is replaced by the model that libvirt makes of this host's CPU."""
    root = parse(domain.XMLDesc())
    cpu = root.find("cpu")
    if cpu is not None and cpu.get("mode") == "host-passthrough" and domain.isActive():
        root.replace(cpu, _host_model(connection, root))
    return str(etree.tostring(root, encoding="unicode"))


def compare(connection: "libvirt.virConnect", xml: str) -> CpuVerdict:
    """The verdict on the <cpu> of this domain XML; DomainXmlError when it cannot be read."""
    root = parse(xml)
    cpu = root.find("cpu")
    if cpu is None or cpu.get("mode") in _OPEN_MODES:
        return CpuVerdict(compatible=True)
    if cpu.get("mode") == "host-passthrough":
        return CpuVerdict(compatible=True, reason="The VE takes the CPU of the node on which it starts.")
    description = etree.tostring(cpu, encoding="unicode")
    try:
        result = connection.compareHypervisorCPU(
            None,
            attribute(root, "os/type", "arch") or None,
            attribute(root, "os/type", "machine") or None,
            root.get("type") or None,
            description,
            libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE,
        )
    except libvirt.libvirtError as error:
        if not is_code(error, libvirt.VIR_ERR_CPU_INCOMPATIBLE):
            raise
        detail = " ".join(error.get_error_message().split())
        listed = detail.rpartition(": ")[2]
        return CpuVerdict(compatible=False, reason=detail, missing=tuple(listed.replace(",", " ").split()))
    model = text(root, "cpu/model")
    if result == libvirt.VIR_CPU_COMPARE_INCOMPATIBLE:
        return CpuVerdict(compatible=False, reason=f"This node cannot offer the CPU model {model}")
    return CpuVerdict(compatible=True, reason=model)


def _host_model(connection: "libvirt.virConnect", root: etree._Element) -> etree._Element:
    emulator = text(root, "devices/emulator") or None
    arch, machine = attribute(root, "os/type", "arch"), attribute(root, "os/type", "machine")
    capabilities = parse(
        connection.getDomainCapabilities(emulator, arch or None, machine or None, root.get("type") or None),
        "domainCapabilities",
    )
    cpu = etree.Element("cpu", mode="custom", match="exact")
    for mode in capabilities.iterfind("cpu/mode"):
        if mode.get("name") == "host-model":
            # Only what a <cpu> may hold: domain capabilities add limits of their own.
            cpu.extend(copy.deepcopy(item) for item in mode if item.tag in ("model", "vendor", "feature"))
    return cpu
