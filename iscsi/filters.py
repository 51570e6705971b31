"""What the list of initiators can be filtered by."""

from dataclasses import dataclass
from itertools import islice

from django import forms
from django.db.models import Q

from infrastructure.filters import text_widget
from iscsi.models import Target
from iscsi.sessions import Session, sessions_of

# They are made from their targets for each answer: no more of them than what that does in a moment.
MOST_SESSIONS = 5000


@dataclass(frozen=True, slots=True)
class FoundSessions:
    """The sessions that match, and whether there are more."""

    rows: list[Session]
    more: bool


class SessionFilter(forms.Form):
    """Filters of Initiators."""

    q = forms.CharField(required=False, widget=text_widget("Filter by initiator", "Contains"))
    address = forms.CharField(required=False, widget=text_widget("Filter by address", "Contains"))
    target = forms.CharField(required=False, widget=text_widget("Filter by target", "Contains"))
    node = forms.CharField(required=False, widget=text_widget("Filter by node", "Contains"))

    def found(self) -> FoundSessions:
        """Those that match every filter; what cannot be a part of a name filters nothing."""
        self.full_clean()
        wanted = {name: self.cleaned_data.get(name, "").lower() for name in self.fields}
        named = Q(name__icontains=wanted["target"]) | Q(iqn__icontains=wanted["target"])
        targets = Target.objects.filter(named, node__name__icontains=wanted["node"]).exclude(sessions=[])
        matching = (
            session
            for session in sessions_of(targets.select_related("node").order_by("name"))
            if wanted["q"] in session.initiator.lower() and wanted["address"] in session.address.lower()
        )
        rows = list(islice(matching, MOST_SESSIONS + 1))
        return FoundSessions(rows[:MOST_SESSIONS], len(rows) > MOST_SESSIONS)
