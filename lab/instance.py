"""An instance of the lab: its name, its folder, its identity and what of it was running when last written."""

import contextlib
import fcntl
import json
import os
import re
import shutil
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.processes import Process

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / "var" / "lab"
CACHE = STATE / "cache"
DEFAULT_NAME = "main"
NODE_NAMES = ("primary", "secondnode1", "secondnode2")
_saving = threading.Lock()
_NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")


def boot_id() -> str:
    """The kernel's id of this boot of the host; pids recorded under another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(frozen=True)
class StorageChoice:
    """What the first `up` was told: disks per node (3 to 7), and the one tier all are in (0 to 3) or None for two."""

    disks: int
    one_tier: int | None = None


@dataclass(eq=False)
class Instance:
    """One lab. `identity` seeds every UUID and MAC in it; `subnet` is K in 10.78.K.0/24, or None before the first up;
    `settled` says that all VEs have been in their first state; `cut` names the nodes without a link;
    `storage` is what the first up was told about disks."""

    name: str
    identity: uuid.UUID = field(default_factory=uuid.uuid4)
    subnet: int | None = None
    settled: bool = False
    cut: list[str] = field(default_factory=list)
    storage: StorageChoice | None = None
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        return STATE / self.name

    @property
    def shared(self) -> Path:
        """The folder that stands in for shared storage; /srv/shared on each node."""
        return self.directory / "shared"

    @property
    def logs(self) -> Path:
        return self.directory / "log"

    def address(self, host: int) -> str:
        """The lab address with this last octet. Raises LabError before the lab was up once."""
        if self.subnet is None:
            raise LabError(f"the lab “{self.name}” has no subnet yet: run bin/lab --instance {self.name} up")
        return f"10.78.{self.subnet}.{host}"

    def uuid_of(self, thing: str) -> uuid.UUID:
        """The UUID of a node ("node:primary") or VE ("ve:ct1"): the same until the lab is purged."""
        return uuid.uuid5(self.identity, thing)

    def mac_of(self, thing: str) -> str:
        """A MAC address of QEMU's range, derived like uuid_of."""
        tail = self.uuid_of(f"mac:{thing}").bytes[:3]
        return "52:54:00:" + ":".join(f"{byte:02x}" for byte in tail)

    def record(self, name: str, process: Process | None) -> None:
        """Notes the process that now goes by this name ("primary", "dhcp"), or that there is none, and saves."""
        with _saving:
            if process:
                self.processes[name] = process
            else:
                self.processes.pop(name, None)
            self._write()

    def save(self) -> None:
        """Writes the state file."""
        with _saving:
            self._write()

    def _write(self) -> None:
        data = asdict(self) | {"identity": str(self.identity), "boot_id": boot_id()}
        path = self.directory / "instance.json"
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(data, indent=1))
        fresh.replace(path)  # in one move: a killed run leaves the old file or the new one

    def forget(self) -> None:
        """Removes the folder with everything in it."""
        shutil.rmtree(self.directory)


def load(name: str) -> Instance:
    """The instance of this name as last saved, or a new one. Raises LabError for a name that is not allowed."""
    if not _NAME.fullmatch(name) or name == CACHE.name:
        raise LabError(
            f"“{name}” cannot name a lab: use 1 to 16 lower-case letters, digits and hyphens, a letter first"
            f" (“{CACHE.name}” is taken)"
        )
    path = STATE / name / "instance.json"
    if not path.exists():
        return Instance(name)
    data = json.loads(path.read_text())
    same_boot = data.pop("boot_id") == boot_id()
    data["identity"] = uuid.UUID(data["identity"])
    processes = {key: Process(**value) for key, value in data.pop("processes").items()} if same_boot else {}
    storage = StorageChoice(**data.pop("storage")) if data.get("storage") else None
    return Instance(**data | {"processes": processes, "storage": storage})


def siblings(name: str) -> list[Instance]:
    """The other instances of this checkout, running or not."""
    return [load(path.parent.name) for path in STATE.glob("*/instance.json") if path.parent.name != name]


@contextlib.contextmanager
def cache_locked() -> Iterator[None]:
    """Holds the cache's lock: labs that come up at once build what they share only once."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked(instance: Instance) -> Iterator[None]:
    """Holds the instance's lock: one command at a time changes it, a second one waits."""
    instance.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The lock lies beside the folder, because purging removes the folder while the lock is held.
    with (STATE / f".{instance.name}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def require_root() -> None:
    """Raises LabError unless run by root: namespaces, mounts and cgroups need it."""
    if os.geteuid() != 0:
        raise LabError("the lab makes namespaces, mounts and cgroups: run it as root (sudo bin/lab …)")
