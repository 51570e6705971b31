"""Forms of iSCSI. Services check again what matters; here the fields get their words and limits."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django import forms

from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput
from iscsi.choices import Sharing
from iscsi.models import ChapUser, Target
from iscsi.services.inputs import LARGEST_GIB, MOST_IOPS, MOST_MBPS, clean_secret, clean_user
from iscsi.services.portals import Wish
from iscsi.services.target_input import Limits
from panel.ui.forms import Fields

CHOSEN = {"required": "Choose one.", "invalid_choice": "This cannot be chosen any more; choose another one."}
_AREA = {"class": "form-control mono", "rows": 3, "spellcheck": "false"}


def _choice(label: str, *, required: bool = True, help_text: str = "") -> forms.ChoiceField:
    return forms.ChoiceField(label=label, required=required, help_text=help_text, error_messages=CHOSEN)


def _number(label: str, most: int, *, unit: str = "", required: bool = True, help_text: str = "") -> forms.IntegerField:
    field = forms.IntegerField(label=label, min_value=1, max_value=most, required=required, help_text=help_text)
    field.unit = unit  # type: ignore[attr-defined]  # what stands behind it
    return field


class SettingsForm(Fields):
    """What can be edited of a target: portals, who may log in, limits."""

    portals = forms.MultipleChoiceField(
        label="Portal IPs",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={"invalid_choice": "%(value)s is not to be had any more; choose another one."},
    )
    address = forms.CharField(
        label="New address", max_length=50, required=False, help_text="Mooring adds it to the node: 172.16.24.125/24"
    )
    interface = _choice("Interface", required=False, help_text="Which gets the new address")
    chap = _choice("CHAP user", required=False, help_text="As whom initiators log in")
    mutual = _choice("Proves itself as", required=False, help_text="When initiators ask for it")
    initiators = forms.CharField(
        label="Allowed initiators",
        required=False,
        widget=forms.Textarea(attrs=_AREA),
        help_text="One name per line. Empty allows every initiator that can log in.",
    )
    iops = _number("IOPS", MOST_IOPS, required=False, help_text="Empty: no limit")
    bandwidth = _number("Bandwidth", MOST_MBPS, unit="MB/s", required=False, help_text="Empty: no limit")
    sharing = forms.ChoiceField(label="Limits are for", choices=Sharing.choices, initial=Sharing.EACH)

    def __init__(
        self, *args: Any, addresses: Sequence[tuple[str, str]], interfaces: Sequence[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        users = [(str(user.pk), user.name) for user in ChapUser.objects.all()]
        self._offer("portals", addresses)
        self._offer("interface", [("", "In the address's network"), *interfaces])
        self._offer("chap", [("", "Not asked for"), *users])
        self._offer("mutual", [("", "Does not"), *users])

    def _offer(self, name: str, choices: Sequence[tuple[str, str]]) -> None:
        self.fields[name].choices = list(choices)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        """An interface alone says nothing."""
        found = super().clean() or self.cleaned_data
        if found.get("interface") and not found.get("address") and "address" not in self.errors:
            self.add_error("address", "Enter the new address, or choose no interface.")
        return found

    def settings(self) -> dict[str, Any]:
        """What services take; call it on a valid form."""
        found = self.cleaned_data
        wishes = [Wish(address) for address in found["portals"]]
        wishes += [Wish(found["address"], found["interface"])] if found["address"] else []
        users = {
            str(user.pk): user for user in ChapUser.objects.filter(pk__in=_numbers(found["chap"], found["mutual"]))
        }
        return {
            "wishes": wishes,
            "chap_user": users.get(found["chap"]),
            "mutual_user": users.get(found["mutual"]),
            "initiators": found["initiators"].splitlines(),
            "limits": Limits(found["iops"], found["bandwidth"], found["sharing"]),
        }


def _numbers(*texts: str) -> list[int]:
    return [int(text) for text in texts if text]


class TargetForm(SettingsForm):
    """A new target."""

    field_order = ("name", "node")
    name = forms.CharField(label="Name", max_length=40)
    node = _choice("Node", help_text="On which it runs; it can be moved")

    def __init__(self, *args: Any, nodes: Iterable[Node], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._offer("node", [(str(node.pk), node.name) for node in nodes])


class EditForm(SettingsForm):
    """A target's settings; `seen` is what stood there when the form was opened."""

    seen = forms.CharField(widget=forms.HiddenInput, max_length=16)


