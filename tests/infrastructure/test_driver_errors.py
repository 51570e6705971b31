"""Errors that engines raise become one family, with cause and next step."""

import pickle

import libvirt
import pytest

from infrastructure.drivers.base import Conflict, DriverError, NotFound, Refused, TimedOut, Unreachable
from infrastructure.drivers.libvirt_errors import driver_error, optional, translating


def libvirt_error(code: int, text: str = "it broke", domain: int = libvirt.VIR_FROM_QEMU) -> libvirt.libvirtError:
    error = libvirt.libvirtError("call failed")
    error.err = (code, domain, text, 2, "", "", "", 0, 0)
    return error


def test_an_error_says_cause_and_next_step() -> None:
    error = Unreachable("primary cannot be reached.", advice="Check its power.")
    assert str(error) == "primary cannot be reached. Check its power."
    assert error.message == "primary cannot be reached."
    assert str(Conflict("vm2 is not running")) == "vm2 is not running"


def test_an_error_survives_the_way_between_processes() -> None:
    error = TimedOut("late", code="deadline", component="ssh", advice="Wait.", retryable=False)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is TimedOut
    assert (copy.message, copy.code, copy.component, copy.advice, copy.retryable) == (
        "late",
        "deadline",
        "ssh",
        "Wait.",
        False,
    )


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, NotFound, False),
        (libvirt.VIR_ERR_OPERATION_INVALID, Conflict, False),
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, Conflict, True),
        (libvirt.VIR_ERR_MIGRATE_UNSAFE, Refused, False),
        (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, Unreachable, True),
        (libvirt.VIR_ERR_INTERNAL_ERROR, DriverError, False),
        (99_999, DriverError, False),
    ],
)
def test_the_code_decides_the_kind(code: int, kind: type[DriverError], retryable: bool) -> None:
    error = driver_error(libvirt_error(code), "primary")
    assert type(error) is kind
    assert error.retryable is retryable
    assert error.message == "primary: it broke"


def test_a_lost_connection_is_unreachable_whatever_the_code() -> None:
    error = driver_error(libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, "client socket is closed"), "primary", lost=True)
    assert isinstance(error, Unreachable)
    assert error.retryable


def test_the_message_is_one_line() -> None:
    assert driver_error(libvirt_error(1, "a\n  b\tc"), "n").message == "n: a b c"


def test_a_translated_error_keeps_no_frames_of_the_driver() -> None:
    with pytest.raises(NotFound) as caught, translating("primary"):
        raise libvirt_error(libvirt.VIR_ERR_NO_DOMAIN)
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None


def test_an_optional_question_may_fail_but_not_hide_a_lost_connection() -> None:
    with optional():
        raise libvirt_error(libvirt.VIR_ERR_NO_SUPPORT)
    with pytest.raises(libvirt.libvirtError), optional():
        raise libvirt_error(libvirt.VIR_ERR_SYSTEM_ERROR, domain=libvirt.VIR_FROM_RPC)
