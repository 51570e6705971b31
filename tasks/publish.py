"""Tell the pages that a task changed. Only a poke leaves: whoever gets it reads the rows."""

from django.db import transaction

from panel.live.poke import poke


def after_commit(task_id: int, rev: int = 0, *, listed: bool = False, parent_id: int | None = None) -> None:
    """Poke the followers of a task once the transaction is committed.

    listed: those of the list of tasks too, and those of the parent whose table shows it.
    rev: a hint; 0 where the writer does not know it.
    """

    def announce() -> None:
        poke(f"task:{task_id}", rev)
        if listed:
            poke("tasks", 0)
            if parent_id is not None:
                poke(f"task-children:{parent_id}", 0)

    transaction.on_commit(announce, robust=True)
