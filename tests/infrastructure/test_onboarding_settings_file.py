"""Mooring's block in a node's configuration files: put in, replaced, and taken out without a trace."""

import string

from hypothesis import given
from hypothesis import strategies as st

from infrastructure.drivers.base import Endpoint
from infrastructure.drivers.fake import FakeCluster
from infrastructure.services.onboarding import libvirt_settings
from infrastructure.services.onboarding.settings_file import BEGIN, END, MUTED, value_of, with_block, without_block
from tests.infrastructure.inventory_facts import node_facts

LINES = ["listen_tls = 1", "listen_tcp = 0"]
NAMES = ["listen_tls", "listen_tcp"]
text = st.lists(st.text(string.ascii_letters + " #=[]\"'_0123456789\t", max_size=30), max_size=8).map("\n".join)


def active(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_foreign_lines_stay() -> None:
    before = '# Debian\nhost_uuid = "11111111-2222-3333-4444-555555555555"\n'
    after = with_block(before, LINES, NAMES)
    assert after.startswith(before)
    assert after.endswith(f"{BEGIN}\nlisten_tls = 1\nlisten_tcp = 0\n{END}\n")


def test_a_second_time_changes_nothing() -> None:
    once = with_block("a = 1", LINES, NAMES)
    assert with_block(once, LINES, NAMES) == once


def test_a_changed_block_replaces_the_old_one() -> None:
    once = with_block("a = 1\n", LINES, NAMES)
    twice = with_block(once, ["listen_tls = 0"], NAMES)
    assert active(twice) == ["a = 1", "listen_tls = 0"]


def test_settings_that_would_compete_are_muted_and_come_back() -> None:
    before = 'listen_tcp = 1\n  listen_tls=0\nlisten_addr = "10.0.0.1"\n'
    after = with_block(before, LINES, NAMES)
    assert active(after) == ['listen_addr = "10.0.0.1"', *LINES]
    assert without_block(after) == before


def test_a_list_over_several_lines_is_muted_as_a_whole() -> None:
    before = 'tls_allowed_dn_list = [ # who "[" may\n  "O=Old,CN=a]",\n  "O=Old,CN=b"\n]\nmax_clients = 50\n'
    after = with_block(before, ["tls_allowed_dn_list = []"], ["tls_allowed_dn_list"])
    assert active(after) == ["max_clients = 50", "tls_allowed_dn_list = []"]
    assert after.count(MUTED) == 4
    assert without_block(after) == before


def test_comments_that_mention_a_setting_are_not_touched() -> None:
    before = "#listen_tls = 0\n"
    assert with_block(before, LINES, NAMES).startswith(before)


@given(text)
def test_taking_the_block_out_gives_the_file_back(before: str) -> None:
    taken = without_block(with_block(before, LINES, NAMES))
    assert taken.rstrip("\n") == before.rstrip("\n")


@given(text)
def test_only_the_block_makes_its_settings(before: str) -> None:
    after = with_block(before, LINES, NAMES)
    assert value_of(after, "listen_tls") == "1"
    assert sum(line.split("=")[0].strip() == "listen_tcp" for line in active(after)) == 1


def test_values_are_read_without_quotes_and_comments() -> None:
    assert value_of('#user = "no"\nuser = "root" # why\nuser = "late"', "user") == "root"
    assert value_of("", "user") == ""


def settings_of(files: dict[str, bytes], *, systemd: bool = False) -> dict[str, str]:
    host = FakeCluster().add(Endpoint("primary", "192.0.2.1"), node_facts("primary"))
    host.files = files
    return {change.path: change.wanted for change in libvirt_settings.pending(host, systemd=systemd)}


def test_libvirtd_listens_over_tls_only_and_lets_in_only_our_names() -> None:
    wanted = settings_of({})[libvirt_settings.LIBVIRTD_CONF]
    assert "listen_tls = 1" in wanted and "listen_tcp = 0" in wanted
    assert "tls_no_verify_certificate = 0" in wanted
    assert 'tls_allowed_dn_list = ["O=Mooring,CN=*"]' in wanted


def test_without_systemd_libvirtd_is_told_to_listen_and_keeps_its_arguments() -> None:
    files = {libvirt_settings.DEFAULTS: b'LIBVIRTD_ARGS="--timeout 120"\n'}
    assert 'LIBVIRTD_ARGS="--timeout 120 --listen"' in active(settings_of(files)[libvirt_settings.DEFAULTS])
    assert libvirt_settings.DEFAULTS not in settings_of({}, systemd=True)


def test_nothing_is_pending_once_written() -> None:
    files = {path: wanted.encode() for path, wanted in settings_of({}).items()}
    assert settings_of(files) == {}


def test_under_systemd_the_tls_socket_is_opened_while_the_service_is_stopped() -> None:
    verbs = [command[1] for command in libvirt_settings.restart_commands(systemd=True)]
    assert verbs == ["enable", "stop", "start", "start"]
