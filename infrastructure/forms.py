"""Forms of nodes and VEs. Services check again what matters; here the fields get their words and limits."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms

from infrastructure.services.migration.plan import MOST_BANDWIDTH, MOST_DOWNTIME
from infrastructure.services.power import LONGEST_WAIT, STOP_SECONDS
from panel.ui.forms import Fields


class NodeAddForm(Fields):
    """Step 1 of adding a node: where it is."""

    name = forms.CharField(
        label="Name", max_length=63, help_text="Small letters, digits and hyphens; what Mooring calls the node"
    )
    address = forms.CharField(
        label="Address", max_length=253, help_text="IP address or host name, reachable from this panel"
    )
    ssh_port = forms.IntegerField(label="SSH port", min_value=1, max_value=65535, initial=22)


class NodeConfirmForm(NodeAddForm):
    """Step 2: the fingerprint the admin compared."""

    fingerprint = forms.CharField(widget=forms.HiddenInput, max_length=100)
    confirmed = forms.BooleanField(
        label="The node itself shows the same fingerprint",
        error_messages={"required": "Compare the fingerprints first, then confirm here."},
    )


class LocationForm(Fields):
    """Where a node stands."""

    room = forms.CharField(label="Room", max_length=63, required=False)
    row = forms.CharField(label="Row", max_length=63, required=False)
    rack = forms.CharField(label="Rack", max_length=63, required=False)


class StopForm(Fields):
    """Shutting down, with consent to force off what does not stop by itself."""

    force_after = forms.IntegerField(
        label="Force off after",
        min_value=1,
        max_value=LONGEST_WAIT,
        initial=STOP_SECONDS,
        help_text="How long the guest may take to shut down by itself",
    )


class MigrateForm(Fields):
    """Target and options of a migration."""

    target = forms.TypedChoiceField(
        coerce=int,
        error_messages={
            "required": "Choose a target node.",
            "invalid_choice": "This node cannot be chosen; it may have been removed.",
        },
    )
    bandwidth_mib = forms.IntegerField(
        label="Bandwidth limit", min_value=0, max_value=MOST_BANDWIDTH, initial=0, help_text="0 means no limit"
    )
    max_downtime_ms = forms.IntegerField(label="Maximum pause", min_value=1, max_value=MOST_DOWNTIME, initial=300)
    auto_converge = forms.BooleanField(
        label="Slow down the guest if memory changes too fast", required=False, initial=True
    )
    pause_limit_ms = forms.IntegerField(
        label="If that does not help, raise the pause to",
        min_value=0,
        max_value=MOST_DOWNTIME,
        initial=1200,
        required=False,
        help_text="Doubled step by step, each told in the log; then it fails. 0 means never",
    )
    copy_disks = forms.BooleanField(label="Copy disks that the target does not share", required=False)
    delete_source = forms.BooleanField(label="Delete the source's copy after the move", required=False, initial=True)

    def __init__(self, *args: Any, nodes: Iterable[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].choices = list(nodes)  # type: ignore[attr-defined]

    def clean_pause_limit_ms(self) -> int:
        return self.cleaned_data["pause_limit_ms"] or 0


class VEMigrateForm(MigrateForm):
    """The dialog of one VE: it says how the VE moves, too. `entered`: what the dialog held before it was shown anew."""

    OF_MODE = {"live": ("max_downtime_ms", "pause_limit_ms", "auto_converge"), "offline": ("force_off",)}

    mode = forms.ChoiceField(choices=[("live", "Live"), ("offline", "Offline")], required=False)
    force_off = forms.BooleanField(label="Force it off if it does not shut down within 60 s", required=False)

    def __init__(self, *args: Any, entered: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if entered and "mode" in entered:
                checkbox = isinstance(field, forms.BooleanField)
                self.initial[name] = name in entered if checkbox else entered.get(name, "")

    def clean(self) -> dict[str, Any]:
        """What belongs to the other mode is not shown and must not stand in the way."""
        cleaned = super().clean() or {}
        if cleaned.get("mode") == "offline":
            for name in self.OF_MODE["live"]:
                self.errors.pop(name, None)
                cleaned.setdefault(name, self.fields[name].initial)
        return cleaned

    def kept(self, mode: str) -> list[tuple[str, Any]]:
        """The values of the other mode's fields, to be there again when it is chosen; an empty one is left out."""
        other = "offline" if mode == "live" else "live"
        pairs = [(name, self[name].value()) for name in self.OF_MODE[other]]
        return [(name, "on" if value is True else value) for name, value in pairs if value not in (None, "", False)]
