"""A Debian without systemd in memory: the commands that setting a node up and working on it run there."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from infrastructure.drivers.base import Completed
from infrastructure.services.onboarding import certificates
from infrastructure.services.onboarding.packages import PACKAGES
from panel.trust import ca
from tests.infrastructure.fake_nodes import Cluster

CERTIFICATE = f"{certificates.LIBVIRT_DIR}/servercert.pem"


class Host:
    """`ran` are the commands, `faults` what happens instead of one of them, once; `running` the daemons."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.ran: list[str] = []
        self.uid = "0"
        self.installed = set(PACKAGES)
        self.faults: dict[str, Exception] = {}
        self.running = {"libvirtd", "virtlogd"}
        self.systemd = False

    def run(self, argv: Collection[str], **_: Any) -> Completed:
        argv = list(argv)
        self.ran.append(" ".join(argv))
        if (fault := self.faults.pop(self.ran[-1], None)) is not None:
            raise fault
        code, text = self._answer(argv)
        return Completed(text.encode(), b"", code)

    def _answer(self, argv: list[str]) -> tuple[int, str]:
        if argv[0] == "id":
            return 0, self.uid
        if argv[0] == "uname":
            return 0, "primary 6.1.0 x86_64"
        if argv[0] == "dpkg-query":
            return 0, "".join(f"{name} installed\n" for name in PACKAGES if name in self.installed)
        if argv[0] == "stat":
            return (0 if all(path in self.files for path in argv[3:]) else 1), ""
        if argv[:2] == ["test", "-d"]:
            there = self.systemd if argv[2] == "/run/systemd/system" else self._has(argv[2])
            return (0 if there else 1), ""
        if argv[0] in ("test", "getent"):
            return 1, ""
        if argv[0] in ("service", "systemctl") and argv[-1] == "status":
            return (0 if argv[1] in self.running else 3), ""
        if argv[:2] == ["systemctl", "is-active"]:
            return (0 if argv[-1].removesuffix(".service") in self.running else 3), ""
        if argv[0] == "rm":
            for folder in argv[3:]:
                self._delete(folder)
        elif argv[0] == "sh" and argv[3:4] == ["sh"]:
            for folder in argv[4:]:
                self._script(argv[2], folder)
        elif "install" in argv and "apt-get" in argv:
            self.installed |= set(argv[argv.index("install") + 1 :])
        return 0, ""

    def _script(self, text: str, folder: str) -> None:
        """What the scripts do to a folder; test_certificate_sets.py runs them in a real shell."""
        old, new = folder + ".old", folder + ".new"
        if text == certificates.one_line(certificates.SWAP):
            if self._has(new):
                self._delete(folder) if self._has(old) else self._move(folder, old)
                self._move(new, folder)
        elif text == certificates.one_line(certificates.PUT_BACK):
            self._delete(new)
            if self._has(old):
                self._delete(folder)
                self._move(old, folder)
        elif text == certificates.one_line(certificates.FORGET):
            self._delete(old)
            self._delete(new)
        else:
            raise AssertionError(f"an unknown script: {text}")

    def _has(self, folder: str) -> bool:
        return any(path.startswith(f"{folder}/") for path in self.files)

    def _delete(self, folder: str) -> None:
        for path in [path for path in self.files if path == folder or path.startswith(f"{folder}/")]:
            del self.files[path]

    def _move(self, folder: str, to: str) -> None:
        for path in [path for path in self.files if path.startswith(f"{folder}/")]:
            self.files[to + path.removeprefix(folder)] = self.files.pop(path)


@contextmanager
def authority(folder: Path, settings: Any) -> Iterator[None]:
    """An authority of the test's own."""
    settings.KEYS_DIR = folder
    settings.PKI_DIR = folder / "pki"
    ca.ensure_ca()
    yield


@pytest.fixture
def debian(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Any) -> Iterator[Host]:
    """The node primary as such a machine, and an authority of the test's own."""
    with authority(tmp_path, settings):
        made = Host(cluster.primary.files)
        monkeypatch.setattr(cluster.primary, "run", made.run)
        yield made
