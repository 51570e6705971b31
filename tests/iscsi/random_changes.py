"""Changes of targets and LUNs at random, whatever may be asked for; tests/iscsi and tests/lab make them."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from infrastructure.services.errors import ServiceError
from iscsi.choices import Sharing, Stage
from iscsi.models import Lun, Target
from iscsi.services import luns, targets
from iscsi.services.reconcile import reconcile
from iscsi.services.target_input import Limits
from tasks.models import Task
from tests.infrastructure.fake_nodes import run

NODES = ("primary", "secondnode1")


class World(Protocol):
    """What the changes are made to."""

    nodes: Any  # name → Node

    def ask_target(self, name: str, node: str, **more: Any) -> tuple[Target, Task]: ...

    def ask_lun(self, target: Target, number: int, **more: Any) -> tuple[Lun, Task]: ...


class Random:
    """Asks for anything that may be asked for."""

    def __init__(self, world: World, seed: int, policies: Sequence[dict[str, Any]]) -> None:
        self.world, self.dice, self._policies = world, random.Random(seed), policies
        self.made = 0
        self.refused: Counter[str] = Counter()

    def lun(self) -> Lun:
        return self.dice.choice(list(Lun.objects.select_related("target__node", "datastore__cluster")))

    def target(self) -> Target:
        return self.dice.choice(list(Target.objects.select_related("node")))

    def create(self) -> Task:
        self.made += 1
        limits = Limits(self.dice.choice((None, 100)), None, self.dice.choice(Sharing.values))
        node = self.dice.choice(NODES)
        return self.world.ask_target(f"t{self.made}", node, limits=limits)[1]

    def add(self) -> Task:
        policy = self.dice.choice(self._policies)
        return self.world.ask_lun(self.target(), self.dice.randint(1, 4), **policy)[1]

    def grow(self) -> Task:
        lun = self.lun()
        return luns.grow(user=None, lun=lun, size_gib=(lun.size >> 30) + 1)

    def detach(self) -> Task:
        return luns.detach(user=None, lun=self.lun())

    def attach(self) -> Task:
        return luns.attach(user=None, lun=self.lun(), target=self.target(), number=self.dice.randint(1, 4))

    def delete(self) -> Task:
        lun = self.lun()
        return luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun))

    def move(self) -> Task:
        target = self.target()
        other = "secondnode1" if target.node.name == "primary" else "primary"
        return targets.move(user=None, target=target, node=self.world.nodes[other])

    def switch(self) -> Task:
        target = self.target()
        return (targets.stop if target.started else targets.start)(user=None, target=target)

    def remove(self) -> Task:
        target = self.target()
        return targets.delete(user=None, target=target, confirmation=target.name)

    def _any(self) -> Callable[[], Task]:
        """Something that there is something to do it with."""
        if not Target.objects.exists():
            return self.create
        if not Lun.objects.exists():
            return self.add
        usual = [self.create, self.add, self.add, self.add, self.grow, self.detach, self.attach, self.delete]
        return self.dice.choice([*usual, self.move, self.switch, self.remove])

    def one(self) -> None:
        """One change, before which something may break."""
        ask = self._any()
        self.break_something()
        try:
            task = ask()
        except ServiceError as refusal:
            self.refused[str(refusal)] += 1
            return
        run(task)
        assert task.state in ("completed", "warning", "failed"), (task.title, task.reason)
        self.after()

    def break_something(self) -> None:
        """Maybe; whatever it is."""

    def after(self) -> None:
        """What others do after a change."""


def settle() -> None:
    """What the collector does when nothing breaks any more, and the end of what could only be begun."""
    for lun in Lun.objects.exclude(stage=Stage.READY):
        assert run(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun))).state == "completed"
    for target in Target.objects.exclude(stage=Stage.READY):
        assert run(targets.delete(user=None, target=target, confirmation=target.name)).state == "completed"
    for target in Target.objects.all():
        assert reconcile(target.pk).ok


def remove_all() -> None:
    """Every LUN and every target."""
    for lun in Lun.objects.all():
        run(luns.delete(user=None, lun=lun, confirmation=luns.words_of(lun)))
    for target in Target.objects.all():
        run(targets.delete(user=None, target=target, confirmation=target.name))
