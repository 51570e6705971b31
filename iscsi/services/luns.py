"""LUNs: adding, growing, snapshots, rolling back, detaching, attaching, deleting. Each starts the task that does it."""

from collections.abc import Mapping, Sequence

from django.db import IntegrityError, transaction
from django.http import HttpRequest

from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from iscsi.choices import Stage
from iscsi.models import Lun, Target
from iscsi.services import announcing, policies
from iscsi.services.access import only_cluster, require_user
from iscsi.services.inputs import clean_label, clean_number, clean_size, clean_snapshot, new_image
from panel.accounts.models import User
from panel.ui.format import space
from storage.services.datastores import clean_policy, policy_of
from tasks.choices import OPEN_STATES
from tasks.lanes import Lane
from tasks.models import Task
from tasks.services import Target as About
from tasks.services import enqueue

PERMISSION = "iscsi.manage"
ADD, GROW, DELETE = "iscsi.lun.add", "iscsi.lun.grow", "iscsi.lun.delete"
DETACH, ATTACH = "iscsi.lun.detach", "iscsi.lun.attach"
SNAPSHOT, ROLL_BACK, DROP_SNAPSHOT = "iscsi.lun.snapshot", "iscsi.lun.roll_back", "iscsi.lun.drop_snapshot"


def add(
    *,
    user: User | None,
    target: Target,
    number: int,
    size_gib: int,
    tier: int,
    mode: str,
    domain: str,
    name: str = "",
    request: HttpRequest | None = None,
) -> tuple[Lun, Task]:
    """Start adding a LUN; its number is taken at once. An equal request gets the running task.

    Raises PermissionDenied; InvalidInput with the field (number, size, tier, mode, domain, name); NotPossible when the
    policy or the size does not fit the cluster now, or it does not answer; TaskConflict.
    """
    _authorize(user, ADD, target, request)
    number, size, name = clean_number(number), clean_size(size_gib), clean_label(name)
    policy = clean_policy(tier, mode, domain)
    cluster = only_cluster()
    require_user(cluster)
    _require_ready(target)
    with transaction.atomic():
        # The target's row serialises requests, so that two that come at once see each other.
        target = Target.objects.select_for_update().select_related("node").get(pk=target.pk)
        held = target.luns.filter(number=number).select_related("datastore").first()
        same = held is not None and (held.size, held.name, policy_of(held.datastore)) == (size, name, policy)
        if held is not None:
            if same and (running := _running(held, ADD)) is not None:
                running.already_running = True
                return held, running
            _refuse_taken(held, same=same)
        policies.check(cluster, policy, size)
        lun = held or Lun(target=target, number=number, name=name, size=size, image=new_image())
        lun.datastore = policies.datastore_for(cluster, policy)
        lun.stage = Stage.CREATING
        announcing.save(lun, stage=Stage.CREATING, datastore=lun.datastore)
        return lun, _enqueue(ADD, user, lun, request, {"target_id": target.pk}, lanes=policies.lanes(lun.datastore))


def grow(*, user: User | None, lun: Lun, size_gib: int, request: HttpRequest | None = None) -> Task:
    """Start making a LUN larger. Initiators find it not ready for about a second, and see the size after a rescan.

    Raises PermissionDenied, InvalidInput (field "size"), NotPossible, TaskConflict.
    """
    _authorize(user, GROW, lun, request)
    size = clean_size(size_gib)
    _require_lun(lun)
    if size <= lun.size:
        raise InvalidInput(
            f"{lun} has {space(lun.size)} already",
            advice="Enter more: a LUN cannot shrink, for initiators would lose what lies at its end.",
            field="size",
        )
    policies.check(lun.datastore.cluster, policy_of(lun.datastore), size - lun.size)
    return _enqueue(GROW, user, lun, request, {**_at(lun), "size": size, "before": lun.size})


def take_snapshot(*, user: User | None, lun: Lun, name: str, request: HttpRequest | None = None) -> Task:
    """Start taking a snapshot: what the initiators have written until then. InvalidInput for a name that is taken."""
    _authorize(user, SNAPSHOT, lun, request)
    name = clean_snapshot(name)
    _require_lun(lun)
    if lun.snapshots.filter(name=name).exists():
        raise InvalidInput(f"{lun} has a snapshot {name} already", advice="Choose another name.", field="name")
    return _enqueue(SNAPSHOT, user, lun, request, {**_at(lun), "snapshot": name})


def roll_back(*, user: User | None, lun: Lun, name: str, confirmation: str, request: HttpRequest | None = None) -> Task:
    """Start rolling a LUN back: all that was written since the snapshot is lost. `confirmation`: its name, typed.

    Meanwhile its target does not show it: initiators must not use it. Raises PermissionDenied, InvalidInput,
    NotPossible, TaskConflict.
    """
    _authorize(user, ROLL_BACK, lun, request)
    if lun.stage != Stage.BROKEN:
        _require_lun(lun)
    _require_snapshot(lun, name)
    _confirm(confirmation, name)
    return _enqueue(ROLL_BACK, user, lun, request, {**_at(lun), "snapshot": name})


def drop_snapshot(*, user: User | None, lun: Lun, name: str, request: HttpRequest | None = None) -> Task:
    """Start deleting a snapshot. Raises PermissionDenied, NotPossible, TaskConflict."""
    _authorize(user, DROP_SNAPSHOT, lun, request)
    _require_snapshot(lun, name)
    return _enqueue(DROP_SNAPSHOT, user, lun, request, {**_at(lun), "snapshot": name})


