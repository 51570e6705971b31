"""The command line of the lab."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from lab import ceph_cluster, ceph_layout, lifecycle, spares, status, vm_disks
from lab.errors import LabError
from lab.instance import DEFAULT_NAME, NODE_NAMES, Instance, load, locked, require_root
from lab.node import Node, nodes


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code. `exec` does not return: it becomes the command."""
    arguments = _parser().parse_args(argv)
    try:
        require_root()
        instance = load(arguments.instance)
        if arguments.command in {"status", "exec"}:
            return _look(instance, arguments)
        with locked(instance):
            _change(load(arguments.instance), arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bin/lab",
        description="Three real hypervisor nodes on this machine: primary, secondnode1, secondnode2.",
    )
    parser.add_argument(
        "--instance",
        default=DEFAULT_NAME,
        metavar="NAME",
        help="which lab; several can run side by side (default: %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_whole(commands)
    _add_parts(commands)
    execute = commands.add_parser("exec", help="run a command inside a node, as root; a login shell without one")
    execute.add_argument("node", choices=NODE_NAMES, metavar="NODE")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="CMD…")
    return parser


def _add_whole(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Commands about the whole lab."""
    up = commands.add_parser("up", help="bring the lab up, or repair what is missing of it")
    up.add_argument(
        "--disks",
        type=int,
        metavar="N",
        help=f"storage disks of each node, {ceph_layout.FEWEST_DISKS} to {ceph_layout.MOST_DISKS}, said at the first up"
        f" (default: {ceph_layout.DEFAULT_DISKS}); a later up can add some",
    )
    up.add_argument(
        "--one-tier", type=int, metavar="T", help="put all disks into tier T (0 to 3), not the half into tiers 1 and 2"
    )
    down = commands.add_parser("down", help="end everything; the next up starts with fresh VEs on the same nodes")
    down.add_argument("--purge", action="store_true", help="forget the nodes too: the next up makes new machines")
    report = commands.add_parser("status", help="show nodes, VEs and storage")
    report.add_argument("--json", action="store_true", help="for programs")


def _add_parts(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Commands about one node, or disks."""
    for name, text in (
        ("power-off", "cut a node's power: every process in it ends at once"),
        ("power-on", "boot a node and wait until its VEs are back"),
        ("cut", "cut a node off the network"),
        ("heal", "connect it again"),
    ):
        commands.add_parser(name, help=text).add_argument("node", choices=NODE_NAMES, metavar="NODE")
    for name, text in (
        ("disk-off", "kill the OSD of this number; it stays off, over power cuts too"),
        ("disk-on", "start it again and wait until it is up"),
    ):
        commands.add_parser(name, help=text).add_argument("disk", type=int, metavar="N")
    spare = commands.add_parser("add-spare", help="give a node an empty spare disk until the lab goes down; its path")
    spare.add_argument("node", choices=NODE_NAMES, metavar="NODE")
    disks = commands.add_parser("move-disks", help="move the VMs' disks into a storage pool on Ceph, while they run")
    disks.add_argument("pool", metavar="POOL", help="as libvirt of each node calls it: see virsh pool-list")


def _look(instance: Instance, arguments: argparse.Namespace) -> int:
    if arguments.command == "exec":
        argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
        command = Node(instance, arguments.node).command(argv or ["bash", "--login"])
        os.execvp(command[0], command)
    data = status.report(instance)
    print(json.dumps(data, indent=1) if arguments.json else status.table(data), end="\n" if arguments.json else "")
    return 0


def _change(instance: Instance, arguments: argparse.Namespace) -> None:
    if arguments.command == "up":
        lifecycle.up(instance, disks=arguments.disks, one_tier=arguments.one_tier)
        return
    if arguments.command == "down":
        lifecycle.down(instance, purge=arguments.purge)
        return
    if arguments.command == "move-disks":
        moved = vm_disks.move(nodes(instance), arguments.pool)
        print(f"Moved into {arguments.pool}: {', '.join(moved)}" if moved else "All disks of VMs lie in Ceph already.")
        return
    if arguments.command.startswith("disk-"):
        change = ceph_cluster.disk_on if arguments.command == "disk-on" else ceph_cluster.disk_off
        change(instance, arguments.disk)
        return
    node = Node(instance, arguments.node)
    if arguments.command == "power-off":
        node.power_off()
    elif arguments.command == "power-on":
        lifecycle.power_on(node)
    elif arguments.command == "add-spare":
        print(spares.add(node))
    else:
        lifecycle.set_link(node, up=arguments.command == "heal")
