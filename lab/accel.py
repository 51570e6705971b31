"""Can this machine run guests under KVM? /dev/kvm may exist and yet hang each guest, so one is booted to find out."""

import json
import os
import select
import subprocess
import time

from lab.errors import LabError
from lab.guest_image import GuestImage
from lab.instance import CACHE, boot_id

_LIMIT = 6.0  # seconds; a working KVM needs one or two
_GREETING = b"is up after"


def kvm_works(image: GuestImage) -> bool:
    """True when a guest boots under KVM. Asked once per boot of the host; MOORING_LAB_ACCEL=tcg says no at once."""
    wish = os.environ.get("MOORING_LAB_ACCEL", "auto")
    if wish not in {"auto", "tcg", "kvm"}:
        raise LabError(f"MOORING_LAB_ACCEL is “{wish}”; it may be auto, tcg or kvm")
    if wish != "auto":
        return wish == "kvm"
    record = CACHE / "kvm.json"
    if record.exists():
        known = json.loads(record.read_text())
        if known["boot_id"] == boot_id():
            return bool(known["works"])
    works = os.access("/dev/kvm", os.R_OK | os.W_OK) and _boots(image)
    record.write_text(json.dumps({"boot_id": boot_id(), "works": works}))
    return works


def _boots(image: GuestImage) -> bool:
    machine = ("qemu-system-x86_64", "-accel", "kvm", "-m", "128", "-display", "none", "-serial", "stdio", "-no-reboot")
    guest = ("-kernel", image.kernel, "-initrd", image.initramfs, "-append", "console=ttyS0 quiet panic=-1 guest=probe")
    with subprocess.Popen(
        [*machine, *guest], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as probe:
        try:
            return _says_hello(probe)
        finally:
            probe.kill()


def _says_hello(probe: subprocess.Popen[bytes]) -> bool:
    assert probe.stdout is not None
    deadline, seen = time.monotonic() + _LIMIT, b""
    while _GREETING not in seen:
        ready, _, _ = select.select([probe.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(probe.stdout.fileno(), 4096) if ready else b""
        if not chunk:
            return False
        seen += chunk
    return True
