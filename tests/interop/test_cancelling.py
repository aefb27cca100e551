"""Cancelling the other side's tasks: scheduled, queued, running, ended."""

from __future__ import annotations

import pytest

from .sides import from_now
from .table import Table

pytestmark = pytest.mark.anyio

both_ways = pytest.mark.parametrize(
    ("one", "other"), [("pydocket", "ours"), ("ours", "pydocket")], ids=["pydockets-task", "our-task"]
)


@both_ways
@pytest.mark.parametrize("seconds", [-1, 0.1], ids=["queued", "scheduled"])
async def test_what_waits_is_cancelled_by_the_other_side(
    table: Table, one: str, other: str, seconds: float
) -> None:
    await table.side(one).add("tally", 1, key="k", when=from_now(seconds))
    await table.side(other).cancel("k")
    for side in (one, other):
        assert (await table.side(side).outcome("k"))["error"] == "ExecutionCancelled"
    await table.side(one).add("tally", 2, key="later", when=from_now(0.3))
    await table.side(one).drain("w")
    assert table.runs() == {b"2": b"1"}
    table.assert_left_clean()


@both_ways
@pytest.mark.parametrize("mover", ["pydocket", "ours"])
async def test_what_a_scheduler_moved_to_the_stream_is_cancelled_by_the_other_side(
    table: Table, one: str, other: str, mover: str
) -> None:
    await table.side(mover).start_worker("w", concurrency=1)
    await table.side(one).add("hold", key="busy")
    await table.begun("busy")
    await table.side(one).add("tally", 1, key="k", when=from_now(0.05))
    await table.reaches("k", "queued")
    await table.side(other).cancel("k")
    assert (await table.side(one).outcome("k"))["error"] == "ExecutionCancelled"
    table.release()
    await table.side(one).add("echo", "next", key="next")
    assert await table.side(other).outcome("next") == {"result": "next"}
    await table.side(mover).stop_worker("w")
    assert table.runs() == {}
    table.assert_left_clean()


@both_ways
async def test_what_runs_on_one_side_is_stopped_by_the_other(table: Table, one: str, other: str) -> None:
    await table.side(one).start_worker("w")
    await table.side(one).add("hold", key="k")
    await table.begun("k")
    await table.side(other).cancel("k")
    for side in (one, other):
        assert (await table.side(side).outcome("k"))["error"] == "ExecutionCancelled"
    assert (await table.side(one).execution("k"))["state"] == "cancelled"
    await table.side(one).stop_worker("w")
    table.assert_left_clean()


@both_ways
async def test_somebody_who_waits_hears_of_the_cancellation(table: Table, one: str, other: str) -> None:
    await table.side(one).add("echo", key="k", when=from_now(60))
    await table.side(one).subscribe("k")
    await table.side(other).cancel("k")
    assert [event["state"] for event in await table.side(one).events("k") if event["type"] == "state"] == [
        "scheduled",
        "cancelled",
    ]


@both_ways
async def test_a_cancelled_key_may_be_used_again(table: Table, one: str, other: str) -> None:
    await table.side(one).add("tally", 1, key="k", when=from_now(60))
    await table.side(other).cancel("k")
    assert (await table.side(one).add("tally", 2, key="k"))["disposition"] == "scheduled"
    await table.side(other).drain("w")
    assert table.runs() == {b"2": b"1"}
    table.assert_left_clean()


@both_ways
async def test_cancelling_what_has_ended_changes_nothing(table: Table, one: str, other: str) -> None:
    await table.side(one).add("echo", "done", key="k")
    await table.side(one).drain("w")
    await table.side(other).cancel("k")
    assert await table.side(one).outcome("k") == {"result": "done"}
    table.assert_left_clean()


@both_ways
async def test_clearing_takes_everything_that_waits_on_the_other_side(
    table: Table, one: str, other: str
) -> None:
    for n in range(5):
        await table.side(one).add("tally", n, key=f"now-{n}")
        await table.side(one).add("tally", n, key=f"later-{n}", when=from_now(60))
    assert await table.side(other).clear() == 10
    assert (await table.side(one).snapshot())["total"] == 0
    assert (await table.side(one).outcome("now-1"))["error"] == "ExecutionCancelled"
    assert (await table.side(one).outcome("later-1"))["error"] == "ExecutionCancelled"
    await table.side(one).drain("w")
    assert table.runs() == {}
    table.assert_left_clean()
