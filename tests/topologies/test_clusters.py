"""On a cluster of three primaries and three replicas, under load: a slot that moves, a primary that is replaced."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator

import anyio
import pytest
from redis.crc import key_slot

from docket.clock import perf_counter
from tests.fleets import Cluster
from tests.topologies.load import loaded

NAME = "load"
HOME = "{load}"


@pytest.fixture(scope="module")
def replicated() -> Iterator[Cluster]:
    with Cluster(primaries=3, replicas=3) as running:
        yield running


@pytest.fixture
def fleet(replicated: Cluster) -> Iterator[Cluster]:
    """All nodes live, and no key is left of the test before."""
    replicated.empty()
    yield replicated
    for node in replicated.nodes:
        if node.process is None:
            replicated.bring_back(node)


def reshard(fleet: Cluster) -> int:
    """Move the slot of the docket to another primary, key by key; return how many keys went."""
    slot, moved = key_slot(HOME.encode()), 0
    source = fleet.owner(HOME)
    primaries = [node for node in fleet.others(source) if "role:master" in fleet.info_of(node, "replication")]
    target = primaries[0]
    fleet.begin_to_move(slot, source, target)
    deadline = time.monotonic() + 0.3
    while keys := fleet.ask(source, "CLUSTER", "GETKEYSINSLOT", slot, 20):
        for key in keys:
            fleet.move_key(key, source, target)
            moved += 1
        if time.monotonic() < deadline:
            time.sleep(
                0.005
            )  # the servers' time, in which workers and clients meet keys that are on their way
    fleet.end_of_move(slot, target)
    assert fleet.ask(source, "CLUSTER", "COUNTKEYSINSLOT", slot) == 0
    return moved


async def resharded(fleet: Cluster) -> None:
    async with loaded(fleet.url, name=NAME) as load:
        await load.until(100)
        for _ in range(2):
            assert await anyio.to_thread.run_sync(reshard, fleet) > 50
            await load.until(50)
    assert not load.lost()
    assert not load.repeated(), "no lease was lost"


async def handed_over(fleet: Cluster) -> None:
    """CLUSTER FAILOVER: the replica takes over when it has everything."""
    async with loaded(fleet.url, name=NAME) as load:
        await load.until(100)
        for _ in range(2):
            old = fleet.owner(HOME)
            fleet.ask(fleet.replica_of(old), "CLUSTER", "FAILOVER")
            await anyio.to_thread.run_sync(fleet.until_another_owns, HOME, old)
            await load.until(100)
            await anyio.to_thread.run_sync(fleet.replicated, old)
    assert not load.lost()
    assert not load.repeated(), "no lease was lost"


async def killed(fleet: Cluster) -> None:
    async with loaded(fleet.url, name=NAME) as load:
        await load.until(100)
        old = fleet.owner(HOME)
        at = perf_counter()
        old.kill()
        await anyio.to_thread.run_sync(fleet.until_another_owns, HOME, old)
        await load.until(100)
    assert not load.lost() & load.safe, "a replica had these"
    assert not load.missing_between(end=at - 1)
    assert not load.missing_between(start=at + 0.1)
    assert all(began[0] < at for began in load.repeated().values()), (
        "only what the lost node knew has run twice"
    )
    assert all(len(began) == 2 for began in load.repeated().values())


# The servers' seconds are the same on every loop: one loop here, the others in the chaos session.


def test_a_slot_that_moves_to_and_fro_costs_no_task_and_repeats_none(fleet: Cluster) -> None:
    anyio.run(resharded, fleet)


def test_a_primary_that_hands_over_costs_no_task_and_repeats_none(fleet: Cluster) -> None:
    anyio.run(handed_over, fleet, backend="trio")


def test_a_primary_that_is_killed_costs_what_it_had_not_replicated_and_no_more(fleet: Cluster) -> None:
    anyio.run(killed, fleet)


@pytest.mark.chaos
@pytest.mark.anyio
@pytest.mark.parametrize("fault", [resharded, handed_over, killed])
async def test_so_it_is_on_every_loop(fleet: Cluster, fault: Callable[[Cluster], Awaitable[None]]) -> None:
    await fault(fleet)
