"""What a removal of a node has to take off it for the storage: registered with the jobs, which load libvirt late."""

from infrastructure.services import letting_go
from storage.services import attachments

letting_go.register(attachments.let_go)
