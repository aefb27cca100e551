"""pydocket beside a docket that is paused: it leaves what waits alone, and its own work goes on."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio


def row(table: Table) -> list[str]:
    """The keys that wait for a resume of `tally`, in their order."""
    name = f"{table.ours.docket.keys.pause('tally')}:waiters"
    return [fields[b"key"].decode() for _, fields in table.redis.xrange(name)]


@asynccontextmanager
async def paused(table: Table, *keys: str) -> AsyncGenerator[None]:
    """`tally` is paused, and our worker has been handed these calls, which either side has added."""
    await table.ours.docket.pause("tally")
    await table.ours.start_worker("ours", concurrency=1)
    for number, key in enumerate(keys):
        side = table.side("pydocket" if number % 2 else "ours")
        await side.add("tally", number, key=key)
    with anyio.fail_after(20):
        while len(row(table)) < len(keys):
            await anyio.sleep(0.01)
    yield
    await table.ours.stop_worker("ours")


async def test_what_pydockets_clients_add_waits_in_its_order(table: Table) -> None:
    async with paused(table, "a", "b", "c"):
        assert row(table) == ["a", "b", "c"]
        assert (await table.pydocket.add("tally", 9, key="a"))["disposition"] == "already_scheduled"
        assert (await table.pydocket.execution("b"))["state"] == "scheduled"
        assert await table.ours.docket.resume("tally") == 3
        for key in "a", "b", "c":
            assert "result" in await table.pydocket.outcome(key)
    assert table.runs() == {b"0": b"1", b"1": b"1", b"2": b"1"}
    table.assert_left_clean()


async def test_what_pydockets_clients_cancel_or_replace_there_does_not_run(table: Table) -> None:
    async with paused(table, "a", "b", "c"):
        await table.pydocket.cancel("a")
        await table.pydocket.replace("tally", 7, key="b", when=from_now(0.1))
        assert await table.ours.docket.resume("tally") <= 2
        assert "result" in await table.pydocket.outcome("c")
        assert "result" in await table.ours.outcome("b")
        assert (await table.pydocket.outcome("a"))["error"] == "ExecutionCancelled"
    assert table.runs() == {b"2": b"1", b"7": b"1"}
    table.assert_left_clean()


async def test_pydockets_workers_leave_what_waits_alone_and_run_what_they_get(table: Table) -> None:
    async with paused(table, "a", "b"):
        pass
    await table.pydocket.start_worker("theirs", redelivery_timeout=0.2)
    await table.pydocket.add("tally", 7, key="new")
    assert "result" in await table.pydocket.outcome("new")
    await anyio.sleep(1)  # several of its sweeps
    assert row(table) == ["a", "b"]
    assert await table.ours.docket.resume("tally") == 2
    for key in "a", "b":
        assert "result" in await table.ours.outcome(key)
    await table.pydocket.stop_worker("theirs")
    assert table.runs() == {b"0": b"1", b"1": b"1", b"7": b"1"}
    table.assert_left_clean()


async def test_a_docket_that_is_paused_as_a_whole_is_worked_by_pydocket_alone(table: Table) -> None:
    await table.ours.start_worker("ours")
    await table.ours.docket.pause()
    for number in range(3):
        await table.pydocket.add("tally", number, key=f"k{number}")
    await anyio.sleep(0.2)
    assert table.runs() == {}
    await table.pydocket.drain("theirs")
    assert table.runs() == {b"0": b"1", b"1": b"1", b"2": b"1"}
    await table.ours.docket.resume()
    await table.ours.add("tally", 3, key="k3")
    assert "result" in await table.ours.outcome("k3")
    await table.ours.stop_worker("ours")
    table.assert_left_clean()
