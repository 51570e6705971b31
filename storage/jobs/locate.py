"""Hosts to where their nodes stand in Ceph's map: racks are made, hosts moved, Ceph moves the data by itself."""

from collections.abc import Iterable
from typing import TypedDict

from infrastructure.drivers.base import NotFound
from storage.drivers import placing
from storage.drivers.base import StorageCluster
from storage.drivers.facts import ClusterFacts
from storage.drivers.placing import Location
from storage.jobs.disk_steps import SHARES, move_data, open_cluster, recover, require, settled
from storage.services.locations import LOCATE, PERMISSION, checks, words
from tasks.registry import job, undo
from tasks.runner import Step, TaskRun

BACK = "storage.locate.back"


class Move(TypedDict):
    """A host, what it lies in and what it is to lie in, each as pairs of type and name from large to small."""

    host: str
    now: list[list[str]]
    wanted: list[list[str]]


@job(
    LOCATE,
    title="Moving {hosts} in the cluster map",
    permission=PERMISSION,
    lock="storage-map:{cluster_id}",
    shares=SHARES,
    recover=recover,
    doing="having hosts moved in its map",
    noun="move",
    phases=("Check", "Change the map", "Move data"),
    cancel_note="Every host gets its old place back at once. What has moved already moves back; no data is lost.",
)
def locate(run: TaskRun, *, cluster_id: int, moves: list[Move]) -> None:
    engine, look = open_cluster(run, cluster_id)
    wanted = {move["host"]: _location(move["wanted"]) for move in moves}
    run.phase("Check")
    with run.step("Checking the cluster map") as step:
        before = facts = settled(step, look)
        if _left(facts, wanted):
            require(step, checks(facts, wanted))
        else:
            step.already_done("Every host lies there already")
    run.phase("Change the map")
    made = [name for place in wanted.values() for _, name in place if name not in _names(facts)]
    for move in moves:
        host, place = move["host"], wanted[move["host"]]
        with run.step(f"Move {host} to {words(place)}") as step:
            if not (changes := placing.plan(facts.buckets, host, place, wanted)):
                step.already_done()
                continue
            run.undo(BACK, cluster_id=cluster_id, moves=moves, made=made)
            for change in changes:
                step.command(change.argv)
            engine.locate_host(host, place, along=wanted)
            facts = look()
    with run.step("Remove what is empty now") as step:
        _remove_empty(engine, (name for move in moves for _, name in move["now"]), facts, step)
    move_data(run, look, before)


@undo(BACK)
def back(run: TaskRun, *, cluster_id: int, moves: list[Move], made: list[str]) -> None:
    """Every host to where it was; racks that were removed are made again, those that were made are removed."""
    engine, look = open_cluster(run, cluster_id)
    facts, was = look(), {move["host"]: _location(move["now"]) for move in moves}
    for host, place in was.items():
        try:
            changes = placing.plan(facts.buckets, host, place, was)
            for change in changes:
                run.command(change.argv)
            engine.locate_host(host, place, along=was)
        except NotFound as gone:
            run.line(f"{host} is left as it is: {gone.message}")
            continue
        facts = look()
        run.line(f"{host} lies in {words(place) or 'no rack'} again; what has moved moves back by itself")
    _remove_empty(engine, made, facts, run)
    look()


def _left(facts: ClusterFacts, wanted: dict[str, Location]) -> bool:
    return any(placing.plan(facts.buckets, host, place, wanted) for host, place in wanted.items())


def _remove_empty(engine: StorageCluster, names: Iterable[str], facts: ClusterFacts, told: Step | TaskRun) -> None:
    gone = placing.empty(facts.buckets, names)
    for name in gone:
        told.command(["ceph", "osd", "crush", "rm", name])
    engine.remove_places(gone)


def _names(facts: ClusterFacts) -> set[str]:
    return {bucket.name for bucket in facts.buckets}


def _location(pairs: list[list[str]]) -> Location:
    return tuple((level, name) for level, name in pairs)
