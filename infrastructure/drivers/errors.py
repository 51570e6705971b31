"""The one error family of the drivers.

Services, jobs and the collector catch these and never an exception of libvirt or asyncssh.  ``message`` states the
cause, ``advice`` the next step; ``str(error)`` is both, ready to be shown to an administrator.
"""


class DriverError(Exception):
    """An engine did not do what was asked of it.

    Attributes:
        message: the cause, one sentence.
        advice: what to do about it, one sentence, or "".
        code: stable, machine-readable name of the cause, such as "VIR_ERR_NO_DOMAIN" or "ssh-auth".
        component: which engine failed: "libvirt", "guest-agent", "ssh" or "host".
        retryable: whether the same call may succeed later with nothing changed by an administrator.
    """

    default_retryable = False

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        component: str = "libvirt",
        retryable: bool | None = None,
        advice: str = "",
    ) -> None:
        self.message = message
        self.advice = advice
        self.code = code
        self.component = component
        self.retryable = self.default_retryable if retryable is None else retryable
        super().__init__(message)

    def __str__(self) -> str:
        if not self.advice:
            return self.message
        return f"{self.message.rstrip('.')}. {self.advice}"

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the keyword attributes when a worker sends the error to another process."""
        state = {name: getattr(self, name) for name in ("advice", "code", "component", "retryable")}
        return (_rebuild, (type(self), self.message, state))


def _rebuild(kind: type[DriverError], message: str, state: dict[str, object]) -> DriverError:
    error = kind(message)
    error.__dict__.update(state)
    return error


class Unreachable(DriverError):
    """The node or its daemon cannot be reached; what it does now is unknown."""

    default_retryable = True


class TimedOut(Unreachable):
    """No answer within the deadline.  The effect of the call is unknown: ask the engine before repeating it."""


class NotFound(DriverError):
    """The object does not exist on this node."""


class Conflict(DriverError):
    """The object is in a state, or held by another job, that rules the operation out now."""


class NotSupported(DriverError):
    """This engine, or this version of it, cannot do the operation."""


class Refused(DriverError):
    """The engine rejected the call: permission, authentication or an invalid argument."""


class IdentityChanged(Refused):
    """The node's SSH host key is not the pinned one."""


class Aborted(DriverError):
    """The job was aborted on request."""


class DomainXmlError(DriverError):
    """A domain's XML cannot be read."""
