"""What the dialogs of bulk actions ask for."""

import uuid
from collections.abc import Iterable
from typing import Any

from django import forms

from infrastructure.forms import LocationForm, MigrateForm
from infrastructure.services.bulk import MOST_AT_ONCE, BulkAction
from infrastructure.services.power import LONGEST_WAIT
from panel.ui.forms import Fields

CHOOSE = 0  # as a target: a node for each


class BulkForm(Fields):
    """At most so many at once. `form` tells a dialog that is sent twice from a second one."""

    at_most = forms.IntegerField(
        label="At most", min_value=1, max_value=MOST_AT_ONCE, help_text="How many at once; the others wait"
    )
    form = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, action: BulkAction, **kwargs: Any) -> None:
        kwargs["initial"] = {"at_most": action.at_once, "form": uuid.uuid4(), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)

    @property
    def token(self) -> str:
        return str(self.cleaned_data["form"] or "")


class BulkStopForm(BulkForm):
    """Shutting down, with or without consent to force off what does not stop by itself."""

    force = forms.BooleanField(label="Force off what still runs after", required=False)
    minutes = forms.IntegerField(label="Minutes", min_value=1, max_value=LONGEST_WAIT // 60, initial=5, required=False)
    minutes.widget.attrs["aria-label"] = "Minutes to wait before forcing off"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("force") and not cleaned.get("minutes") and "minutes" not in self.errors:
            self.add_error("minutes", f"Enter how many minutes to wait, 1 to {LONGEST_WAIT // 60}.")
        return cleaned

    @property
    def force_after(self) -> int | None:
        """Seconds; None: never force."""
        return 60 * self.cleaned_data["minutes"] if self.cleaned_data["force"] else None


class BulkMigrateForm(MigrateForm, BulkForm):
    """One target or one for each, and the options of a single migration."""

    stop = forms.BooleanField(label="Stop, move and start what cannot move while it runs", required=False)
    force_off = forms.BooleanField(label="Force off what does not shut down within 60 s", required=False)
    place = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, action: BulkAction, nodes: Iterable[tuple[int, str]], **kwargs: Any) -> None:
        targets = [(CHOOSE, "Choose for each (most free memory)"), *nodes]
        super().__init__(*args, action=action, nodes=targets, **kwargs)


def form_for(action: BulkAction, data: Any, nodes: Iterable[tuple[int, str]] = (), **kwargs: Any) -> Fields | None:
    """The form of an action; None for one that asks nothing."""
    if action.key == "migrate":
        return BulkMigrateForm(data, action=action, nodes=nodes, **kwargs)
    if action.key == "stop":
        return BulkStopForm(data, action=action, **kwargs)
    if action.key == "location":
        return LocationForm(data, **kwargs)
    return BulkForm(data, action=action, **kwargs) if action.type == "ve" else None
