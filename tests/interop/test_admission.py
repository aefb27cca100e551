"""Limits that both implementations keep together: on one docket, with one limit, never two at once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import pytest

from tests.servers import Server

from . import limited
from .conftest import laid
from .sides import Program
from .table import Table, start_pydocket

pytestmark = pytest.mark.anyio

TASKS = 60


@pytest.fixture(scope="module")
def limited_peer(pydocket_python: str) -> Iterator[Program]:
    program = start_pydocket(pydocket_python, "limited.py")
    yield program
    program.close()


@pytest.fixture
async def table(server: Server, limited_peer: Program, anyio_backend: object) -> AsyncGenerator[Table, None]:
    async with laid(server, limited_peer) as table:
        for task in limited.TASKS:
            table.ours.docket.register(task)
        yield table


def keys_left(table: Table) -> list[bytes]:
    """What is left of limits; a sweep lease, the records of runs and what is kept for operators are not."""
    return [
        key
        for word in ("concurrency", "limits", "waiting", "safeguard")
        for key in table.redis.keys(f"*{table.name}*{word}*")
        if not key.startswith((f"{table.name}:runs:".encode(), f"{table.name}:ops:".encode()))
        and b"task-workers" not in key
    ]


@pytest.mark.parametrize("task", ["exclusive", "exclusive_in_turns"])
async def test_a_mixed_fleet_never_runs_two_at_once_and_runs_them_all(table: Table, task: str) -> None:
    for n in range(TASKS):
        await table.side(("ours", "pydocket")[n % 2]).add(task, n, "x")
    await table.pydocket.start_worker("theirs", concurrency=5, redelivery_timeout=2)
    await table.ours.drain("ours", concurrency=5, redelivery_timeout=2)
    await table.pydocket.stop_worker("theirs")
    seen = table.redis.lrange(f"seen:{table.name}", 0, -1)
    assert set(seen) == {b"1"}, seen
    assert table.redis.hgetall(f"runs:{table.name}") == {str(n).encode(): b"1" for n in range(TASKS)}
    await (
        table.ours.docket.store.admissions.sweep()
    )  # where the last one was pydocket's: it does not know what ours kept
    assert keys_left(table) == []


@pytest.mark.parametrize(("holder", "waiter"), [("ours", "pydocket"), ("pydocket", "ours")])
async def test_who_waits_at_one_is_woken_by_the_other(table: Table, holder: str, waiter: str) -> None:
    await table.side(holder).start_worker("holder", concurrency=1)
    await table.side(holder).add("occupied", "x", key="first")
    assert await table.begun("occupied") == "holder"
    await table.side(waiter).start_worker("waiter", concurrency=1)
    await table.side(waiter).add("occupied", "x", key="second")
    await table.reaches("second", "scheduled")
    assert table.redis.xlen(f"{table.name}:concurrency:slot:x:waiters") == 1
    assert "second" in (await table.ours.snapshot())["future"] or waiter == "pydocket"
    table.release()
    assert await table.side(holder).outcome("first") == {"result": "holder"}
    assert (await table.side(waiter).outcome("second"))["result"] in ("holder", "waiter")
    assert table.redis.hget(f"{table.name}:runs:second", "generation") == b"3"
    await table.side(holder).stop_worker("holder")
    await table.side(waiter).stop_worker("waiter")
    await table.ours.docket.store.admissions.sweep()  # what ours kept for it, and pydocket does not know
    assert keys_left(table) == []


async def test_ours_runs_what_pydocket_leaves_to_wake_a_task_up(table: Table) -> None:
    """pydocket's holder is gone without a word: its waiter is woken by the task that it left for that."""
    await table.pydocket.start_worker("theirs", concurrency=2, redelivery_timeout=1)
    table.redis.zadd(f"{table.name}:concurrency:slot:x", {"gone": 4e9})  # never stale
    await table.pydocket.add("exclusive", 1, "x", key="waits")
    await table.reaches("waits", "scheduled")
    await table.pydocket.stop_worker("theirs")
    table.redis.delete(f"{table.name}:concurrency:slot:x")
    assert table.redis.exists(f"{table.name}:__safeguard__:waits")
    await table.ours.drain("ours", redelivery_timeout=1)
    assert table.redis.hgetall(f"runs:{table.name}") == {b"1": b"1"}
    assert keys_left(table) == []


@pytest.mark.parametrize(("first", "second"), [("ours", "pydocket"), ("pydocket", "ours")])
@pytest.mark.parametrize("task", ["rated", "cooled"])
async def test_what_one_has_run_is_dropped_by_the_other(
    table: Table, first: str, second: str, task: str
) -> None:
    await table.side(first).add(task, key="runs")
    await table.side(first).drain("first")
    await table.side(second).add(task, key="dropped")
    await table.side(second).drain("second")
    assert table.redis.lrange(f"seen:{table.name}", 0, -1) == [b"first"]
    assert (await table.side(first).execution("dropped"))["state"] == "cancelled"


@pytest.mark.parametrize(("first", "second"), [("ours", "pydocket"), ("pydocket", "ours")])
async def test_a_burst_over_both_is_one_burst(table: Table, first: str, second: str) -> None:
    await table.side(first).start_worker("first")
    await table.side(first).add("settled", 1, key="winner")
    await table.reaches("winner", "scheduled")
    await table.side(first).stop_worker("first")
    await table.side(second).add("settled", 2, key="loser")
    await table.side(second).drain("second")
    assert table.redis.lrange(f"seen:{table.name}", 0, -1) == [b"second"]
    assert (await table.side(first).execution("loser"))["state"] == "cancelled"
    assert (await table.side(second).execution("winner"))["state"] == "completed"
