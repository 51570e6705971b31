"""Hardware nodes."""

from django.db import models

from infrastructure.choices import NODE_APPEARANCE, NodeState


class Node(models.Model):
    """A hypervisor, identified by libvirt's host UUID plus its pinned host key."""

    name = models.CharField(max_length=63, unique=True)
    address = models.CharField(max_length=253, unique=True)
    ssh_port = models.PositiveIntegerField(default=22)
    host_key = models.TextField(blank=True, help_text="pinned OpenSSH public key line")
    uuid = models.UUIDField(null=True, unique=True, help_text="libvirt's host UUID, known after onboarding")

    # Desired: what the admin said.
    room = models.CharField(max_length=63, blank=True)
    row = models.CharField(max_length=63, blank=True)
    rack = models.CharField(max_length=63, blank=True)
    maintenance = models.BooleanField(default=False)
    added_at = models.DateTimeField(auto_now_add=True)
    onboarded_at = models.DateTimeField(null=True)
    certificate_serial = models.CharField(max_length=60, blank=True, help_text="hexadecimal, as openssl prints it")
    certificate_issuer = models.CharField(max_length=250, blank=True)
    certificate_issued_at = models.DateTimeField(null=True)
    certificate_expires_at = models.DateTimeField(null=True)

    # Observed: what the node said, and when.
    state = models.CharField(max_length=12, choices=NodeState.choices, default=NodeState.NEW)
    state_reason = models.TextField(blank=True)
    observed_at = models.DateTimeField(null=True)
    unreachable_since = models.DateTimeField(null=True)
    hostname = models.CharField(max_length=253, blank=True)
    libvirt_version = models.CharField(max_length=20, blank=True)
    qemu_version = models.CharField(max_length=20, blank=True)
    kernel = models.CharField(max_length=100, blank=True)
    cpu_model = models.CharField(max_length=120, blank=True)
    cpu_threads = models.PositiveIntegerField(null=True)
    cpu_mhz = models.PositiveIntegerField(null=True)
    memory_bytes = models.PositiveBigIntegerField(null=True)
    memory_free = models.PositiveBigIntegerField(null=True, help_text="bytes available for new work")
    cpu_percent = models.FloatField(null=True)
    booted_at = models.DateTimeField(null=True)
    roles = models.JSONField(default=list, help_text='short names, such as "VE"')
    rev = models.PositiveBigIntegerField(default=0, db_index=True)
    figures_rev = models.PositiveBigIntegerField(
        default=0, db_index=True, help_text="when figures alone changed, of which the tree shows nothing"
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def scopes(self) -> set[tuple[str, int]]:
        """The parts of the tree this node lies in."""
        return {("node", self.pk)}

    @property
    def glyph(self) -> str:
        return "maint" if self.maintenance and self.state == NodeState.ONLINE else NODE_APPEARANCE[self.state][0]

    @property
    def tone(self) -> str:
        return "maint" if self.maintenance and self.state == NodeState.ONLINE else NODE_APPEARANCE[self.state][1]

    @property
    def location(self) -> str:
        return " / ".join(part for part in (self.room, self.row, self.rack) if part)


class NodeNetwork(models.Model):
    """A libvirt network of a node, as observed."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="networks")
    name = models.CharField(max_length=100)
    bridge = models.CharField(max_length=63, blank=True)
    active = models.BooleanField(default=True)
    autostart = models.BooleanField(default=False)
    mode = models.CharField(max_length=30, blank=True, help_text="libvirt's forward mode; isolated without one")
    addresses = models.JSONField(default=list, help_text="the node's own in it: 192.168.122.1/24")
    dhcp = models.JSONField(default=list, help_text="ranges: 192.168.122.2 – 192.168.122.254")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["node", "name"], name="network_name_once_a_node")]

    def __str__(self) -> str:
        return self.name


class NodeInterfaces(models.Model):
    """The network interfaces of a node's kernel, as observed. One row a node: traffic changes with every look."""

    node = models.OneToOneField(Node, on_delete=models.CASCADE, primary_key=True, related_name="interfaces")
    interfaces = models.JSONField(default=list, help_text="one dictionary an interface")
    rates = models.JSONField(default=dict, help_text="name → [received, sent] in bytes per second")
    observed_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"interfaces of {self.node}"
