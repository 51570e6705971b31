"""One driver per node and process."""

import os
from dataclasses import replace

from infrastructure.drivers import registry
from infrastructure.drivers.base import Endpoint, VEState
from infrastructure.drivers.fake import AlwaysFailing

NODE = Endpoint("one", "127.0.0.1", uri="test:///default")


def test_the_same_node_has_the_same_driver_until_it_is_dropped() -> None:
    first = registry.driver_for(NODE)
    assert registry.driver_for(replace(NODE)) is first
    registry.drop(NODE)
    assert registry.driver_for(NODE) is not first
    registry.drop_all()


def test_a_changed_host_key_makes_another_driver() -> None:
    assert registry.driver_for(NODE) is not registry.driver_for(replace(NODE, host_key="ssh-ed25519 AAAA"))
    registry.drop_all()


def test_a_driver_opens_nothing_by_being_made() -> None:
    unreachable = replace(NODE, uri="", pki_dir="/nowhere")
    assert registry.driver_for(unreachable).endpoint == unreachable
    registry.drop_all()


def test_a_forked_process_begins_with_no_driver() -> None:
    before = registry.driver_for(NODE)
    child = os.fork()
    if child == 0:
        os._exit(0 if registry.driver_for(NODE) is not before else 1)
    assert os.waitpid(child, 0)[1] == 0
    registry.drop_all()


def test_a_fork_after_libvirt_was_used_is_refused_instead_of_hanging() -> None:
    driver = registry.driver_for(NODE)
    assert driver.ves()[0].state is not VEState.UNKNOWN
    child = os.fork()
    if child == 0:
        try:
            registry.driver_for(NODE).ves()
        except RuntimeError as error:
            os._exit(0 if "fork" in str(error) else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    registry.drop_all()


def test_a_node_can_be_replaced_by_a_fake() -> None:
    fake = AlwaysFailing(NODE)
    with registry.replaced("one", fake):
        assert registry.driver_for(NODE) is fake
    assert registry.driver_for(NODE) is not fake
    registry.drop_all()
