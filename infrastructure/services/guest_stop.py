"""Waiting until a guest that was asked to shut down has done so, and asking it again meanwhile.

A guest that still boots loses the request: a container's kernel drops a signal that its init does not handle yet, a
virtual machine has nobody yet who hears its power button.
"""

import time
from collections.abc import Callable

from infrastructure.drivers.base import DriverError, HostDriver, Outcome, VEState

LOOK_EVERY = 0.5
AGAIN_SECONDS = 10.0
OnWait = Callable[[float], None]
OnAgain = Callable[[str], None]


def past_libvirt(outcome: Outcome, ve: object, node: object) -> str:
    """What was done past libvirt to stop or restart a VE on a node; "" when nothing was."""
    said = {
        Outcome.SIGNALLED: f"does not know the init of {ve}; it was signalled past libvirt, over SSH",
        Outcome.FOUND_ENDED: f"did not know that {ve} has ended; it was told by forcing {ve} off",
    }
    return f"libvirt on {node} {said[outcome]}" if outcome in said else ""


def wait_until_stopped(engine: HostDriver, uuid: str, seconds: float, *, on_wait: OnWait, on_again: OnAgain) -> bool:
    """Whether the guest stopped within so many seconds; it is asked once more every 10 s.

    `on_wait(passed)` is told at each look the seconds since the start, `on_again(words)` each further request; both
    may raise. DriverError when its state cannot be read; a further request that is refused is told only.
    """
    begun = time.monotonic()
    asked = begun
    while engine.state(uuid).state is not VEState.STOPPED:
        now = time.monotonic()
        if now - begun >= seconds:
            return False
        on_wait(now - begun)
        if now - asked >= AGAIN_SECONDS:
            asked = now
            if words := _ask_again(engine, uuid, now - begun):
                on_again(words)
        time.sleep(LOOK_EVERY)
    return True


def _ask_again(engine: HostDriver, uuid: str, passed: float) -> str:
    """What came of it; "" when it has gone down meanwhile."""
    try:
        outcome = engine.shutdown(uuid)
    except DriverError as refused:
        return f"It could not be asked again after {passed:.0f} s: {refused}"
    if outcome is Outcome.ALREADY:
        return ""
    if outcome is Outcome.FOUND_ENDED:
        return "It has ended, which libvirt does not know; it was told by forcing it off"
    return f"It has not gone down within {passed:.0f} s and was asked once more"
