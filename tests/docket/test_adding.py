"""Putting work on a docket: `add`, `replace`, `cancel`, `schedule`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from docket import Cancellation, Disposition, Docket, Execution, ExecutionState
from tests.docket.conftest import add, later, nothing, work

pytestmark = pytest.mark.anyio


async def test_a_call_is_added_by_its_function(docket: Docket) -> None:
    execution = await docket.add(add)(1, b=2)
    assert (execution.function, execution.args, execution.kwargs) == (add, (1,), {"b": 2})
    assert (execution.state, execution.disposition) == (ExecutionState.QUEUED, Disposition.SCHEDULED)
    assert (execution.generation, execution.attempt, execution.function_name) == (1, 1, "add")
    await work(docket)
    assert await execution.get_result() == 3


async def test_a_call_is_added_by_name(docket: Docket) -> None:
    docket.register(add, names=["plus", "sum"])
    execution = await docket.add("plus")(1, 2)
    assert (execution.function, execution.function_name) == (add, "plus")
    await work(docket)
    assert await execution.get_result() == 3


async def test_a_key_is_unique_and_sorts_by_time(docket: Docket) -> None:
    keys = [(await docket.add(nothing)()).key for _ in range(5)]
    assert len(set(keys)) == 5
    assert {key[14] for key in keys} == {"7"}  # a UUID of version 7


@pytest.mark.parametrize("moment", ["now", "past"])
async def test_what_is_due_is_queued(docket: Docket, moment: str) -> None:
    when = datetime.now(UTC) - timedelta(days=3 if moment == "past" else 0)
    execution = await docket.add(nothing, when=when)()
    assert execution.state is ExecutionState.QUEUED
    await work(docket)
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED


async def test_what_is_for_later_waits(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later(), key="k")()
    assert execution.state is ExecutionState.SCHEDULED
    found = await docket.get_execution("k")
    assert found is not None
    assert (found.state, found.when) == (ExecutionState.SCHEDULED, execution.when)


async def test_a_moment_may_be_in_any_time_zone(docket: Docket) -> None:
    when = (datetime.now(UTC) + timedelta(hours=1)).astimezone(timezone(timedelta(hours=11)))
    execution = await docket.add(nothing, when=when)()
    assert execution.state is ExecutionState.SCHEDULED
    await execution.sync()
    assert execution.when.isoformat() == when.isoformat()


async def test_a_key_is_taken_once(docket: Docket) -> None:
    first = await docket.add(add, key="k")(1)
    second = await docket.add(add, key="k")(2)
    assert (first.disposition, second.disposition) == (Disposition.SCHEDULED, Disposition.ALREADY_SCHEDULED)
    assert second.generation == 1
    await work(docket)
    assert await second.get_result() == 1
    third = await docket.add(add, key="k")(3)  # it has ended: free again
    assert (third.disposition, third.generation) == (Disposition.SCHEDULED, 2)
    await work(docket)
    assert await third.get_result() == 3


async def test_a_key_can_be_replaced(docket: Docket) -> None:
    """I5: what was there before never runs."""
    first = await docket.add(add, key="k")(1)
    second = await docket.replace(add, later(), "k")(2)
    assert (second.disposition, second.generation) == (Disposition.SCHEDULED, 2)
    assert await first.is_superseded()
    assert not await second.is_superseded()
    third = await docket.replace("add", datetime.now(UTC), "k")(3)
    await work(docket)
    assert await third.get_result() == 3


async def test_a_new_key_can_be_replaced_too(docket: Docket) -> None:
    execution = await docket.replace(add, datetime.now(UTC), "k")(2)
    assert (execution.disposition, execution.generation) == (Disposition.SCHEDULED, 1)


@pytest.mark.parametrize("when", [None, "later"])
async def test_what_waits_is_cancelled(docket: Docket, when: str | None) -> None:
    execution = await docket.add(nothing, when=later() if when else None, key="k")()
    assert await docket.cancel("k") is Cancellation.CANCELLED
    await execution.sync()
    assert execution.state is ExecutionState.CANCELLED
    assert await docket.cancel("k") is Cancellation.ENDED
    assert (await docket.snapshot()).total_tasks == 0
    again = await docket.add(nothing, key="k")()
    assert again.disposition is Disposition.SCHEDULED


async def test_nothing_happens_to_what_cannot_be_cancelled(docket: Docket) -> None:
    assert await docket.cancel("unknown") is Cancellation.NOT_FOUND
    execution = await docket.add(add)(1)
    await work(docket)
    assert await docket.cancel(execution.key) is Cancellation.ENDED
    assert await execution.get_result() == 1


def test_a_cancellation_is_true_where_it_does_something() -> None:
    assert [bool(each) for each in Cancellation] == [True, True, False, False]


async def test_an_execution_made_by_hand_is_scheduled(docket: Docket) -> None:
    execution = Execution(docket, add, (1,), {"b": 2}, "k", datetime.now(UTC), 1)
    assert (execution.disposition, execution.generation) == (Disposition.LOADED, 0)
    await docket.schedule(execution)
    assert execution.disposition is Disposition.SCHEDULED
    await work(docket)
    assert await execution.get_result() == 3


async def test_an_execution_is_placed_only_where_its_generation_is_expected(docket: Docket) -> None:
    """I2: a handler that a user wrote does not undo a replacement made while the task ran."""
    execution = await docket.add(add, key="k")(1)
    await docket.replace(add, later(), "k")(2)
    assert await execution.schedule(replace=True, expected_generation=1) is Disposition.SUPERSEDED
    found = await docket.get_execution("k")
    assert found is not None
    assert found.args == (2,)


@pytest.mark.parametrize(
    "key", ["stream", "queue", "workers", "runs:k", "parked", "parked:queue", "results:k:1", "strikes"]
)
async def test_any_text_is_a_key(docket: Docket, key: str) -> None:
    """Also what the docket calls things of its own."""
    await docket.add(nothing, when=later())()
    execution = await docket.add(add, when=later(), key=key)(1)
    snapshot = await docket.snapshot()
    assert {one.key for one in snapshot.future} > {key}
    assert (await docket.replace(add, datetime.now(UTC), key)(5)).generation == execution.generation + 1
    (queued, _) = (await docket.snapshot()).future
    assert (queued.key, queued.args) == (key, (5,))
    await docket.cancel(key)
    assert (await docket.snapshot()).total_tasks == 1


@pytest.mark.parametrize("key", ['quo"te', "new\nline", "\0\x7f", "☃ 🐙", " ", "a" * 1000], ids=ascii)
async def test_a_key_of_any_characters_runs(docket: Docket, key: str) -> None:
    execution = await docket.add(add, key=key)(1)
    await work(docket)
    assert await execution.get_result() == 1
