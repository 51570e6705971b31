"""CHAP users: what is taken, what is shown of a secret (nothing), where they are used."""

from collections.abc import Callable

import pytest
from django.core.exceptions import PermissionDenied

from infrastructure.drivers.errors import Unreachable
from infrastructure.services.errors import InvalidInput, NotPossible
from iscsi.models import ChapUser
from iscsi.services import users
from panel.accounts.models import User
from panel.audit.models import AuditRecord
from panel.trust.encryption import decrypt
from tasks.models import Task, TaskLine
from tests.infrastructure.fake_nodes import run
from tests.iscsi.world import SECRET, World


def make(name: str = "chap-lab", secret: str = SECRET) -> ChapUser:
    return users.create(user=None, name=name, secret=secret)


def test_a_secret_is_stored_encrypted_and_is_in_no_record(world: World, administrator: User) -> None:
    chap = users.create(user=administrator, name="chap-lab", secret=SECRET)
    assert SECRET not in chap.secret and decrypt(chap.secret) == SECRET
    entry = AuditRecord.objects.get(action=users.CREATE)
    assert (entry.actor, entry.target_name, SECRET in entry.detail) == (administrator, "chap-lab", False)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a,b", "user=x", "a\nb", "x" * 41, "ä", "<b>", "$(id)", "a/b"])
def test_names_from_hell_are_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        make(name)
    assert refusal.value.field == "name"


@pytest.mark.parametrize(
    "secret", ["", "x" * 11, "x" * 17, "twelve chars\n", "pässwörter12", "has a space 1", "\0" * 12]
)
def test_secrets_that_initiators_cannot_use_are_refused_without_being_told(world: World, secret: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        make(secret=secret)
    assert refusal.value.field == "secret"
    assert not secret or secret not in str(refusal.value)


@pytest.mark.parametrize("secret", ["x" * 12, "x" * 16, "a,b=c'd\"e$f;g%"])
def test_secrets_of_12_to_16_characters_reach_the_server_as_they_are(world: World, secret: str) -> None:
    world.target(chap_user=make(secret=secret))
    assert world.servers["primary"].secrets(1) == {"chap-lab": secret}


def test_a_name_is_taken_once_however_it_is_written(world: World) -> None:
    make()
    with pytest.raises(InvalidInput, match="There is a user named CHAP-LAB already"):
        make("CHAP-LAB")


def test_another_secret_is_told_to_the_servers_and_to_nobody_else(world: World, administrator: User) -> None:
    chap = make()
    world.target("one", chap_user=chap)
    world.target("two", "secondnode1", chap_user=chap)
    other = "another-phrase"
    task = users.change_secret(user=administrator, chap=chap, secret=other)
    assert task is not None and run(task).state == "completed"
    assert world.servers["primary"].secrets(1) == world.servers["secondnode1"].secrets(1) == {"chap-lab": other}
    texts = [*TaskLine.objects.values_list("text", flat=True), *map(str, Task.objects.values_list("params", "title"))]
    assert not [text for text in texts if other in text or SECRET in text]


def test_a_secret_that_nobody_asks_for_needs_no_task(world: World) -> None:
    chap = make()
    assert users.change_secret(user=None, chap=chap, secret="another-phrase") is None
    assert decrypt(ChapUser.objects.get().secret) == "another-phrase"


def test_a_server_that_does_not_answer_is_named(world: World) -> None:
    chap = make()
    world.target(chap_user=chap)
    task = users.change_secret(user=None, chap=chap, secret="another-phrase")
    world.servers["primary"].fail_next("look", Unreachable("cut off", component="ssh"))
    assert task is not None and run(task).state == "warning"
    assert "target1 still asks for the former password" in task.reason


def test_one_that_is_used_is_not_deleted(world: World) -> None:
    chap = make()
    world.target(chap_user=chap)
    assert [target.name for target in users.where_used(chap)] == ["target1"]
    with pytest.raises(NotPossible, match="chap-lab is used by target1"):
        users.remove(user=None, chap=chap)
    other = make("other")
    users.remove(user=None, chap=other)
    assert list(ChapUser.objects.all()) == [chap]


def test_one_of_the_same_name_as_a_former_one_is_another(world: World) -> None:
    first = make()
    users.remove(user=None, chap=first)
    assert make().version != first.version


def test_only_who_manages_iscsi_may(world: World, operator: User) -> None:
    chap = make()
    asks: list[Callable[[], object]] = [
        lambda: users.create(user=operator, name="x", secret=SECRET),
        lambda: users.change_secret(user=operator, chap=chap, secret=SECRET),
        lambda: users.remove(user=operator, chap=chap),
    ]
    for ask in asks:
        with pytest.raises(PermissionDenied):
            ask()
    assert AuditRecord.objects.filter(result="refused").count() == 3
