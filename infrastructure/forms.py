"""Forms of nodes and VEs. Services check again what matters; here the fields get their words and limits."""

from collections.abc import Iterable
from typing import Any

from django import forms

from infrastructure.services.migration.plan import MOST_BANDWIDTH, MOST_DOWNTIME
from infrastructure.services.power import LONGEST_WAIT, STOP_SECONDS


class Fields(forms.Form):
    """Base of our forms: the UI guide's classes, and errors tied to their fields for screen readers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            _word(field)
            if isinstance(field.widget, forms.TextInput | forms.NumberInput):
                field.widget.attrs.setdefault("class", "form-control")
                field.widget.attrs.setdefault("autocomplete", "off")
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{self[name].auto_id}-help"

    def mark_errors(self) -> None:
        """Outline the fields at fault; call it before an invalid form is shown again."""
        for name in self.errors:
            if name in self.fields:
                attrs = self.fields[name].widget.attrs
                attrs["aria-invalid"] = "true"
                attrs["class"] = f"{attrs.get('class', '')} bad".strip()
                attrs["aria-describedby"] = f"{self[name].auto_id}-error"


def _word(field: forms.Field) -> None:
    """Error texts that say how to put it right."""
    if field.required and field.error_messages["required"] == forms.Field.default_error_messages["required"]:
        field.error_messages["required"] = f"Enter {_article(field)}."
    if isinstance(field, forms.IntegerField):
        limits = f"Use {field.min_value:,} to {field.max_value:,}."
        field.error_messages["invalid"] = f"Enter a whole number. {limits}"
        for validator in field.validators:
            validator.message = limits  # type: ignore[attr-defined]
    elif isinstance(field, forms.CharField) and field.max_length:
        for validator in field.validators:
            if getattr(validator, "code", "") == "max_length":
                validator.message = f"Use at most {field.max_length} characters."  # type: ignore[attr-defined]


def _article(field: forms.Field) -> str:
    """ "an address", "a name", "a number"."""
    if isinstance(field, forms.IntegerField):
        return "a number"
    word = str(field.label or "value").lower()
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


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

    def __init__(self, *args: Any, nodes: Iterable[tuple[int, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].choices = list(nodes)  # type: ignore[attr-defined]
