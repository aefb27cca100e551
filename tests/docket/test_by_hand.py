"""Executions that a program claims and ends by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import anyio
import pytest

from docket import Docket, ExecutionCancelled, ExecutionState
from docket.execution import Disposition, Execution, schedule_many
from docket.store import GROUP
from tests.docket.conftest import add, later, work

pytestmark = pytest.mark.anyio

EARLIER = datetime(2001, 9, 9, tzinfo=UTC)


async def test_a_program_can_be_its_own_worker(docket: Docket) -> None:
    added = await docket.add(add, key="k")(1, b=2)
    await docket.client.xgroup_create(docket.stream_key, GROUP, "0-0")
    read = await docket.client.xreadgroup(GROUP, "me", {docket.stream_key: ">"})
    message_id, fields = read[0][1][0]
    execution = await Execution.from_message(docket, fields, message_id=message_id)
    assert await execution.claim("me")
    assert (execution.state, execution.worker) == (ExecutionState.RUNNING, "me")
    await added.sync()
    assert (added.state, added.worker) == (ExecutionState.RUNNING, "me")
    await execution.mark_as_completed()
    assert execution.state is ExecutionState.COMPLETED
    with anyio.fail_after(5):
        assert await added.get_result() is None
    with anyio.fail_after(5):
        await work(docket)  # nothing is left


async def test_an_end_by_hand_is_heard_by_who_waits(docket: Docket) -> None:
    execution = await docket.add(add, when=later())(1, b=2)
    async with anyio.create_task_group() as group:

        async def wait() -> None:
            with pytest.raises(ExecutionCancelled):
                await execution.get_result()
            group.cancel_scope.cancel()

        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        mine = await docket.get_execution(execution.key)
        assert mine is not None
        with anyio.fail_after(5):
            await mine.mark_as_cancelled()
            await anyio.sleep_forever()


async def test_the_error_and_where_the_result_is_are_kept(docket: Docket) -> None:
    execution = await docket.add(add, when=later())(1, b=2)
    await execution.mark_as_failed("went wrong", result_key="elsewhere")
    seen = await docket.get_execution(execution.key)
    assert seen is not None
    assert (seen.state, seen.error) == (ExecutionState.FAILED, "went wrong")
    assert seen.result_key == "elsewhere"


async def test_what_has_ended_says_how(docket: Docket) -> None:
    execution = await docket.add(add)(1, b=2)
    await work(docket)
    await execution.mark_as_failed("too late")
    assert (execution.state, execution.error) == (ExecutionState.COMPLETED, None)
    assert not await execution.claim("me")


async def test_executions_are_scheduled_many_at_a_time(docket: Docket) -> None:
    executions = [
        Execution(docket, add, (n,), {"b": 1}, f"k{n % 3}", EARLIER, 1, function_name="add") for n in range(4)
    ]
    async with docket.redis() as redis:
        await schedule_many(redis, executions, replace=False, chunk_size=2)
    assert [execution.disposition for execution in executions] == [
        *[Disposition.SCHEDULED] * 3,
        Disposition.ALREADY_SCHEDULED,
    ]
    await work(docket)
    assert await executions[2].get_result() == 3


async def test_executions_of_two_dockets_are_not_scheduled_together(docket: Docket, memory_url: str) -> None:
    async with Docket("other", memory_url) as other, docket.redis() as redis:
        both = [Execution(one, add, (1,), {}, "k", later(), 1) for one in (docket, other)]
        with pytest.raises(ValueError, match="one docket"):
            await schedule_many(redis, both, replace=False)
        with pytest.raises(ValueError, match="chunk_size"):
            await schedule_many(redis, both[:1], replace=False, chunk_size=0)


async def test_an_argument_that_was_not_given_is_a_key_error(docket: Docket) -> None:
    execution = await docket.add(add, when=later())(1, b=2)
    assert execution.get_argument("b") == 2
    with pytest.raises(KeyError, match="nothing"):
        execution.get_argument("nothing")
