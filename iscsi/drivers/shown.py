"""What tgtd prints, read into facts.

It prints a target's sessions first, with names that initiators made up; they may have line breaks in them and look like
anything. So what comes before the sessions is read from the top and what comes after them from the end, and only what a
session says of itself can be made up. A server of the panel has one target.
"""

import re

from infrastructure.drivers.errors import DriverError
from iscsi.drivers.facts import PORT, LunFacts, SessionFacts, TargetFacts

EVERYBODY = "ALL"
# The name of an account that is bound to nothing: it carries the revision of a user's secret, which no engine shows.
_REVISION = re.compile(r"(.+)#([0-9]{1,18})")
_MB = 1_000_000  # what tgt calls so, rounded
_LONGEST_NAME = 223
_SESSIONS, _LUNS = "\n    I_T nexus information:\n", "\n    LUN information:\n"
_ACCOUNTS, _ACL = "    Account information:\n", "    ACL information:\n"
_HEAD = re.compile(r"Target ([0-9]+): (.*)")
_STATE = re.compile(r"^        State: (.*)$", re.MULTILINE)
_NEXUS = re.compile(r"^        I_T nexus: ([0-9]{1,20})$", re.MULTILINE)
_LUN = re.compile(r"^        LUN: ([0-9]+)$", re.MULTILINE)
_INITIATOR = re.compile(r"^            Initiator: (.*?) alias: ", re.MULTILINE)
_CONNECTION = re.compile(r"^            Connection: ([0-9]{1,10})$", re.MULTILINE)
_ADDRESS = re.compile(r"^                IP Address: ([0-9A-Fa-f.:]+)$", re.MULTILINE)
_OUTGOING = " (outgoing)"


def target_of(text: str, revisions: dict[str, int]) -> tuple[int, TargetFacts] | None:
    """(number of the target in its server, the target), None when there is none; DriverError for what is no such text.

    ``revisions`` is what ``revisions_of`` read.
    """
    text = text.replace("\0", "")
    if not text.strip():
        return None
    head, opened, rest = text.partition(_SESSIONS)
    told, closed, lists = ("\n" + rest).rpartition(_LUNS)
    luns, accounts_there, tail = lists.rpartition(_ACCOUNTS)
    accounts, acl_there, acl = tail.rpartition(_ACL)
    found = _HEAD.match(head)
    if not (found and opened and closed and accounts_there and acl_there):
        raise DriverError("The target server tells of its target in an unknown way", code="unreadable", component="tgt")
    incoming, mutual = _accounts(accounts, revisions)
    state = _STATE.search(head)
    ready = state is not None and state[1] == "ready"
    return int(found[1]), TargetFacts(
        iqn=found[2],
        ready=ready,
        luns=tuple(lun for words in _blocks(_LUN, luns) if (lun := _lun(*words)) is not None),
        accounts=incoming,
        mutual=mutual,
        initiators=_initiators(acl) if ready else None,
        sessions=tuple(_session(*words) for words in _blocks(_NEXUS, told)),
    )


def revisions_of(text: str) -> dict[str, int]:
    """User → revision of the secret, of the accounts that a server lists."""
    found = (_REVISION.fullmatch(line) for line in users_of(text))
    return {match[1]: int(match[2]) for match in found if match}


def users_of(text: str) -> list[str]:
    """All accounts that a server lists, those that carry revisions as well."""
    return [line[4:] for line in text.replace("\0", "").split("\n") if line.startswith("    ")]


def marker(user: str, revision: int) -> str:
    """The account that carries the revision of a user's secret."""
    return f"{user}#{revision}"


def portals_of(text: str) -> tuple[str, ...]:
    """The addresses at which a server listens, as it lists them; another port stands behind: "[10.0.0.5]:3261"."""
    found = re.findall(r"^Portal: \[?([0-9A-Fa-f.:]+?)\]?:([0-9]+),[0-9]+$", text.replace("\0", ""), re.MULTILINE)
    return tuple(sorted(address if int(port) == PORT else f"[{address}]:{port}" for address, port in found))


def _blocks(begin: re.Pattern[str], text: str) -> list[tuple[int, str]]:
    """(number, what follows up to the next one) of each part that begins so."""
    found = list(begin.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    return [(int(match[1]), text[match.end() : end]) for match, end in zip(found, ends, strict=True)]


def _lun(number: int, text: str) -> LunFacts | None:
    said = {key.strip(): value for key, _, value in (line.partition(": ") for line in text.split("\n"))}
    if number == 0 or said.get("Type") == "controller":
        return None
    pool, _, image = said.get("Backing store path", "").partition("/")
    size = said.get("Size", "").partition(" MB")[0]
    return LunFacts(
        number,
        pool,
        image,
        said.get("SCSI SN", ""),
        int(size) * _MB if size.isdecimal() else 0,
        online=said.get("Online") == "Yes",
    )


def _accounts(text: str, revisions: dict[str, int]) -> tuple[dict[str, int | None], tuple[str, int | None] | None]:
    names = _names(text)
    incoming = {name: revisions.get(name) for name in names if not name.endswith(_OUTGOING)}
    outgoing = [name.removesuffix(_OUTGOING) for name in names if name.endswith(_OUTGOING)]
    return incoming, (outgoing[0], revisions.get(outgoing[0])) if outgoing else None


def rules_of(text: str) -> tuple[str, ...]:
    """Who may log in, as the server lists it: names of initiators, addresses, EVERYBODY."""
    return _names(text.replace("\0", "").rpartition(_ACL)[2])


def _names(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.split("\n") if line.strip())


def _initiators(text: str) -> tuple[str, ...] | None:
    names = _names(text)
    if not names:
        return None
    return () if EVERYBODY in names else tuple(sorted(names))


def _session(number: int, text: str) -> SessionFacts:
    name, connection, address = _INITIATOR.search(text), _CONNECTION.search(text), _ADDRESS.search(text)
    return SessionFacts(
        number,
        _plain(name[1]) if name else "",
        address[1] if address else "",
        int(connection[1]) if connection else 0,
    )


def _plain(name: str) -> str:
    """A name without what a terminal or a page would not show as it is."""
    return "".join(letter if letter.isprintable() else "�" for letter in name)[:_LONGEST_NAME]
