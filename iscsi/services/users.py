"""CHAP users: who initiators log in as. Secrets come in here and go to tgtd's socket; they are shown nowhere."""

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone

from infrastructure.services.access import authorize
from infrastructure.services.errors import InvalidInput, NotPossible
from iscsi.models import ChapUser, IscsiRevision, Target
from iscsi.services import announcing
from iscsi.services.inputs import clean_secret, clean_user
from panel.accounts.models import User
from panel.audit.services import record
from panel.trust.encryption import encrypt
from tasks.models import Task
from tasks.services import Target as About
from tasks.services import enqueue

PERMISSION = "iscsi.manage"
CREATE, CHANGE, REMOVE = "iscsi.user.create", "iscsi.user.change_secret", "iscsi.user.remove"


def create(*, user: User | None, name: str, secret: str, request: HttpRequest | None = None) -> ChapUser:
    """Add a user. Raises PermissionDenied, InvalidInput (field "name" or "secret")."""
    _authorize(user, CREATE, None, request)
    name, secret = clean_user(name), clean_secret(secret)
    taken = InvalidInput(f"There is a user named {name} already", advice="Choose another name.", field="name")
    if ChapUser.objects.filter(name__iexact=name).exists():
        raise taken
    try:
        with transaction.atomic():
            chap = ChapUser(name=name, secret=encrypt(secret), version=IscsiRevision.bump(), changed_at=timezone.now())
            announcing.save(chap)
            record(action=CREATE, actor=user, request=request, target=chap)
    except IntegrityError:  # somebody added it between the look and the insert
        raise taken from None
    return chap


def change_secret(*, user: User | None, chap: ChapUser, secret: str, request: HttpRequest | None = None) -> Task | None:
    """Give a user another secret and start telling the servers that ask for it; None when no target does.

    It counts for new logins; who is connected stays. Raises PermissionDenied, InvalidInput, TaskConflict.
    """
    _authorize(user, CHANGE, chap, request)
    secret = clean_secret(secret)
    with transaction.atomic():
        chap = ChapUser.objects.select_for_update().get(pk=chap.pk)
        news = {"secret": encrypt(secret), "version": IscsiRevision.bump(), "changed_at": timezone.now()}
        announcing.save(chap, **news)
        targets = where_used(chap)
        if not targets:
            record(action=CHANGE, actor=user, request=request, target=chap)
            return None
        return enqueue(
            CHANGE,
            user=user,
            request=request,
            params={"chap_id": chap.pk, "version": chap.version},
            title_args={"user": chap.name},
            targets=[About("chapuser", chap.pk, chap.name), *(About("target", t.pk, t.name) for t in targets)],
            place=", ".join(sorted({target.node.name for target in targets})),
            permission_object=chap,
        )


def remove(*, user: User | None, chap: ChapUser, request: HttpRequest | None = None) -> None:
    """Delete a user. Raises PermissionDenied, NotPossible while a target asks for it."""
    _authorize(user, REMOVE, chap, request)
    with transaction.atomic():
        chap = ChapUser.objects.select_for_update().get(pk=chap.pk)
        if targets := where_used(chap):
            names = ", ".join(target.name for target in targets[:5])
            raise NotPossible(
                f"{chap} is used by {names}{' and others' if len(targets) > 5 else ''}",
                advice="Choose another user for these targets first, or none.",
            )
        record(action=REMOVE, actor=user, request=request, target=chap)
        announcing.delete(chap)


def where_used(chap: ChapUser) -> list[Target]:
    """The targets that ask for this user, or prove themselves by it, by name."""
    found = Target.objects.filter(chap_user=chap) | Target.objects.filter(mutual_user=chap)
    return list(found.select_related("node").order_by("name").distinct())


def _authorize(user: User | None, action: str, chap: ChapUser | None, request: HttpRequest | None) -> None:
    if user is not None:  # Mooring itself may do all
        authorize(user=user, permission=PERMISSION, action=action, obj=chap, request=request)
