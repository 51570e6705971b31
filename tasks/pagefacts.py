"""What a job tells the task's page besides its log: the phase it is in, and facts."""

from collections.abc import Mapping

from django.utils import timezone

from tasks import phases
from tasks.models import Task
from tasks.pen import Pen, Stamp
from tasks.text import clip


class PageFacts:
    """The part of TaskRun that writes these; each write raises Fenced like all of them."""

    task: Task
    pen: Pen
    secrets: set[str]

    def __init__(self) -> None:
        self._told_phases: dict[str, tuple[str, bool]] = {}

    def phase(self, name: str, note: str = "") -> None:
        """Enter one of the phases that the job declares, or give the current one another note. Raises BadRequest.

        They only go forward: entering one that is over, as an attempt does that takes the task up again, does nothing.
        """
        self._change_phases(name, note, enter=True)

    def phase_note(self, name: str, note: str) -> None:
        """Set the note of a phase without entering it: what is known beforehand ("Pause about 250 ms")."""
        self._change_phases(name, note, enter=False)

    def facts(self, facts: Mapping[str, object]) -> None:
        """Add rows to the task's facts on its page, or change them: {"Channel": "TLS, 172.16.24.0/24"}."""
        told = [[clip(label, 40), clip(value, 250, secrets=self.secrets)] for label, value in facts.items()]

        def merge(stamp: Stamp) -> None:
            row = Task.objects.filter(pk=self.task.pk)
            known = dict(row.values_list("facts", flat=True).get())
            row.update(facts=[[label, value] for label, value in (known | dict(told)).items()])

        self.pen.write(merge)

    def _change_phases(self, name: str, note: str, *, enter: bool) -> None:
        note = clip(note, 120, secrets=self.secrets)
        if self._told_phases.get(name) == (note, enter):
            return
        row = Task.objects.filter(pk=self.task.pk)

        def change(stamp: Stamp) -> None:
            known = row.values_list("phases", flat=True).get()
            now = timezone.now()
            row.update(phases=phases.entered(known, name, note, now) if enter else phases.noted(known, name, note))

        self.pen.write(change)
        self._told_phases[name] = (note, enter)