def detach(*, user: User | None, lun: Lun, request: HttpRequest | None = None) -> Task:
    """Start taking a LUN off its target; its data stays. Raises PermissionDenied, NotPossible, TaskConflict."""
    _authorize(user, DETACH, lun, request)
    _require_lun(lun)
    if lun.target is None:
        raise NotPossible(f"{lun} is detached already")
    return _enqueue(DETACH, user, lun, request, {**_at(lun), "number": lun.number})


def attach(*, user: User | None, lun: Lun, target: Target, number: int, request: HttpRequest | None = None) -> Task:
    """Start showing a detached LUN at a target; the number is taken at once.

    Raises PermissionDenied, InvalidInput (field "number"), NotPossible, TaskConflict.
    """
    _authorize(user, ATTACH, lun, request)
    number = clean_number(number)
    _require_lun(lun)
    _require_ready(target)
    if lun.target is not None:
        raise NotPossible(f"{lun} is at {lun.target} already", advice="Detach it first.")
    try:
        with transaction.atomic():
            held = target.luns.filter(number=number).first()
            if held is not None:
                _refuse_taken(held, same=False)
            # Held back until its task runs: so that the server does not show it before the log says so.
            announcing.save(lun, target=target, number=number, stage=Stage.RESTING)
            return _enqueue(ATTACH, user, lun, request, {"target_id": target.pk, "number": number})
    except IntegrityError:
        raise InvalidInput(f"LUN {number} of {target} is taken", field="number") from None


def delete(*, user: User | None, lun: Lun, confirmation: str, request: HttpRequest | None = None) -> Task:
    """Start deleting a LUN with its data and snapshots. `confirmation`: `words_of` it, typed.

    Raises PermissionDenied, InvalidInput (field "confirmation"), TaskConflict.
    """
    _authorize(user, DELETE, lun, request)
    _confirm(confirmation, words_of(lun))
    return _enqueue(DELETE, user, lun, request, _at(lun), lanes=policies.lanes(lun.datastore))


def words_of(lun: Lun) -> str:
    """What is typed to confirm that the data of a LUN is destroyed: "target1/1", or the image of a detached one."""
    return f"{lun.target.name}/{lun.number}" if lun.target else lun.image


def free_numbers(target: Target) -> list[int]:
    """Numbers that a new LUN of the target can have, the lowest first."""
    taken = set(target.luns.values_list("number", flat=True))
    return [number for number in range(1, 256) if number not in taken]


def _refuse_taken(held: Lun, *, same: bool) -> None:
    """The number may be taken by a LUN that was not created: with the same settings it is tried again."""
    running = _running(held)
    if running is not None:
        raise InvalidInput(
            f"LUN {held.number} is in use by task {running.pk}, “{running.title}”",
            advice="Choose another number, or wait for its end.",
            field="number",
        )
    if held.stage != Stage.FAILED:
        raise InvalidInput(
            f"{held.target} has a LUN {held.number} already", advice="Choose another number.", field="number"
        )
    if not same:
        raise InvalidInput(
            f"LUN {held.number} was begun with other settings and not created",
            advice="Delete that one first, or choose another number.",
            field="number",
        )


def _running(lun: Lun, kind: str = "") -> Task | None:
    """The open task about a LUN."""
    tasks = Task.objects.filter(state__in=OPEN_STATES, object_type="lun", object_id=lun.pk)
    return (tasks.filter(kind=kind) if kind else tasks).order_by("pk").first()


def _require_ready(target: Target) -> None:
    if target.stage != Stage.READY:
        raise NotPossible(f"{target} is {target.get_stage_display().lower()}", advice="Wait for the end of its task.")


def _require_lun(lun: Lun) -> None:
    if lun.stage != Stage.READY:
        raise NotPossible(f"{lun} is {lun.get_stage_display().lower()}", advice="Wait for the end of its task.")


def _require_snapshot(lun: Lun, name: str) -> None:
    if not lun.snapshots.filter(name=name).exists():
        raise NotPossible(f"{lun} has no snapshot {name[:60]!r}", advice="Reload the page: it may have been deleted.")


def _confirm(typed: str, wanted: str) -> None:
    if typed.strip() != wanted:
        raise InvalidInput(f"Type {wanted} to confirm", field="confirmation")


def _at(lun: Lun) -> dict[str, object]:
    """The target that a task about the LUN shares with others; 0 while it is detached."""
    return {"target_id": lun.target_id or 0}


def _authorize(user: User | None, action: str, obj: Lun | Target, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission=PERMISSION, action=action, obj=obj, request=request)


def _enqueue(
    kind: str,
    user: User | None,
    lun: Lun,
    request: HttpRequest | None,
    params: Mapping[str, object],
    lanes: Sequence[Lane] = (),
) -> Task:
    target = lun.target
    about = [About("lun", lun.pk, str(lun))]
    about += [About("target", target.pk, target.name)] if target else []
    return enqueue(
        kind,
        user=user,
        request=request,
        params={"lun_id": lun.pk, **params},
        title_args={
            "lun": str(lun),
            "disk": lun.name or f"LUN {lun.number}",
            "target": target.name if target else "",
        },
        targets=about,
        place=target.node.name if target else lun.datastore.cluster.name,
        permission_object=lun,
        lanes=lanes,
        facts={"Policy": policy_of(lun.datastore), "Image": f"{lun.datastore.pool}/{lun.image}"},
    )
