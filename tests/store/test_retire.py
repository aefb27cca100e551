"""retire.lua: consumers of dead workers go, and nothing that is pending goes with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket.store import Delivery, Ended
from tests.store.conftest import Store, message

pytestmark = pytest.mark.anyio

ZERO, DAY = timedelta(0), timedelta(days=1)


async def consumers(store: Store) -> set[str]:
    found: Any = await store.client.xinfo_consumers("d:stream", "docket-workers")
    return {one["name"].decode() for one in found}


async def come_and_go(store: Store, *workers: str) -> None:
    """Make a consumer of each, which holds nothing."""
    for worker in workers:
        await store.claims(worker).settle(await store.running(worker=worker), Ended("completed"))


async def retire(store: Store, idle: timedelta = ZERO) -> int:
    return await store.claims().sweeping.retire_consumers(idle, timedelta(seconds=10))


async def test_a_consumer_of_a_dead_worker_goes(store: Store) -> None:
    await come_and_go(store, "one", "two")
    assert await retire(store) == 2
    assert await consumers(store) == set()


async def test_one_that_holds_a_delivery_stays_with_it(store: Store) -> None:
    await come_and_go(store, "idle")
    await store.running(worker="holder")
    before = await store.everything()
    assert await retire(store) == 1
    assert await consumers(store) == {"holder"}
    assert await store.everything() == before


async def test_one_that_was_given_a_delivery_after_the_look_stays_with_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script looks again, in the step that removes."""
    await come_and_go(store, "quick", "slow")
    run, client = store.client.run, store.client

    async def run_later(*args: Any) -> Any:
        monkeypatch.undo()
        await store.running("in between", worker="quick")
        return await run(*args)

    monkeypatch.setattr(type(client), "run", lambda _, *args: run_later(*args))
    assert await retire(store) == 1
    assert await consumers(store) == {"quick"}
    assert len(await store.claims().sweeping.look()) == 1


async def test_one_of_a_live_worker_stays(store: Store) -> None:
    await come_and_go(store, "alive", "dead")
    await store.liveness.beat("alive", ["f"], tasks_too=True)
    assert await retire(store) == 1
    assert await consumers(store) == {"alive"}


async def test_one_that_was_active_lately_stays(store: Store) -> None:
    await come_and_go(store, "programs that read by hand have no heartbeat")
    assert await retire(store, DAY) == 0


async def test_more_than_one_step_takes_go_in_several(store: Store) -> None:
    await come_and_go(store, "first")
    for number in range(250):
        await store.client.xgroup_createconsumer("d:stream", "docket-workers", f"dead-{number}")
    assert await retire(store) == 251
    assert await consumers(store) == set()


async def test_a_worker_whose_consumer_was_removed_goes_on(store: Store) -> None:
    """Reading makes it again: also the read that was waiting in the server meanwhile."""
    claims = store.claims()
    await come_and_go(store, "w")
    taken: list[Any] = []

    async def wait() -> None:
        async with store.client.dedicated() as connection:
            taken.extend(await claims.wait_for_tasks(connection, 1, timedelta(seconds=20)))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await until_blocked(store)
            assert await retire(store) == 1
            await store.schedule.place(message(), replace=False)
    assert [type(one) for one in taken] == [Delivery]
    assert await consumers(store) == {"w"}
    await claims.settle(taken[0], Ended("completed"))
    await store.schedule.place(message("next"), replace=False)
    assert await retire(store) == 1
    assert len(await claims.take(1)) == 1


async def until_blocked(store: Store) -> None:
    """Wait until the server has a read that waits; it tells nobody. One in this process has it at once."""
    await anyio.wait_all_tasks_blocked()
    while not store.client.is_memory:
        clients: Any = await store.client.info("clients")
        if clients["blocked_clients"]:
            return
        await anyio.sleep(0.01)
