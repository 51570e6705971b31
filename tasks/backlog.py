"""How many tasks are open, for the history of the health page."""

from collections.abc import Mapping

from django.db.models import Count

from tasks.choices import OPEN_STATES, State
from tasks.models import Task


def backlog() -> Mapping[str, float]:
    """Tasks by state: running, queued (a worker is to take them) and waiting (for a lane or for children)."""
    rows = Task.objects.filter(state__in=OPEN_STATES).order_by().values_list("state").annotate(Count("pk"))
    found = dict(rows)
    return {str(state): float(found.get(state, 0)) for state in (State.RUNNING, State.QUEUED, State.WAITING)}
