"""Telling servers another secret of a CHAP user."""

from infrastructure.drivers.base import DriverError
from infrastructure.services.figures import sentence
from iscsi.jobs.steps import resume, tell_server
from iscsi.models import ChapUser
from iscsi.services.users import CHANGE, PERMISSION, where_used
from tasks.errors import JobFailed
from tasks.registry import job
from tasks.runner import TaskRun


@job(
    CHANGE,
    title="Changing the password of {user}",
    permission=PERMISSION,
    lock="chapuser:{chap_id}",
    recover=resume,
    doing="being given another password",
    noun="change",
)
def change_secret(run: TaskRun, *, chap_id: int, version: int) -> None:
    """The new secret is in the user's row already; `version` says which one it is."""
    chap = ChapUser.objects.filter(pk=chap_id).first()
    if chap is None:
        raise JobFailed("The user was deleted.", "Nothing is left to do.")
    run.line("It counts for new logins; initiators that are connected stay")
    for target in where_used(chap):
        try:
            tell_server(run, target)
        except DriverError as error:  # the collector goes on trying
            run.warn(f"{target} still asks for the former password: {sentence(error.message)}")
