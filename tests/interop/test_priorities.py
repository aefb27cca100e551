"""pydocket beside levels: its workers serve normal ones and leave the others alone, and nothing of theirs breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from docket import Priority

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

HIGH, NORMAL, LOW = Priority


async def test_pydockets_workers_run_what_is_normal_and_leave_the_others_to_ours(table: Table) -> None:
    ours = table.ours.docket
    for number, level in enumerate(("high", "normal", "low"), 1):
        await ours.add("tally", key=level, priority=level)(number)  # type: ignore[call-overload]
    await table.pydocket.drain("theirs")  # until nothing waits or runs that it knows of
    assert "result" in await table.pydocket.outcome("normal")
    assert table.runs() == {b"2": b"1"}
    assert (await ours.counts()).unserved == (HIGH, LOW)
    await table.ours.drain("ours")
    for key in "high", "low":
        assert "result" in await table.pydocket.outcome(key)
    assert table.runs() == {b"1": b"1", b"2": b"1", b"3": b"1"}
    table.assert_left_clean()


async def test_what_pydockets_clients_add_is_normal(table: Table) -> None:
    await table.pydocket.add("tally", 1, key="k")
    execution = await table.ours.docket.get_execution("k")
    assert execution is not None
    assert execution.priority is NORMAL
    assert (await table.ours.docket.counts()).levels == {}
    await table.ours.drain("ours")
    assert "result" in await table.pydocket.outcome("k")


@pytest.mark.parametrize("level", [HIGH, LOW])
@pytest.mark.parametrize("later", [False, True], ids=["due", "later"])
async def test_what_pydockets_clients_put_in_the_place_of_another_level_runs_once(
    table: Table, level: Priority, later: bool
) -> None:
    await table.ours.docket.add("tally", key="k", priority=level)(1)
    await table.pydocket.replace("tally", 2, key="k", when=from_now(0.3 if later else 0))
    await table.ours.drain("ours")
    assert "result" in await table.ours.outcome("k")
    assert table.runs() == {b"2": b"1"}
    execution = await table.ours.docket.get_execution("k")
    assert execution is not None
    assert execution.priority is NORMAL


@pytest.mark.parametrize("level", [HIGH, LOW])
async def test_what_pydockets_clients_cancel_does_not_run(table: Table, level: Priority) -> None:
    await table.ours.docket.add("tally", key="k", priority=level)(1)
    await table.pydocket.cancel("k")
    await table.ours.drain("ours")
    assert (await table.pydocket.outcome("k"))["error"] == "ExecutionCancelled"
    assert table.runs() == {}


async def test_pydockets_clients_find_a_key_of_another_level_taken_and_see_its_record(table: Table) -> None:
    await table.ours.docket.add("tally", key="k", priority="high")(1)
    await table.pydocket.add("tally", 2, key="k")
    assert (await table.pydocket.execution("k"))["state"] == "queued"
    await table.ours.drain("ours")
    assert table.runs() == {b"1": b"1"}


async def test_a_snapshot_of_pydockets_has_what_is_normal(table: Table) -> None:
    for level in "high", "normal", "low":
        await table.ours.docket.add("tally", key=level, priority=level)(1)  # type: ignore[call-overload]
    seen = await table.pydocket.snapshot()
    assert (seen["total"], seen["future"]) == (1, ["normal"])
    assert sorted((await table.ours.snapshot())["future"]) == ["high", "low", "normal"]
    await table.ours.drain("ours")


async def test_a_clear_of_pydockets_leaves_the_other_levels(table: Table) -> None:
    for level in "high", "normal", "low":
        await table.ours.docket.add("tally", key=level, priority=level)(1)  # type: ignore[call-overload]
    assert await table.pydocket.clear() == 1
    await table.ours.drain("ours")
    assert table.runs() == {b"1": b"2"}


async def test_a_future_task_that_pydockets_scheduler_moves_is_normal(table: Table) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    await table.ours.docket.add("tally", soon, "k", priority="high")(2)
    await table.pydocket.drain("theirs")
    assert "result" in await table.pydocket.outcome("k")
    assert table.runs() == {b"2": b"1"}
