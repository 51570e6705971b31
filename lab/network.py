"""The lab's network: a switch (a bridge in a namespace of its own) with one port per node, one for the host, and DHCP.

The host gets one address in the lab's subnet and forwards nothing that comes from it; nodes and guests get no default
route and no name server. So the lab reaches nothing but itself and the host's own address.
"""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

from lab.errors import LabError
from lab.instance import Instance
from lab.processes import Process, wait_until
from lab.shell import run, succeeds

HOST, SWITCH, FIRST_NODE, DHCP_FROM, DHCP_TO = 1, 2, 11, 100, 199
_BRIDGE = "br-lab"


def switch_namespace(instance: Instance) -> str:
    return f"mooring-{instance.subnet}-switch"


def node_namespace(instance: Instance, node: str) -> str:
    return f"mooring-{instance.subnet}-{node}"


def host_interface(instance: Instance) -> str:
    return f"mooring{instance.subnet}"


def namespace_exists(namespace: str) -> bool:
    return Path("/run/netns", namespace).exists()


def ensure_switch(instance: Instance) -> None:
    """Makes the switch, the host's port and the DHCP server, or what is missing of them."""
    namespace = switch_namespace(instance)
    if not _link_exists(namespace, _BRIDGE):
        delete_namespace(namespace)
        run(["ip", "netns", "add", namespace])
        _ip(namespace, "link set lo up")
        _ip(namespace, f"link add {_BRIDGE} type bridge")
        _ip(namespace, f"addr add {instance.address(SWITCH)}/24 dev {_BRIDGE}")
        _ip(namespace, f"link set {_BRIDGE} up")
    _ensure_host_port(instance, namespace)
    _ensure_dhcp(instance, namespace)


def _ensure_host_port(instance: Instance, namespace: str) -> None:
    interface = host_interface(instance)
    if not (Path("/sys/class/net") / interface).exists() or not _link_exists(namespace, "host"):
        succeeds(["ip", "link", "del", interface])
        run(["ip", "link", "add", interface, "type", "veth", "peer", "name", "host", "netns", namespace])
        _ip(namespace, f"link set host master {_BRIDGE} up")
        run(["ip", "addr", "add", f"{instance.address(HOST)}/24", "dev", interface])
    for setting, value in (("ipv4/conf/{}/forwarding", "0"), ("ipv6/conf/{}/disable_ipv6", "1")):
        path = Path("/proc/sys/net", setting.format(interface))
        if path.exists():
            path.write_text(value)
    run(["ip", "link", "set", interface, "up"])


def _ensure_dhcp(instance: Instance, namespace: str) -> None:
    known = instance.processes.get("dhcp")
    if known and known.alive():
        return
    _end_processes(namespace)  # a server that a killed run had no time to record
    log, ready = instance.logs / "dhcp.log", instance.directory / "dhcp.pid"
    ready.unlink(missing_ok=True)
    with log.open("ab") as output:
        server = subprocess.Popen(
            [
                *("ip", "netns", "exec", namespace, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null"),
                *("--port=0", f"--interface={_BRIDGE}", "--bind-interfaces", "--no-ping", "--dhcp-authoritative"),
                f"--dhcp-range={instance.address(DHCP_FROM)},{instance.address(DHCP_TO)},255.255.255.0,12h",
                *("--dhcp-option=option:router", "--dhcp-option=option:dns-server"),  # empty: none is offered
                f"--dhcp-leasefile={instance.directory / 'dhcp.leases'}",
                *("--user=root", f"--pid-file={ready}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    wait_until(lambda: ready.exists() or server.poll() is not None, 10, f"dnsmasq does not start: see {log}")
    process = Process.of(server.pid)
    if process is None:
        raise LabError(f"dnsmasq ended at once: see {log}")
    instance.record("dhcp", process)


def ensure_port(instance: Instance, node: str, *, address: str) -> None:
    """Makes the node's namespace, its bridge br0 with its address, and its port in the switch, or what is missing."""
    switch, namespace = switch_namespace(instance), node_namespace(instance, node)
    if not namespace_exists(namespace):
        run(["ip", "netns", "add", namespace])
        _ip(namespace, "link set lo up")
        _ip(namespace, f"link add br0 address {instance.mac_of(f'node:{node}')} type bridge")
        _ip(namespace, f"addr add {address}/24 dev br0")
        _ip(namespace, "link set br0 up")
    if not (_link_exists(switch, node) and _link_exists(namespace, "eth0")):
        succeeds(["ip", "-n", switch, "link", "del", node])
        run(["ip", "-n", switch, "link", "add", node, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        _ip(switch, f"link set {node} master {_BRIDGE}")
        _ip(namespace, "link set eth0 master br0 up")
    set_port(instance, node, up=node not in instance.cut)


def set_port(instance: Instance, node: str, *, up: bool) -> None:
    """Connects or cuts the node at the switch. Nothing happens to a node without power: it has no link."""
    if _link_exists(switch_namespace(instance), node):
        _ip(switch_namespace(instance), f"link set {node} {'up' if up else 'down'}")


def delete_namespace(namespace: str) -> None:
    """Deletes a namespace of the lab and kills whatever still lives in it. Harmless when there is none."""
    if namespace_exists(namespace):
        _end_processes(namespace)
        run(["ip", "netns", "del", namespace])


def _end_processes(namespace: str) -> None:
    """Kills all processes of a namespace: being in it, they are the lab's, whatever their names."""
    wait_until(lambda: _emptied(namespace), 20, f"processes in the namespace {namespace} do not end", every=0.1)


def _emptied(namespace: str) -> bool:
    try:
        pids = run(["ip", "netns", "pids", namespace]).split()
    except LabError:  # a name without a namespace behind it, left by a killed `ip netns add`
        return True
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    return not pids


def delete_switch(instance: Instance) -> None:
    """Ends DHCP and removes the switch with the host's port."""
    if known := instance.processes.get("dhcp"):
        known.kill()
        instance.record("dhcp", None)
    succeeds(["ip", "link", "del", host_interface(instance)])
    delete_namespace(switch_namespace(instance))


def subnets_in_use() -> set[int]:
    """Each K for which the host has an address or a route in 10.78.K.0/24."""
    addresses = [entry["local"] for link in json.loads(run(["ip", "-j", "-4", "addr"])) for entry in link["addr_info"]]
    routes = [route["dst"] for route in json.loads(run(["ip", "-j", "-4", "route"]))]
    parts = [place.split("/")[0].split(".") for place in [*addresses, *routes] if place.startswith("10.78.")]
    return {int(part[2]) for part in parts if len(part) > 2}


def _link_exists(namespace: str, link: str) -> bool:
    return namespace_exists(namespace) and succeeds(["ip", "-n", namespace, "link", "show", link])


def _ip(namespace: str, words: str) -> None:
    run(["ip", "-n", namespace, *words.split()])
