"""An address that Mooring took off a node is nobody's at once, though nodes tell their addresses only now and then."""

from infrastructure.models import NodeInterfaces
from iscsi.models import Target
from iscsi.services import portals, targets
from iscsi.services.portals import Wish
from tests.infrastructure.fake_nodes import run
from tests.iscsi.world import World

ADDRESS = "192.0.2.60"


def looked_at(world: World, node: str = "primary") -> None:
    """What the collector does now and then."""
    known = NodeInterfaces.objects.get(node=world.nodes[node])
    known.interfaces[0]["addresses"] = [f"{each.address}/{each.prefix}" for each in world.servers[node].known]
    known.save()


def made(world: World) -> Target:
    target = world.target(wishes=[Wish(f"{ADDRESS}/24", "br0")])
    looked_at(world)
    return target


def offered(world: World, node: str = "primary") -> list[str]:
    return [each.address for each in portals.free_addresses(world.nodes[node])]


def test_after_a_deletion_it_can_be_asked_for_again(world: World) -> None:
    target = made(world)
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "completed"
    assert ADDRESS not in offered(world)
    made(world)


def test_after_an_edit_another_target_can_have_it(world: World) -> None:
    target = made(world)
    wishes = [Wish("192.0.2.61/24", "br0")]
    assert run(targets.edit(user=None, target=target, wishes=wishes, chap_user=None)).state == "completed"
    assert ADDRESS not in offered(world)
    world.target("target2", wishes=[Wish(f"{ADDRESS}/24", "br0")])


def test_after_a_move_its_former_node_does_not_offer_it(world: World) -> None:
    target = made(world)
    node = world.nodes["secondnode1"]
    assert run(targets.move(user=None, target=target, node=node)).state == "completed"
    targets_there = Target.objects.get()
    assert run(targets.delete(user=None, target=targets_there, confirmation="target1")).state == "completed"
    assert ADDRESS not in [*offered(world), *offered(world, "secondnode1")]
    made(world)


def test_an_address_of_the_nodes_own_stays_offered(world: World) -> None:
    own = "192.0.2.11"
    target = world.target(wishes=[Wish(own)])
    assert run(targets.delete(user=None, target=target, confirmation="target1")).state == "completed"
    assert own in offered(world)
