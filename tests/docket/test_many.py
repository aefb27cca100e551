"""Many calls at once: `call`, `add_many`, `replace_many`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from docket import Disposition, Docket, TaskCall
from tests.docket.conftest import add, later, work
from tests.where import few_pairs

pytestmark = [pytest.mark.anyio, few_pairs]


async def test_a_call_is_prepared_without_sending_anything(docket: Docket) -> None:
    call = docket.call(add, key="k")(1, b=2)
    assert isinstance(call, TaskCall)
    assert (call.function, call.args, call.kwargs, call.key) == (add, (1,), {"b": 2}, "k")
    assert await docket.get_execution("k") is None


@pytest.mark.parametrize("chunk_size", [1, 2, 1000, None])
async def test_calls_are_added_in_order_whatever_the_chunks(docket: Docket, chunk_size: int | None) -> None:
    executions = await docket.add_many([docket.call(add)(n) for n in range(5)], chunk_size=chunk_size)
    assert [execution.args for execution in executions] == [(n,) for n in range(5)]
    assert {execution.disposition for execution in executions} == {Disposition.SCHEDULED}
    await work(docket)
    assert [await execution.get_result() for execution in executions] == [0, 1, 2, 3, 4]


async def test_each_call_has_a_disposition_of_its_own(docket: Docket) -> None:
    await docket.add(add, key="taken")(1)
    await docket.client.set("d:runs:broken", "not a hash")
    keys = ["taken", "free", "broken", "free"]
    executions = await docket.add_many(docket.call("add", key=key)(2) for key in keys)
    assert [execution.disposition for execution in executions] == [
        Disposition.ALREADY_SCHEDULED,
        Disposition.SCHEDULED,
        Disposition.FAILED,
        Disposition.ALREADY_SCHEDULED,
    ]
    assert "holds a string, where docket keeps a hash" in str(executions[2].schedule_exception)
    assert executions[1].schedule_exception is None


async def test_many_are_replaced(docket: Docket) -> None:
    await docket.add(add, when=later(), key="k")(1)
    executions = await docket.replace_many(
        [docket.call(add, datetime.now(UTC), key)(2) for key in ("k", "new")]
    )
    assert [execution.generation for execution in executions] == [2, 1]
    await work(docket)
    assert [await execution.get_result() for execution in executions] == [2, 2]


async def test_no_calls_are_no_executions(docket: Docket) -> None:
    assert await docket.add_many([]) == []
    assert await docket.replace_many([], chunk_size=None) == []


@pytest.mark.parametrize("chunk_size", [0, -1])
async def test_a_chunk_has_at_least_one_call(docket: Docket, chunk_size: int) -> None:
    """Also where there is nothing to send."""
    with pytest.raises(ValueError, match="chunk_size takes a whole number from 1"):
        await docket.add_many([], chunk_size=chunk_size)
    with pytest.raises(ValueError, match="chunk_size"):
        await docket.replace_many([docket.call(add)(1)], chunk_size=chunk_size)


async def test_a_call_made_by_hand_is_checked_like_any_other(docket: Docket) -> None:
    good = TaskCall(add, (1,), {}, "k", datetime.now(UTC))
    (execution,) = await docket.add_many([good])
    assert execution.function_name == "add"
    for bad in (
        TaskCall(add, (1, 2, 3), {}, "x", datetime.now(UTC)),
        TaskCall(add, (1,), {}, "", datetime.now(UTC)),
        TaskCall(add, (1,), {}, "x", datetime.now()),
    ):
        with pytest.raises((TypeError, ValueError)):
            await docket.add_many([good, bad])


async def test_a_chunk_with_a_call_that_cannot_be_pickled_is_not_sent(docket: Docket) -> None:
    calls = [docket.call(add)(n) for n in range(3)]
    calls[2].args = (iter(()), (n for n in ()))
    with pytest.raises(TypeError, match="'add' cannot be pickled"):
        await docket.add_many(calls)
    assert (await docket.snapshot()).total_tasks == 0


async def test_thousands_are_added_cleared_and_seen(docket: Docket) -> None:
    """Everything that reads or clears a whole docket goes page by page."""
    when = later()
    await docket.add_many([docket.call(add)(n) for n in range(1500)])
    await docket.add_many([docket.call(add, when)(n) for n in range(1500)])
    snapshot = await docket.snapshot()
    assert snapshot.total_tasks == len(snapshot.future) == 3000
    assert sorted(execution.args[0] for execution in snapshot.future) == sorted([*range(1500), *range(1500)])
    assert await docket.clear() == 3000
    assert (await docket.snapshot()).total_tasks == 0
