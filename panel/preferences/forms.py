"""The form of a view to be saved."""

from django import forms

from panel.preferences.models import LONGEST_NAME, LONGEST_QUERY


class ViewForm(forms.Form):
    """A name, and whether everybody is to see the view."""

    name = forms.CharField(
        label="Name",
        max_length=LONGEST_NAME,
        help_text="What the menu of views calls it",
        error_messages={"required": "Enter a name.", "max_length": f"Use at most {LONGEST_NAME} characters."},
        widget=forms.TextInput({"class": "form-control", "autocomplete": "off"}),
    )
    shared = forms.BooleanField(label="Share it with everybody", required=False)
    query = forms.CharField(max_length=LONGEST_QUERY, required=False, widget=forms.HiddenInput)
    next = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})  # type: ignore[arg-type]
        self.fields["name"].widget.attrs["aria-describedby"] = f"{self['name'].auto_id}-help"

    def mark_errors(self) -> None:
        """Outline the name when it cannot be accepted."""
        if self.is_bound and "name" in self.errors:
            self.fields["name"].widget.attrs |= {
                "aria-invalid": "true",
                "class": "form-control bad",
                "aria-describedby": f"{self['name'].auto_id}-error",
            }
