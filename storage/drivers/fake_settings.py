"""The settings of the FakeCluster."""

from collections.abc import Mapping

from storage.drivers.facts import Ratios
from storage.drivers.fake_images import FakeImages


class FakeSettings(FakeImages):
    """SettingsKeeper in memory. `options` are those that are set."""

    def __init__(self) -> None:
        super().__init__()
        self.options: dict[str, str] = {}
        self.ratios = Ratios()

    def set_options(self, options: Mapping[str, str | None]) -> bool:
        self._enter("set_options")
        before = dict(self.options)
        for name, value in options.items():
            if value is None:
                self.options.pop(name, None)
            else:
                self.options[name] = value
        return self.options != before

    def set_marks(self, ratios: Ratios) -> bool:
        self._enter("set_marks")
        changed, self.ratios = self.ratios != ratios, ratios
        return changed