class UserForm(Fields):
    """A CHAP user. Its password is sent once and never comes back."""

    name = forms.CharField(label="Name", max_length=40)
    secret = forms.CharField(
        label="Password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="12 to 16 characters without spaces. It is never shown again.",
    )

    def clean_name(self) -> str:
        return _checked(clean_user, self.cleaned_data["name"])

    def clean_secret(self) -> str:
        return _checked(clean_secret, self.cleaned_data["secret"])


def _checked(clean: Callable[[str], str], text: str) -> str:
    """What the service will say of it, said of all fields at once: a password is typed anew each time."""
    try:
        return clean(text)
    except InvalidInput as error:
        raise forms.ValidationError(str(error)) from error


class SecretForm(Fields):
    """Another password of a CHAP user."""

    secret = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="12 to 16 characters without spaces. It is never shown again.",
    )


class NodeForm(Fields):
    """A node, of those that are offered."""

    node = _choice("Node")

    def __init__(self, *args: Any, nodes: Iterable[Node], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["node"].choices = [(str(node.pk), node.name) for node in nodes]  # type: ignore[attr-defined]


class Consent(Fields):
    """What is asked for when the target's node does not answer: `silent` is its name, "" while it does."""

    without_node = forms.BooleanField(
        required=False,
        help_text="What may still run there loses the data at once. What the target leaves there is removed when the "
        "node answers again.",
    )

    def __init__(self, *args: Any, silent: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if silent:
            self["without_node"].label = f"Go on without {silent}: it is switched off, or off the network"
        else:
            del self.fields["without_node"]


class Typed(Fields):
    """What is typed to confirm that something is destroyed."""

    confirmation = forms.CharField(label="Type it to confirm", max_length=60)


class DeleteForm(Typed, Consent):
    """A target's name, typed."""

    field_order = ("confirmation", "without_node")


class MoveForm(NodeForm, Consent):
    """Where a target goes."""

    field_order = ("node", "interface", "without_node")

    interface = forms.CharField(
        label="Interface there",
        max_length=15,
        required=False,
        help_text="Empty: for each address the one that is in its network",
    )


class GrowForm(Fields):
    """The size that a LUN is to have."""

    size = _number("New size", LARGEST_GIB, unit="GiB")


class SnapshotForm(Fields):
    """A new snapshot."""

    name = forms.CharField(label="Name", max_length=40, help_text="Letters, digits, dots, dashes and underscores")


class AttachForm(Fields):
    """The target that a detached LUN is to be at, and its number there."""

    target = _choice("Target")
    number = _number("LUN number", 255, help_text="1 to 255, one that no other LUN of the target has")

    def __init__(self, *args: Any, targets: Iterable[Target], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["target"].choices = [(str(target.pk), target.name) for target in targets]  # type: ignore[attr-defined]


class LunForm(Fields):
    """Number, size and name; the policy's fields are the picker's."""

    number = _number("LUN number", 255)
    size = _number("Size", LARGEST_GIB, unit="GiB", help_text="1 GiB to 64 TiB; it can grow later, not shrink")
    name = forms.CharField(
        label="Name", max_length=40, required=False, help_text="What it is called here; may be empty"
    )
    tier = forms.TypedChoiceField(coerce=int, choices=[(number, "") for number in range(4)])
    mode = forms.CharField(max_length=10, error_messages={"required": "Choose how the data is protected."})
    domain = forms.CharField(max_length=8, error_messages={"required": "Choose a failure domain."})

    def refusals(self) -> list[str]:
        """What is wrong with the policy."""
        return [str(text) for name in ("tier", "mode", "domain") for text in self.errors.get(name, [])]
