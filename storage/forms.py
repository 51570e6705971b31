"""Forms of the storage. Services check again what matters; here the fields get their words and limits."""

from collections.abc import Iterable
from typing import Any

from django import forms

from infrastructure.models import Node
from panel.ui.forms import Fields
from storage.drivers.facts import TIERS


class ThroughForm(Fields):
    """The node through which a cluster is asked once."""

    through = forms.TypedChoiceField(
        label="Through node",
        coerce=int,
        help_text="A node of the cluster that has the key of Ceph's administrator in /etc/ceph",
        error_messages={
            "required": "Choose a node.",
            "invalid_choice": "This node cannot be chosen; it may not answer any more.",
        },
    )

    def __init__(self, *args: Any, nodes: Iterable[Node], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["through"].choices = [(node.pk, node.name) for node in nodes]  # type: ignore[attr-defined]

    def chosen(self, nodes: Iterable[Node]) -> Node:
        """The node, of those that the form offered; call it on a valid form."""
        return next(node for node in nodes if node.pk == self.cleaned_data["through"])


class ConnectForm(ThroughForm):
    """What a cluster is called here, and through which node it is connected."""

    name = forms.CharField(
        label="Name",
        max_length=63,
        initial="storage1",
        help_text="Small letters, digits and hyphens; what Mooring calls it",
    )


class TierForm(Fields):
    """The tier that a disk is to get."""

    tier = forms.TypedChoiceField(
        label="New tier",
        coerce=int,
        choices=[(tier, f"Tier {tier}") for tier in TIERS],
        error_messages={"required": "Choose a tier.", "invalid_choice": "There is no such tier."},
    )


class AddDiskForm(TierForm):
    """A device of a node, and the tier that it is to be in."""

    node = forms.TypedChoiceField(
        label="Node",
        coerce=int,
        error_messages={"required": "Choose a node.", "invalid_choice": "This node cannot be chosen."},
    )
    path = forms.CharField(label="Device", max_length=200, error_messages={"required": "Choose a device."})

    def __init__(self, *args: Any, nodes: Iterable[Node], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["node"].choices = [(node.pk, node.name) for node in nodes]  # type: ignore[attr-defined]


class PriorityForm(Fields):
    """How much of the disks recovery takes."""

    priority = forms.ChoiceField(
        label="Recovery priority",
        choices=[("low", "Low"), ("balanced", "Balanced"), ("high", "High")],
        error_messages={"required": "Choose a priority.", "invalid_choice": "There is no such priority."},
    )


class MarksForm(Fields):
    """From where on a disk counts as nearly full, too full to take more copies, and full. Percent."""

    near_full = forms.IntegerField(
        label="Near-full", min_value=1, max_value=99, help_text="From here on Mooring gives out no more space of a tier"
    )
    backfill_full = forms.IntegerField(
        label="Backfill-full", min_value=1, max_value=99, help_text="From here on nothing moves or heals onto a disk"
    )
    full = forms.IntegerField(
        label="Full", min_value=1, max_value=99, help_text="From here on Ceph refuses writes; at most 97%"
    )
