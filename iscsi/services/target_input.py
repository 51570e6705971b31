"""What may be asked of a target: from what was entered to columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from infrastructure.models import Node
from infrastructure.services.errors import InvalidInput
from iscsi.choices import Sharing
from iscsi.models import ChapUser, Target
from iscsi.services import portals
from iscsi.services.inputs import MOST_IOPS, MOST_MBPS, clean_initiators, clean_limit
from iscsi.services.portals import Place, Wish


@dataclass(frozen=True, slots=True)
class Limits:
    """What a target's LUNs may do: operations and MB (1,000,000 bytes) per second; None is no limit."""

    iops: int | None = None
    mbps: int | None = None
    sharing: str = Sharing.EACH


class Settings(TypedDict):
    """What can be edited of a target, as tasks carry it."""

    chap_user_id: int | None
    mutual_user_id: int | None
    initiators: list[str]
    limit_iops: int | None
    limit_mbps: int | None
    sharing: str
    portals: list[Place]


def clean_settings(
    *,
    node: Node,
    wishes: Sequence[Wish],
    chap_user: ChapUser | None,
    mutual_user: ChapUser | None,
    initiators: Sequence[str],
    limits: Limits,
    target: Target | None = None,
) -> Settings:
    """Everything that an administrator says of a target beside its name and node. InvalidInput with the field."""
    if mutual_user is not None and chap_user is None:
        raise InvalidInput(
            "Initiators ask a target to prove itself only when they log in by CHAP",
            advice="Choose a CHAP user as well.",
            field="mutual",
        )
    if mutual_user is not None and mutual_user == chap_user:
        raise InvalidInput(
            "The target cannot prove itself by the user that initiators log in as",
            advice="Choose another user: initiators refuse an answer made with their own secret.",
            field="mutual",
        )
    if limits.sharing not in Sharing.values:
        raise InvalidInput("There is no such way to share a limit", advice="Choose one of the list.", field="sharing")
    return Settings(
        chap_user_id=chap_user.pk if chap_user else None,
        mutual_user_id=mutual_user.pk if mutual_user else None,
        initiators=clean_initiators(initiators),
        limit_iops=clean_limit(limits.iops, "iops", most=MOST_IOPS),
        limit_mbps=clean_limit(limits.mbps, "bandwidth", most=MOST_MBPS),
        sharing=str(limits.sharing),
        portals=portals.resolve(node, wishes, target),
    )


def settings_of(target: Target) -> Settings:
    """What a target has now."""
    return Settings(
        chap_user_id=target.chap_user_id,
        mutual_user_id=target.mutual_user_id,
        initiators=list(target.initiators),
        limit_iops=target.limit_iops,
        limit_mbps=target.limit_mbps,
        sharing=target.sharing,
        portals=portals.places_of(target),
    )


def give(target: Target, wanted: Settings) -> None:
    """Set the columns of a row, and its portals when it has a row; call it in a transaction, and save the row after."""
    for name, value in wanted.items():
        if name != "portals":
            setattr(target, name, value)
    if target.pk:
        portals.set_portals(target, wanted["portals"])
