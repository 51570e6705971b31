"""What services raise when they do not do what was asked; views and commands show it as it is."""


class ServiceError(Exception):
    """The request was refused: `message` is the cause, `advice` the next step, `field` the form's field at fault."""

    def __init__(self, message: str, *, advice: str = "", field: str = "") -> None:
        self.message = message
        self.advice = advice
        self.field = field
        super().__init__(message)

    def __str__(self) -> str:
        return f"{self.message.rstrip('.')}. {self.advice}" if self.advice else self.message


class InvalidInput(ServiceError):
    """A value that was entered cannot be accepted; nothing was changed."""


class NotPossible(ServiceError):
    """The object's present state rules the operation out; nothing was changed."""


class StaleEdit(ServiceError):
    """What was edited changed since the edit began; the message says how it is now. Nothing was changed."""
