"""Servers of a node that are kept running there, by the panel's script and without the panel."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from infrastructure.drivers.base import Completed, HostDriver
from infrastructure.drivers.errors import Conflict, DriverError, NotFound, TimedOut, Unreachable
from iscsi.drivers import ceph_files, protocol, rules, shown
from iscsi.drivers.facts import CephAccess, NodeServers, ServerFacts, ServerSpec
from iscsi.drivers.protocol import Request
from iscsi.drivers.tgt_wire import Answer, Wire

SCRIPT = f"{ceph_files.FOLDER}/iscsi-servers.sh"
START_SECONDS = 15.0
_SOURCE = Path(__file__).parent / "files" / "iscsi-servers.sh"
_STORE = "/usr/lib/tgt/backing-store/bs_rbd.so"
_NO_SCRIPT = (2, 127)
_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of the script's status."""

    facts: ServerFacts
    kept: bool
    wanted: tuple[str, ...]


class TgtKeeper:
    """ServerKeeper on a real node."""

    _host: HostDriver
    _wire: Wire
    _name: str  # of the node

    def prepare(self, access: CephAccess) -> bool:
        found = self._host.run(["test", "-x", "/usr/sbin/tgtd", "-a", "-e", _STORE], check=False)
        if found.code != 0:
            raise NotFound(
                f"{self._name} lacks tgt or its RBD store",
                code="no-tgt",
                component="host",
                advice="Install the packages tgt and tgt-rbd.",
            )
        self._stop_debians()
        self._host.run(["install", "-d", "-m", "755", ceph_files.FOLDER])
        wanted = (
            (SCRIPT, _SOURCE.read_bytes(), 0o755),
            (ceph_files.CONF, ceph_files.conf(access), 0o644),
            (ceph_files.KEYRING, ceph_files.keyring(access), 0o600),
        )
        changed = [self._write(path, data, mode) for path, data, mode in wanted]
        return any(changed)

    def _stop_debians(self) -> None:
        """Debian starts a server of its own with the package, which takes the port at every address."""
        shown_there = self._host.run(["timeout", "5", "tgtadm", "--op", "show", "--mode", "target"], check=False)
        if shown_there.code != 0:
            return  # it does not run
        if shown_there.text.strip():
            raise Conflict(
                f"tgt serves targets on {self._name} that Mooring did not make",
                code="foreign-tgt",
                component="tgt",
                advice="Remove them and stop the service tgt there, or give the role to another node.",
            )
        if self._host.run(["test", "-d", "/run/systemd/system"], check=False).code == 0:
            self._host.run(["systemctl", "disable", "--now", "tgt"])
        else:
            self._host.run(["service", "tgt", "stop"])

    def _write(self, path: str, data: bytes, mode: int) -> bool:
        try:
            if self._host.read_file(path) == data:
                return False
        except NotFound:
            pass
        self._host.write_file(path, data, mode=mode)
        return True

    def forget(self) -> bool:
        done = self._script("idle")
        if done.code in _NO_SCRIPT:
            return False
        if done.code != 0:
            raise Conflict(f"{self._name} keeps target servers", code="in-use", component="tgt")
        self._host.run(["rm", "-f", SCRIPT, ceph_files.CONF, ceph_files.KEYRING])
        self._host.run(["rmdir", "--ignore-fail-on-non-empty", ceph_files.FOLDER], check=False)
        return True

    def start(self, spec: ServerSpec) -> bool:
        rules.check_server(spec)
        row = next((row for row in self._rows() if row.facts.number == spec.number), None)
        changed = row is None or not row.kept or set(row.wanted) != set(spec.portals)
        if changed or row is None or not row.facts.running:
            for portal in spec.portals:
                self._require_address(portal)
        if changed:
            done = self._script("start", str(spec.number), *spec.portals)
            if done.code in _NO_SCRIPT:
                raise rules.not_prepared(self._name)
            if done.code != 0:
                raise self._failed(done, f"start target server {spec.number}")
        return self._listening(spec) or changed

    def _require_address(self, portal: str) -> None:
        if not self._host.run(["ip", "-o", "address", "show", "to", portal]).text.strip():
            raise rules.missing_address(portal)

    def _listening(self, spec: ServerSpec) -> bool:
        """Let it listen at these addresses and no others, once it answers. False when it does so already."""
        told = shown.portals_of(self._first_answer(spec.number))
        for portal in spec.portals:
            if portal not in told:
                self._portal(spec.number, protocol.new_portal(portal), f"listen at {portal}")
        for portal in told:
            if portal not in spec.portals and rules.is_address(portal):
                self._portal(spec.number, protocol.delete_portal(portal), f"leave {portal}")
        return set(told) != set(spec.portals)

    def _first_answer(self, number: int) -> str:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._wire.ask(number, protocol.show_portals()).text
            except TimedOut:
                raise
            except Unreachable as error:
                if error.component != "tgt" or time.monotonic() > end:
                    raise
            time.sleep(_PAUSE)

    def _portal(self, number: int, request: Request, doing: str) -> None:
        answer = self._wire.ask(number, request)
        if answer.error:
            raise protocol.failure(answer.error, f"Target server {number} on {self._name}", doing)

    def stop(self, number: int) -> bool:
        rules.check_number(number)
        there = any(row.facts.number == number for row in self._rows())
        done = self._script("stop", str(number))
        if done.code not in (0, *_NO_SCRIPT):
            raise self._failed(done, f"stop target server {number}")
        return there

    def servers(self) -> NodeServers:
        at = datetime.now(UTC)
        return NodeServers(self._described(self._rows()), at)

    def look(self, number: int) -> ServerFacts:
        rows = [row for row in self._rows() if row.facts.number == number]
        if not rows:
            raise rules.no_server(number)
        return self._described(rows)[0]

    def _described(self, rows: list[_Row]) -> tuple[ServerFacts, ...]:
        """The rows with what the servers say, all asked at once."""
        asked = (protocol.show_all(), protocol.show_accounts(), protocol.show_portals())
        running = [row.facts.number for row in rows if row.facts.running]
        requests = [(number, request) for number in running for request in asked]
        answers = self._wire.ask_all(requests) if requests else []
        by_number = {number: answers[3 * index : 3 * index + 3] for index, number in enumerate(running)}
        return tuple(
            self._with_target(row.facts, by_number[row.facts.number]) if row.facts.running else row.facts
            for row in rows
        )

    def _with_target(self, facts: ServerFacts, answers: list[Answer | DriverError]) -> ServerFacts:
        texts: list[str] = []
        for answer in answers:
            if isinstance(answer, DriverError):
                return replace(facts, error=answer)
            if answer.error:
                error = protocol.failure(
                    answer.error, f"Target server {facts.number} on {self._name}", "tell of itself"
                )
                return replace(facts, error=error)
            texts.append(answer.text)
        try:
            found = shown.target_of(texts[0], shown.revisions_of(texts[1]))
        except DriverError as error:
            return replace(facts, error=error)
        return replace(facts, portals=shown.portals_of(texts[2]), target=found[1] if found else None)

    def _rows(self) -> list[_Row]:
        done = self._script("status")
        if done.code in _NO_SCRIPT:
            return []
        if done.code != 0:
            raise self._failed(done, "list its target servers")
        return [_row(line.split("\t")) for line in done.text.splitlines() if line.count("\t") == 6]

    def _script(self, *words: str) -> Completed:
        return self._host.run(["sh", SCRIPT, *words], check=False)

    def _failed(self, done: Completed, doing: str) -> DriverError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return DriverError(
            f"{self._name} did not {doing}: {said[-1][:300] if said else f'exit {done.code}'}",
            code="keeper",
            component="host",
            retryable=True,
        )


def _row(fields: list[str]) -> _Row:
    number, kept, running, instance, starts, waiting, portals = fields
    if kept != "yes" and not waiting:
        waiting = "Nothing on the node keeps it running"
    facts = ServerFacts(
        int(number),
        running=running == "yes",
        instance=instance,
        starts=int(starts) if starts.isdecimal() else 0,
        waiting=waiting,
    )
    return _Row(facts, kept == "yes", tuple(portals.split()))
