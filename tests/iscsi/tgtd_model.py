"""tgtd's own rules for targets, accounts and access, as its source has them, crashes included; no engine."""

from dataclasses import dataclass, field

from iscsi.drivers.protocol import ALL, Do, Failure, Mode, Request, decode, encode
from iscsi.drivers.tgt_wire import Answer


class Crashed(AssertionError):
    """A request that ends the real one."""


@dataclass
class Model:
    """One server. It answers as Wire does; `moments` are (who is let in, who proves himself) after each request."""

    iqn: str = ""
    target: int = 0
    state: str = "ready"
    rules: list[str] = field(default_factory=list)
    known: dict[str, str] = field(default_factory=dict)
    bound: dict[int, list[str]] = field(default_factory=dict)  # "" is a gap
    outgoing: dict[int, str] = field(default_factory=dict)
    moments: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    refuse: int = -1  # the number of the request that is answered with an error, from 0

    def ask(self, number: int, request: Request, *, seconds: float = 5.0) -> Answer:
        request = decode(encode(request))
        if self.refuse == 0:
            self.refuse -= 1
            return Answer(1, "")
        self.refuse -= 1
        handler = {Mode.TARGET: self._target, Mode.ACCOUNT: self._account}[request.mode]
        error, text = handler(request)
        self._shown()  # the collector may ask at any moment
        self.moments.append((tuple(self.rules), tuple(user for user in self.bound.get(self.target, []) if user)))
        return Answer(error, text)

    def _target(self, request: Request) -> tuple[int, str]:
        value = request.text.partition("=")[2]
        if request.do == Do.SHOW:
            return 0, self._shown()
        if request.do == Do.NEW:
            self.iqn, self.target = value, request.target
        elif request.do == Do.BIND:
            self.rules.append(value)
        elif request.do == Do.UNBIND:
            kind_matches = ("name" in request.text) == (value != "ALL")
            if value not in self.rules or not kind_matches:
                return Failure.NO_ACL, ""
            self.rules.remove(value)
        elif request.do == Do.UPDATE:
            self.state = value
        return 0, ""

    def _account(self, request: Request) -> tuple[int, str]:
        user = request.text.removeprefix("user=")
        if request.do == Do.SHOW:
            return 0, "Account list:\n" + "".join(f"    {name}\n" for name in reversed(self.known))
        if request.do == Do.NEW:
            user, _, password = user.partition(",password=")
            if user in self.known:
                return Failure.USER_EXISTS, ""
            self.known[user] = password
        elif user not in self.known:
            return Failure.NO_USER, ""
        elif request.do == Do.DELETE:
            del self.known[user]
            for users in self.bound.values():
                users[:] = ["" if each == user else each for each in users]
            self.outgoing = {where: each for where, each in self.outgoing.items() if each != user}
        elif request.outgoing:
            self.outgoing[request.target] = user
        else:
            users = self.bound.setdefault(request.target, [])
            if "" in users:
                users[users.index("")] = user
            else:
                users.append(user)
        return 0, ""

    def _shown(self) -> str:
        if not self.iqn:
            return ""
        users = self.bound.get(self.target, [])
        count = sum(1 for user in users if user)
        if "" in users[:count]:
            raise Crashed("it lists accounts up to their number, and there is a gap")
        accounts = [
            *users[:count],
            *([f"{self.outgoing[self.target]} (outgoing)"] if self.target in self.outgoing else []),
        ]
        lines = "".join(f"        {name}\n" for name in accounts)
        return (
            f"Target {self.target}: {self.iqn}\n    System information:\n        State: {self.state}\n"
            "    I_T nexus information:\n    LUN information:\n"
            f"    Account information:\n{lines}    ACL information:\n"
            + "".join(f"        {each}\n" for each in self.rules)
        )

    def asks_at_discovery(self) -> set[str]:
        return {user for user in self.bound.get(ALL, []) if user}
