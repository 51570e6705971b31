"""What open pages follow of the storage: that something changed. They read their regions anew."""

from panel.accounts.models import User
from panel.live.registry import Update, topic
from storage.models import StorageRevision


@topic("storage", permission="storage.view")
def read(user: User, key: str, after: int) -> Update | None:
    """The storage's revision; None when it is the one that the page has, LookupError for a key: it is one topic."""
    if key:
        raise LookupError("The storage is one topic.")
    rev = StorageRevision.current()
    return None if rev == after else Update(rev)
