"""Forms that are shown again: where they begin, and which fields are at fault."""

from django import forms

from panel.ui.forms import Fields


class Form(Fields):
    name = forms.CharField(widget=forms.TextInput(attrs={"autofocus": True}))
    size = forms.IntegerField(min_value=1, max_value=9)

    def clean(self) -> None:
        if self.cleaned_data.get("name") == "both":
            self.add_error(None, "They do not go together.")


def beginning(form: Form) -> list[str]:
    form.mark_errors()
    return [name for name, field in form.fields.items() if "autofocus" in field.widget.attrs]


def test_it_begins_at_the_first_field_at_fault() -> None:
    assert beginning(Form({"name": "one", "size": "no"})) == ["size"]
    assert beginning(Form({"name": "", "size": "no"})) == ["name"]


def test_it_begins_where_it_did_when_no_field_is_at_fault() -> None:
    assert beginning(Form({"name": "both", "size": "1"})) == ["name"]
