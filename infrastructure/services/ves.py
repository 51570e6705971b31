"""What is done with a VE's entry in the inventory alone; the engine is not touched."""

from django.http import HttpRequest

from infrastructure.choices import VEState
from infrastructure.models import VE
from infrastructure.services import inventory
from infrastructure.services.access import authorize
from infrastructure.services.errors import NotPossible
from panel.accounts.models import User
from panel.audit.services import record


def forget(*, user: User | None, ve: VE, request: HttpRequest | None = None) -> None:
    """Drop a missing VE, with its graphs, from the inventory. It comes back by itself when a node shows it again.

    Raises PermissionDenied; NotPossible while a node has it, or the node that had it does not answer.
    """
    authorize(user=user, permission="ve.operate", action="ve.forget", obj=ve, request=request)
    if ve.state != VEState.MISSING:
        raise NotPossible(f"{ve} is not missing", advice="Only a VE that no reachable node has can be forgotten.")
    record(action="ve.forget", actor=user, request=request, target=ve, detail=str(ve.uuid))
    inventory.forget(ve)
