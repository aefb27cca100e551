"""What a worker leaves behind on a docket of both: the key of what it ran, and its place in the consumer group."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import timedelta
from typing import Any

import anyio
import pytest

from tests.interop.sides import RemoteDocket
from tests.interop.table import Table, start, start_pydocket
from tests.where import one_loop

#: What happens here is the server's and the other processes' business; one loop does.
pytestmark = [
    pytest.mark.anyio, one_loop
]  # fmt: skip

GROUP = "docket-workers"
LEASE = 0.5


@pytest.mark.parametrize("whose", ["ours", "pydocket"])
async def test_the_key_of_a_killed_worker_is_free_when_its_run_was_redelivered_and_has_ended(
    table: Table, pydocket_python: str, whose: str
) -> None:
    with closing(start(whose, pydocket_python)) as program:
        victim = RemoteDocket(program, table.name, table.url)
        await victim.start_worker("victim", redelivery_timeout=LEASE)
        first = await table.ours.add("hold", key="k")
        assert await table.begun("k") == "victim"
        program.kill()
    assert (await table.ours.add("echo", 1, key="k"))["disposition"] == "already_scheduled"
    table.release()
    await table.ours.start_worker("heir", redelivery_timeout=LEASE)
    assert await table.ours.outcome("k") == {"result": "heir"}
    again = await table.ours.add("echo", 2, key="k")
    assert (first["disposition"], again["disposition"]) == ("scheduled", "scheduled")
    assert await table.ours.outcome("k") == {"result": 2}
    await table.ours.stop_worker("heir")
    table.assert_left_clean()


async def test_a_worker_of_pydockets_whose_consumer_was_removed_goes_on(table: Table) -> None:
    await table.pydocket.start_worker("theirs")
    await table.pydocket.add("echo", 1, key="first")
    assert await table.ours.outcome("first") == {"result": 1}
    await anyio.to_thread.run_sync(settled, table)
    stream = f"{table.name}:stream"
    assert table.redis.xgroup_delconsumer(stream, GROUP, "theirs") == 0
    await table.ours.add("echo", 2, key="second")
    assert await table.pydocket.outcome("second") == {"result": 2}
    await table.pydocket.stop_worker("theirs")
    table.assert_left_clean()


async def test_consumers_of_pydockets_dead_workers_go_and_those_of_live_ones_stay(
    table: Table, pydocket_python: str
) -> None:
    with closing(start_pydocket(pydocket_python)) as program:
        victim = RemoteDocket(program, table.name, table.url)
        await victim.start_worker("victim")
        await victim.add("echo", 1, key="k")
        assert await table.ours.outcome("k") == {"result": 1}
        await anyio.to_thread.run_sync(settled, table)
        program.kill()
    await table.pydocket.start_worker("theirs")
    await table.pydocket.add("echo", 2, key="l")
    assert await table.ours.outcome("l") == {"result": 2}
    await anyio.to_thread.run_sync(settled, table)
    table.redis.zadd(f"{table.name}:workers", {"victim": 1_000_000_000})  # as if it had been dead for long

    docket = table.ours.docket
    sweeping = docket.store.claims("ours").sweeping
    assert await sweeping.retire_consumers(timedelta(0), timedelta(seconds=10)) == 1
    found: Any = table.redis.xinfo_consumers(f"{table.name}:stream", GROUP)
    assert [one["name"] for one in found] == [b"theirs"]
    await table.pydocket.stop_worker("theirs")


def settled(table: Table) -> None:
    """Wait until nothing is pending: results are told before the last acknowledgement."""
    while table.redis.xpending(f"{table.name}:stream", GROUP)["pending"]:
        time.sleep(0.01)  # an acknowledgement is heard of nowhere
