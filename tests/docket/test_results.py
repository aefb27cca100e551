"""What came of an execution: `get_result`."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, ExecutionCancelled, ExecutionState
from docket.execution import ExecutionFailed, ResultExpired
from tests.docket.conftest import add, later, nothing, refuse, work, working

pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


class Custom(Exception):
    def __init__(self, number: int, text: str) -> None:
        super().__init__(number, text)


async def custom() -> None:
    raise Custom(7, "text")


async def unpicklable_result() -> Any:
    return threading.Lock()


class Stubborn(Exception):
    def __reduce__(self) -> Any:
        raise RuntimeError("I stay")


async def unpicklable_error() -> None:
    raise Stubborn("said so")


async def leave() -> None:
    sys.exit(3)


async def test_a_result_is_there_when_the_task_has_ended(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    await work(docket)
    assert await execution.get_result() == 3
    assert await execution.get_result(timeout=timedelta(0)) == 3
    assert execution.result_key == f"{execution.key}:1"


async def test_a_result_is_waited_for(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    async with working(docket):
        assert await execution.get_result() == 3


async def test_several_wait_for_one_result(docket: Docket) -> None:
    execution = await docket.add(add)(1, 2)
    found: list[int] = []

    async def wait() -> None:
        same = await docket.get_execution(execution.key)
        assert same is not None
        found.append(await same.get_result())

    async with working(docket), anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(wait)
    assert found == [3] * 5


async def test_a_task_that_returns_nothing_has_the_result_none(docket: Docket) -> None:
    execution = await docket.add(nothing)()
    await work(docket)
    assert await execution.get_result() is None
    assert execution.result_key is None


async def test_the_exception_of_the_task_is_raised(docket: Docket) -> None:
    execution = await docket.add(refuse)("no")
    await work(docket)
    with pytest.raises(ValueError, match=r"^no\n") as raised:  # pytest looks at the notes, too
        await execution.get_result()
    assert raised.value.args == ("no",)
    assert execution.state is ExecutionState.FAILED
    assert execution.error == "ValueError: no"


async def test_an_exception_of_ones_own_is_raised(docket: Docket) -> None:
    execution = await docket.add(custom)()
    await work(docket)
    with pytest.raises(Custom) as raised:
        await execution.get_result()
    assert raised.value.args == (7, "text")


async def test_a_cancelled_execution_says_so(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    await docket.cancel(execution.key)
    with pytest.raises(ExecutionCancelled, match="was cancelled"):
        await execution.get_result()


async def test_a_cancellation_reaches_whoever_waits(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    following = execution.subscribe()
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()

        group.start_soon(wait)
        await anext(following)
        await docket.cancel(execution.key)
    await following.aclose()


async def test_waiting_ends_with_the_timeout(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    with pytest.raises(TimeoutError, match="Timeout waiting for execution"):
        await execution.get_result(timeout=SECOND / 100)
    with pytest.raises(TimeoutError, match="Timeout waiting for execution"):
        await execution.get_result(timeout=timedelta(0))


async def test_waiting_ends_at_the_deadline(docket: Docket) -> None:
    execution = await docket.add(nothing, when=later())()
    for deadline in datetime.now(UTC) + SECOND / 100, datetime.now(UTC) - SECOND:
        with pytest.raises(TimeoutError, match="Timeout waiting for execution"):
            await execution.get_result(deadline=deadline)


async def test_a_timeout_and_a_deadline_are_one_too_many(docket: Docket) -> None:
    execution = await docket.add(nothing)()
    with pytest.raises(ValueError, match="Cannot specify both timeout and deadline"):
        await execution.get_result(timeout=SECOND, deadline=datetime.now(UTC))


async def test_a_deadline_has_a_time_zone(docket: Docket) -> None:
    execution = await docket.add(nothing)()
    with pytest.raises(ValueError, match="has no time zone"):
        await execution.get_result(deadline=datetime.now())


async def test_nobody_waits_for_what_was_never_added(docket: Docket) -> None:
    execution = Execution(docket, nothing, (), {}, "k", datetime.now(UTC), 1)
    with pytest.raises(ResultExpired, match="nothing is recorded of execution 'k'"):
        await execution.get_result()


async def test_nobody_waits_for_a_record_that_has_expired(docket: Docket) -> None:
    execution = await docket.add(add)(1)
    await work(docket)
    await docket.client.delete(docket.runs_key(execution.key))
    with pytest.raises(ResultExpired, match=r"execution_ttl .* has passed"):
        await execution.get_result()


async def test_a_result_that_is_gone_before_its_record_is_missed(docket: Docket) -> None:
    execution = await docket.add(add)(1)
    await work(docket)
    await docket.client.delete(f"d:results::{execution.key}:1")
    with pytest.raises(ResultExpired, match="no longer kept"):
        await execution.get_result()


@pytest.mark.parametrize("waiting", [True, False])
async def test_without_a_ttl_nothing_is_kept(url: str, waiting: bool) -> None:
    async with Docket("d", url, execution_ttl=timedelta(0)) as docket:
        execution = await docket.add(add)(1)
        if waiting:
            async with working(docket):
                with pytest.raises(ResultExpired):
                    await execution.get_result()
        else:
            await work(docket)
            with pytest.raises(ResultExpired):
                await execution.get_result()
        assert not await docket.client.keys("d:runs:*")
        assert not await docket.client.keys("d:results:*")


async def test_records_are_kept_as_long_as_the_docket_says(url: str) -> None:
    async with Docket("d", url, execution_ttl=timedelta(hours=1)) as docket:
        execution = await docket.add(add)(1)
        await work(docket)
        for name in docket.runs_key(execution.key), f"d:results::{execution.key}:1":
            assert await docket.client.pttl(name) == pytest.approx(3_600_000, abs=60_000)


async def test_a_result_that_cannot_be_pickled_is_a_failure(docket: Docket) -> None:
    execution = await docket.add(unpicklable_result)()
    await work(docket)
    with pytest.raises(TypeError, match="the result of task 'unpicklable_result' cannot be pickled"):
        await execution.get_result()


async def test_an_exception_that_cannot_be_pickled_is_kept_as_what_it_said(docket: Docket) -> None:
    execution = await docket.add(unpicklable_error)()
    await work(docket)
    with pytest.raises(ExecutionFailed, match="Stubborn: said so"):
        await execution.get_result()


async def test_an_exception_that_cannot_be_read_here_is_told_as_what_it_said(docket: Docket) -> None:
    execution = await docket.add(refuse)("no")
    await work(docket)
    envelope = '{"data": "Z2FyYmFnZQ=="}'
    await docket.client.delete(f"d:results::{execution.key}:1")
    await docket.client.set(f"d:results:{execution.key}:1", envelope)
    with pytest.raises(ExecutionFailed, match="ValueError: no"):
        await execution.get_result()


async def test_a_task_that_exits_does_not_take_along_whoever_asks(docket: Docket) -> None:
    execution = await docket.add(leave)()
    await work(docket)
    with pytest.raises(ExecutionFailed, match="SystemExit: 3"):
        await execution.get_result()
