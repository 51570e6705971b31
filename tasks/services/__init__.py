"""The doors to the task engine: start a task, cancel it, try it again."""

from tasks.services.cancelling import cancel
from tasks.services.children import Child
from tasks.services.enqueueing import Target, enqueue
from tasks.services.retrying import retry

__all__ = ["Child", "Target", "cancel", "enqueue", "retry"]
