"""The tables of iSCSI."""

from iscsi.models.lun import Lun, Snapshot
from iscsi.models.node import IscsiNode, LeftServer
from iscsi.models.target import ChapUser, IscsiRevision, Portal, Target

__all__ = ["ChapUser", "IscsiNode", "IscsiRevision", "LeftServer", "Lun", "Portal", "Snapshot", "Target"]
