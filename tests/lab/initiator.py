"""An iSCSI initiator on a node of the lab, by Debian's libiscsi tools. Passwords of tests may stand in arguments."""

import re

from tests.e2e.lab import Lab

_TARGET = re.compile(r"^Target:(\S+) Portal:", re.MULTILINE)
_LUN = re.compile(r"^Lun:(\d+)\s+Type:DIRECT_ACCESS", re.MULTILINE)
_SECONDS = "20"


class NotLetIn(Exception):
    """The target refused it, with what the tool said."""


class Initiator:
    """The tools, run in the network of one node."""

    def __init__(self, lab: Lab, node: str) -> None:
        self._lab = lab
        self._node = node

    def targets(
        self, portal: str, *, name: str, user: str = "", password: str = "", proof: tuple[str, str] = ("", "")
    ) -> dict[str, set[int]]:
        """Target → LUNs that are disks, of all targets that a portal shows. NotLetIn when one refuses.

        proof: user and password that the target must know, too.
        """
        words = [f"LIBISCSI_CHAP_USERNAME={user}", f"LIBISCSI_CHAP_PASSWORD={password}"] if user else []
        if proof[0]:
            words += [f"LIBISCSI_CHAP_TARGET_USERNAME={proof[0]}", f"LIBISCSI_CHAP_TARGET_PASSWORD={proof[1]}"]
        said = self.run("env", *words, "iscsi-ls", "-s", "-i", name, f"iscsi://{portal}:3260")
        parts = _TARGET.split(said)[1:]
        pairs = zip(parts[::2], parts[1::2], strict=True)
        return {iqn: {int(lun) for lun in _LUN.findall(luns)} for iqn, luns in pairs}

    def inquiry(self, portal: str, iqn: str, lun: int, *words: str, name: str) -> str:
        """What the disk says of itself; bytes that are no text are shown as `cat -v` does."""
        return self.run("iscsi-inq", "-i", name, *words, f"iscsi://{portal}:3260/{iqn}/{lun}")

    def run(self, *argv: str) -> str:
        script = '{ timeout "$@" 2>&1; echo "exit $?"; } | cat -v'
        said = self._lab.exec(self._node, "sh", "-c", script, "sh", _SECONDS, *argv)
        words, _, code = said.rstrip().rpartition("exit ")
        if code != "0" or "Failed" in words or "failed" in words:
            raise NotLetIn(words.strip() or code)
        return words
