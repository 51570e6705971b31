"""The task engine's rows. A task is a row first and a message second; it knows no domain."""

from django.conf import settings
from django.db import models

from tasks.choices import APPEARANCE, FINAL_STATES, OPEN_STATES, Level, State, StepState, UndoState


class Task(models.Model):
    """One thing that an admin started, or that Mooring does by itself."""

    kind = models.CharField(max_length=60)
    title = models.CharField(max_length=250)
    queue = models.CharField(max_length=20)
    params = models.JSONField(default=dict)
    params_hash = models.CharField(max_length=64, help_text="identical requests share it")
    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    reason = models.TextField(blank=True, help_text="why it ended as it did, for the user")
    advice = models.TextField(blank=True, help_text="what to do next")
    traceback = models.TextField(blank=True, help_text="for administrators")
    waiting_for = models.CharField(max_length=250, blank=True)
    waits_for_children = models.BooleanField(default=False, help_text="waits for its children instead of a lane")

    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    initiator = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    initiator_name = models.CharField(max_length=150, blank=True)
    source = models.GenericIPAddressField(null=True)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.PositiveBigIntegerField(null=True)
    object_name = models.CharField(max_length=200, blank=True)
    place = models.CharField(max_length=250, blank=True, help_text='nodes in words: "primary → secondnode1"')

    attempt = models.PositiveIntegerField(default=0, help_text="carried by every write of a worker")
    recovering = models.BooleanField(default=False, help_text="the next attempt asks the engine before it acts")
    recoveries = models.PositiveSmallIntegerField(default=0, help_text="how many of its workers died")
    ending = models.CharField(
        max_length=12, blank=True, help_text="the final state decided on, while the undo that goes before it still runs"
    )
    heartbeat = models.PositiveBigIntegerField(default=0)
    worker = models.CharField(max_length=100, blank=True)
    sends = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    rev = models.PositiveBigIntegerField(
        default=0, help_text="bumped with every change of the task, its steps or lines"
    )
    log_length = models.PositiveIntegerField(default=0, help_text="number of steps and lines; the last one's seq")
    progress = models.PositiveSmallIntegerField(null=True, help_text="percent")
    progress_note = models.CharField(max_length=250, blank=True)
    figures = models.JSONField(default=dict, help_text="the last figures that a step reported, such as rate_mib")
    samples_rev = models.PositiveBigIntegerField(default=0, help_text="the rev at which a step last kept a sample")
    phases = models.JSONField(default=list, help_text="see tasks.phases")
    facts = models.JSONField(default=list, help_text='pairs for the page: [["Pause limit", "300 ms"], …]')
    cancel_note = models.CharField(max_length=500, blank=True, help_text="what stays and what is dropped")
    cancellable = models.BooleanField(default=True, help_text="false once the running attempt cannot be turned back")
    cancel_requested_at = models.DateTimeField(null=True)
    cancelled_by = models.CharField(max_length=150, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    # Set by enqueue() on what it returns: the request found this task already open.
    already_running: bool = False

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "queue"]),
            models.Index(fields=["object_type", "object_id"]),
            models.Index(fields=["parent"]),
            models.Index(fields=["created_at"]),
        ]

    def __str__(self) -> str:
        return f"task {self.pk}"

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def glyph(self) -> str:
        return APPEARANCE[self.state][0]

    @property
    def tone(self) -> str:
        return APPEARANCE[self.state][1]

    def scopes(self) -> set[tuple[str, int]]:
        """The parts of the tree it is about: whom a scoped right over one of them lets see or steer this task."""
        return {(target.object_type, target.object_id) for target in self.targets.all()}


class TaskTarget(models.Model):
    """An object that the task is about, so that each object's Logs tab finds its tasks."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="targets")
    object_type = models.CharField(max_length=40)
    object_id = models.PositiveBigIntegerField()
    object_name = models.CharField(max_length=200)
    word = models.CharField(max_length=40, blank=True, help_text="what it is to the task: Source, Target")

    class Meta:
        indexes = [models.Index(fields=["object_type", "object_id"])]
        constraints = [models.UniqueConstraint(fields=["task", "object_type", "object_id"], name="one_target_each")]

    def __str__(self) -> str:
        return f"{self.object_type} {self.object_name}"


class TaskStep(models.Model):
    """A step of a task; steps nest. Its undo is saved here before its effect happens."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="steps")
    parent = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="children")
    seq = models.PositiveIntegerField(help_text="order of appearance in the task, shared with its lines")
    depth = models.PositiveSmallIntegerField(default=0)
    key = models.CharField(max_length=250, help_text="path of titles: how a later attempt finds the step again")
    title = models.CharField(max_length=250)
    state = models.CharField(max_length=12, choices=StepState.choices, default=StepState.RUNNING)
    note = models.CharField(max_length=250, blank=True)
    progress = models.PositiveSmallIntegerField(null=True)
    samples = models.JSONField(default=dict, help_text="figures over time, see tasks.samples")
    attempt = models.PositiveIntegerField()
    rev = models.PositiveBigIntegerField()
    undo_name = models.CharField(max_length=60, blank=True)
    undo_args = models.JSONField(default=dict)
    undo_state = models.CharField(max_length=10, choices=UndoState.choices, default=UndoState.NONE, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["task", "seq"], name="step_seq_once")]
        indexes = [models.Index(fields=["task", "rev"])]

    def __str__(self) -> str:
        return self.title

    @property
    def glyph(self) -> str:
        return APPEARANCE[self.state][0]

    @property
    def tone(self) -> str:
        return APPEARANCE[self.state][1]


class TaskLine(models.Model):
    """A message within a step. Lines are only ever added, contiguous by `seq` together with the steps."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="lines")
    step = models.ForeignKey(TaskStep, null=True, on_delete=models.CASCADE, related_name="lines")
    seq = models.PositiveIntegerField()
    level = models.CharField(max_length=10, choices=Level.choices, default=Level.INFO)
    text = models.TextField()
    at = models.DateTimeField()
    rev = models.PositiveBigIntegerField()

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["task", "seq"], name="line_seq_once")]
        indexes = [models.Index(fields=["task", "rev"])]

    def __str__(self) -> str:
        return self.text


class TaskLock(models.Model):
    """What a task holds, alone or shared, so that no conflicting one starts. It goes with the task's end."""

    key = models.CharField(max_length=120, db_index=True)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="locks")
    shared = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=models.Q(shared=False), name="one_holder_of_a_lock"),
            models.UniqueConstraint(fields=["key", "task"], name="lock_once_a_task"),
        ]

    def __str__(self) -> str:
        return f"{self.key} held by {self.task}"


class TaskLane(models.Model):
    """A lane that a task occupies while it is queued or running, or waits for."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="lanes")
    key = models.CharField(max_length=120, db_index=True)
    limit = models.PositiveSmallIntegerField()
    label = models.CharField(max_length=200, help_text='what others wait for: "2 migrations on primary"')

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "key"], name="lane_once")]

    def __str__(self) -> str:
        return self.label


class Gate(models.Model):
    """One row; whoever admits tasks to lanes updates it first, so that admissions happen one at a time."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    turns = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"turn {self.turns}"
