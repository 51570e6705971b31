"""The base of our forms: the UI guide's classes, words and errors."""

from typing import Any

from django import forms


class Fields(forms.Form):
    """Base of our forms: the UI guide's classes, and errors tied to their fields for screen readers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            _word(field)
            if isinstance(field.widget, forms.Select):
                field.widget.attrs.setdefault("class", "form-select")
            if isinstance(field.widget, forms.TextInput | forms.NumberInput | forms.PasswordInput):
                field.widget.attrs.setdefault("class", "form-control")
                field.widget.attrs.setdefault("autocomplete", "off")
            if field.help_text:
                field.widget.attrs["aria-describedby"] = f"{self[name].auto_id}-help"

    def mark_errors(self) -> None:
        """Outline the fields at fault, and begin at the first; call it before an invalid form is shown again."""
        wrong = [name for name in self.fields if name in self.errors]
        if not wrong:  # what is at fault is none of them: the form begins where it did
            return
        for field in self.fields.values():
            field.widget.attrs.pop("autofocus", None)
        self.fields[wrong[0]].widget.attrs["autofocus"] = True
        for name in wrong:
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
