"""pydocket beside fair shares: its workers leave alone what waits for its turn, and nothing of theirs breaks."""

from __future__ import annotations

import pytest

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio


async def add(table: Table, whose: str, tenants: str, first: int = 0) -> None:
    """A call of each of these tenants, in this order; its key is its number."""
    for number, tenant in enumerate(tenants, first):
        await table.side(whose).add("in_turns", tenant, number, key=f"{number}")


def turns(table: Table) -> str:
    """Whose turn it was, one after the other."""
    return b"".join(table.redis.lrange(f"turns:{table.name}", 0, -1)).decode()


def assert_each_ran_once(table: Table, count: int) -> None:
    assert table.runs() == {str(n).encode(): b"1" for n in range(count)}


def assert_nobody_waits(table: Table) -> None:
    assert table.redis.keys(f"{table.name}:ops:row:*") == []
    assert not table.redis.exists(f"{table.name}:waiting", f"{table.name}:ops:turns:normal")
    table.assert_left_clean()


async def test_pydockets_workers_leave_what_takes_turns_to_ours(table: Table) -> None:
    await add(table, "ours", "aaab")
    await table.ours.add("tally", 4)
    await table.pydocket.drain("theirs")  # until nothing waits or runs that it knows of
    assert table.runs() == {b"4": b"1"}
    assert (await table.pydocket.snapshot())["total"] == 0
    assert (await table.ours.docket.counts()).turns == 3
    await table.ours.drain("ours", concurrency=1)
    assert turns(table) == "aaba"
    assert "result" in await table.pydocket.outcome("3")
    assert_each_ran_once(table, 5)
    assert_nobody_waits(table)


async def test_what_pydockets_clients_add_takes_turns_on_workers_of_ours(table: Table) -> None:
    await add(table, "pydocket", "a" * 19 + "b")
    await table.ours.drain("ours", concurrency=1)
    assert_each_ran_once(table, 20)
    assert turns(table).index("b") < 10
    assert_nobody_waits(table)


async def test_what_pydockets_clients_add_its_workers_run_in_the_order_of_arrival(table: Table) -> None:
    await add(table, "pydocket", "aaab")
    await table.pydocket.drain("theirs", concurrency=1)
    assert turns(table) == "aaab"


async def test_a_mixed_fleet_runs_each_once(table: Table) -> None:
    await add(table, "ours", "aaab" * 5)
    await add(table, "pydocket", "caab" * 5, first=20)
    await table.pydocket.start_worker("theirs", concurrency=5, redelivery_timeout=2)
    await table.ours.drain("ours", concurrency=5, redelivery_timeout=2)
    await table.pydocket.stop_worker("theirs")
    assert_each_ran_once(table, 40)
    assert_nobody_waits(table)


async def test_a_future_task_that_pydockets_scheduler_moves_waits_for_nobody(table: Table) -> None:
    await table.ours.add("in_turns", "a", 0, key="k", when=from_now(0.3))
    await table.pydocket.drain("theirs")
    assert "result" in await table.pydocket.outcome("k")
    assert_each_ran_once(table, 1)


async def test_what_pydockets_clients_cancel_or_replace_in_a_row_runs_as_they_say(table: Table) -> None:
    await add(table, "ours", "aaaa")  # the first has its turn at once
    for key in "0", "1":
        await table.pydocket.cancel(key)
    await table.pydocket.replace("in_turns", "b", 4, key="2", when=from_now(0))
    await table.ours.drain("ours")
    assert table.runs() == {b"3": b"1", b"4": b"1"}
    for key in "0", "1":
        assert (await table.ours.outcome(key))["error"] == "ExecutionCancelled"
    assert "result" in await table.ours.outcome("2")
    assert_nobody_waits(table)


async def test_pydockets_clients_find_a_key_that_waits_for_its_turn_taken(table: Table) -> None:
    await add(table, "ours", "aa")
    for key in "0", "1":
        await table.pydocket.add("in_turns", "a", 7, key=key)
    await table.ours.drain("ours")
    assert_each_ran_once(table, 2)


async def test_a_clear_of_pydockets_leaves_what_waits_for_its_turn(table: Table) -> None:
    await add(table, "ours", "aaa")
    await table.pydocket.add("tally", 3)
    assert await table.pydocket.clear() == 1
    await table.ours.drain("ours")
    assert_each_ran_once(table, 3)
    assert_nobody_waits(table)
