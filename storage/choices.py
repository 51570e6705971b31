"""States of the storage and how each is shown: (glyph, tone)."""

from django.db import models


class ClusterState(models.TextChoices):
    NEW = "new", "Not connected yet"
    ONLINE = "online", "Connected"
    UNREACHABLE = "unreachable", "Does not answer"
    REFUSED = "refused", "Refused"


class Use(models.TextChoices):
    """What a datastore holds."""

    VM = "vm", "VM disks"
    FILES = "files", "CT roots, backups, ISO images, templates"
    LUN = "lun", "iSCSI LUNs"  # one row for each policy that a LUN has; no page of datastores shows it


class DatastoreState(models.TextChoices):
    CREATING = "creating", "Being created"
    READY = "ready", "Ready"
    REMOVING = "removing", "Being removed"
    FAILED = "failed", "Not created"
    PARTLY = "partly", "Partly removed"


TIER_MEANING: dict[int, tuple[str, str]] = {
    0: ("Backups and cold data", "HDD"),
    1: ("Virtual environments, cold data, fast random writes", "HDD with SSD cache"),
    2: ("Hot data: busy VMs, databases, caches", "SSD"),
    3: ("Lowest latency, strict response times", "NVMe"),
}


class AttachmentState(models.TextChoices):
    WAITING = "waiting", "Waiting for the node"
    ATTACHED = "attached", "Attached"
    FAILED = "failed", "Not attached"
    LEAVING = "leaving", "Being detached"
