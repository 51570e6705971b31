"""What the checks ask about, each engine asked once."""

from functools import cached_property

from infrastructure.drivers.base import HostDriver, NodeFacts, VEFacts
from infrastructure.models import VE, Node
from infrastructure.services.endpoints import driver
from infrastructure.services.preflight.proof import SharedFolders


class Context:
    """One VE, one target. A question that failed once fails again at once, so a dead node costs one deadline."""

    def __init__(self, ve: VE, source: Node, target: Node, *, live: bool, copy_disks: bool = False) -> None:
        self.ve = ve
        self.source = source
        self.target = target
        self.live = live
        self.copy_disks = copy_disks
        self._errors: dict[str, Exception] = {}

    @cached_property
    def source_driver(self) -> HostDriver:
        return driver(self.source)

    @cached_property
    def target_driver(self) -> HostDriver:
        return driver(self.target)

    @cached_property
    def folders(self) -> SharedFolders:
        return SharedFolders(self.source_driver, self.target_driver)

    @property
    def uuid(self) -> str:
        return str(self.ve.uuid)

    def guest(self) -> VEFacts:
        """The VE as its source shows it now. DriverError."""
        self._raise_again("guest")
        return self._guest

    def host(self) -> NodeFacts:
        """The target as it shows itself now. DriverError."""
        self._raise_again("host")
        return self._host

    @cached_property
    def _guest(self) -> VEFacts:
        try:
            return self.source_driver.ve(self.uuid)
        except Exception as error:
            self._errors["guest"] = error
            raise

    @cached_property
    def _host(self) -> NodeFacts:
        try:
            return self.target_driver.facts()
        except Exception as error:
            self._errors["host"] = error
            raise

    def _raise_again(self, question: str) -> None:
        if question in self._errors:
            raise self._errors[question]
