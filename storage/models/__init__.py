"""The storage's tables."""

from storage.models.attachment import Attachment
from storage.models.cluster import Cluster, Disk, StorageRevision
from storage.models.datastore import Datastore

__all__ = ["Attachment", "Cluster", "Datastore", "Disk", "StorageRevision"]
