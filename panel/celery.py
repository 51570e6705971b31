"""The Celery application: a message names a task's row, nothing more."""

import os
from typing import Any

from celery import Celery
from celery.app.amqp import AMQP
from kombu.connection import Connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.settings")
# The system checks import the routes and through them every engine's library, and a worker must not have those when it
# forks. They are run before the panel starts.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")


class EagerConnection(Connection):
    """Looks for a lost Redis every second; Celery's own pauses grow to 30 s."""

    def _ensure_connection(self, *args: Any, **kwargs: Any) -> Any:
        return super()._ensure_connection(
            *args, **{"interval_start": 1, "interval_step": 1, "interval_max": 1} | kwargs
        )


class PanelAMQP(AMQP):
    Connection = EagerConnection


app = Celery("panel", amqp=PanelAMQP)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["tasks"], related_name="messages")
app.autodiscover_tasks(["tasks"], related_name="vitals")

app.conf.update(
    task_ignore_result=True,
    task_default_queue="default",
    task_acks_late=False,  # a task's row decides what runs; a message that is delivered twice finds nothing to claim
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,  # a message waits in Redis, where another worker finds it, not behind a long task
    worker_hijack_root_logger=False,
    worker_enable_prefetch_count_reduction=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # for ever
    # A page that starts a task must not wait for a Redis that is down: one try, short timeouts; the keeper sends again.
    broker_transport_options={"max_retries": 0, "socket_connect_timeout": 1, "socket_timeout": 2},
)
