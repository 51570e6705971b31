"""What open pages follow of iSCSI: that something changed. They read their regions anew."""

from iscsi.models import IscsiRevision
from panel.accounts.models import User
from panel.live.registry import Update, topic


@topic("iscsi", permission="iscsi.view")
def read(user: User, key: str, after: int) -> Update | None:
    """The revision of iSCSI; None when it is the one that the page has, LookupError for a key: it is one topic."""
    if key:
        raise LookupError("iSCSI is one topic.")
    rev = IscsiRevision.current()
    return None if rev == after else Update(rev)
