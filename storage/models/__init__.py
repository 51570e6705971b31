"""The storage's tables."""

from storage.models.cluster import Cluster, Disk, StorageRevision
from storage.models.datastore import Datastore

__all__ = ["Cluster", "Datastore", "Disk", "StorageRevision"]
