"""Asking a docket: `get_execution`, `snapshot`, `workers`, `clear`, `redis()`, names of keys; registering tasks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from docket import Depends, Docket, Execution, ExecutionState, Retry
from docket.client import Unreadable
from tests.docket.conftest import add, later, nothing, work, working

pytestmark = pytest.mark.anyio

gate: anyio.Event
entered: anyio.Event


async def wait(number: int) -> None:
    entered.set()
    await gate.wait()


async def test_an_unknown_key_has_no_execution(docket: Docket) -> None:
    assert await docket.get_execution("k") is None


async def test_an_execution_is_found_by_its_key(docket: Docket) -> None:
    when = later()
    await docket.add(add, when=when, key="k")(1, b=2)
    found = await docket.get_execution("k")
    assert found is not None
    assert (found.function, found.function_name, found.args, found.kwargs) == (add, "add", (1,), {"b": 2})
    assert (found.key, found.when, found.generation, found.state) == ("k", when, 1, ExecutionState.SCHEDULED)
    assert found.get_argument("b") == 2
    assert found.call_repr() == f"add(..., b=...){{{found.key}}}"


async def test_an_execution_of_an_unknown_task_is_shown_and_cannot_be_called(docket: Docket) -> None:
    await docket.add(add, key="k")(1)
    docket.tasks.clear()
    found = await docket.get_execution("k")
    assert found is not None
    assert found.function_name == "add"
    with pytest.raises(KeyError, match="no task named 'add'"):
        await found.function()


async def test_arguments_that_cannot_be_unpickled_here_are_shown_as_such(docket: Docket) -> None:
    """I9: a command line lacks the modules of the programs that it looks at."""
    await docket.add(add, key="k")(1)
    garbage = b"\x80\x05\x8c\x07missing\x8c\x01f\x93."
    await docket.client.hset("d:runs:k", "args", garbage)
    found = await docket.get_execution("k")
    assert found is not None
    (shown,) = found.args
    assert isinstance(shown, Unreadable)
    assert repr(shown) == "<unreadable: ModuleNotFoundError: No module named 'missing'>"
    ((_, fields),) = await docket.client.xrange("d:stream")
    await docket.client.xadd("d:stream", {**fields, "args": garbage, "key": "other"})
    snapshot = await docket.snapshot()
    assert [execution.key for execution in snapshot.future] == ["k", "other"]
    assert isinstance(snapshot.future[1].args[0], Unreadable)


async def test_a_snapshot_shows_what_waits_what_runs_and_who_works(docket: Docket) -> None:
    global gate, entered
    gate, entered = anyio.Event(), anyio.Event()
    docket.register(wait)
    async with working(docket, "w"):
        await docket.add(wait, key="running")(1)
        await entered.wait()
        await docket.add(add, when=later(), key="later")(1)
        snapshot = await docket.snapshot()
        gate.set()
    assert snapshot.total_tasks == 2
    (future,), (running,) = snapshot.future, snapshot.running
    assert (future.key, future.state) == ("later", ExecutionState.SCHEDULED)
    assert (running.key, running.state, running.worker) == ("running", ExecutionState.RUNNING, "w")
    assert running.args == (1,)
    assert running.started is not None
    assert abs(snapshot.taken - running.started) < timedelta(minutes=1)
    (worker,) = snapshot.workers
    assert worker.name == "w"
    assert worker.tasks >= {"add", "wait"}


async def test_workers_are_known_by_what_they_can_run(docket: Docket, url: str) -> None:
    assert list(await docket.workers()) == []
    async with Docket("d", url) as other:
        other.register(wait)
        async with working(docket, "a"), working(other, "b"):
            while len(await docket.workers()) < 2:
                await anyio.sleep(0)  # a worker that begins says so to the server alone
            assert {worker.name for worker in await docket.workers()} == {"a", "b"}
            assert {worker.name for worker in await docket.task_workers("add")} == {"a"}
            assert {worker.name for worker in await docket.task_workers("wait")} == {"b"}
            assert list(await docket.task_workers("unknown")) == []
    assert list(await docket.workers()) == []


async def test_clearing_cancels_what_waits(docket: Docket) -> None:
    waiting = [await docket.add(add)(1), await docket.add(add, when=later())(1)]
    assert await docket.clear() == 2
    for execution in waiting:
        await execution.sync()
        assert execution.state is ExecutionState.CANCELLED
    assert await docket.clear() == 0


async def test_redis_is_a_client_with_bytes_replies(docket: Docket) -> None:
    async with docket.redis() as redis:
        await redis.hset("h", mapping={"a": 1})
        assert await redis.hgetall("h") == {b"a": b"1"}
        assert await redis.set("s", "x", px=1000, nx=True)
        async with redis.pipeline() as pipe:
            pipe.get("s")
            pipe.ttl("s")
            assert (await pipe.execute())[0] == b"x"


def test_a_docket_says_where_it_keeps_things() -> None:
    docket = Docket("d", "memory://")
    assert (docket.prefix, docket.key("x"), docket.worker_group_name) == ("d", "d:x", "docket-workers")
    assert (docket.queue_key, docket.stream_key, docket.workers_set) == ("d:queue", "d:stream", "d:workers")
    assert docket.redelivery_sweep_key == "d:leases:redelivery-sweep"
    assert (docket.known_task_key("k"), docket.parked_task_key("k")) == ("d:known:k", "d:k")
    assert (docket.stream_id_key("k"), docket.runs_key("k")) == ("d:stream-id:k", "d:runs:k")
    assert (docket.cancel_channel("k"), docket.results_collection) == ("d:cancel:k", "d:results")
    assert (docket.worker_tasks_set("w"), docket.task_workers_set("f")) == (
        "d:worker-tasks:w",
        "d:task-workers:f",
    )
    assert docket.labels() == {"docket.name": "d"}


async def test_a_message_and_its_execution_describe_each_other(docket: Docket) -> None:
    execution = await docket.add(add, key="k")(1, b=2)
    ((message_id, message),) = await docket.client.xrange("d:stream")
    assert execution.as_message() == message
    same = await Execution.from_message(docket, message, redelivered=True, message_id=message_id)
    assert (same.function, same.args, same.kwargs, same.key) == (add, (1,), {"b": 2}, "k")
    assert (same.redelivered, same.message_id, same.generation) == (True, message_id, 1)
    assert same.state is ExecutionState.QUEUED
    other = {**message, b"function": b"other"}
    assert (
        await Execution.from_message(docket, other, fallback_task=nothing, sync=False)
    ).function is nothing


# Registering ----------------------------------------------------------------------------------------------

collection = [add, nothing]
not_a_collection = 7


async def test_a_docket_knows_the_standard_tasks_from_the_start(url: str) -> None:
    assert set(Docket("d", url).tasks) == {"trace", "fail", "sleep"}


async def test_a_collection_is_registered_by_its_path(url: str) -> None:
    docket = Docket("d", url)
    docket.register_collection("tests.docket.test_asking:collection")
    assert docket.tasks["add"] is add
    assert docket.tasks["nothing"] is nothing


@pytest.mark.parametrize("path", ["tests.docket.test_asking", ":collection", "module:", ""])
async def test_a_path_of_a_collection_has_two_parts(docket: Docket, path: str) -> None:
    with pytest.raises(ValueError, match="'module:collection'"):
        docket.register_collection(path)


@pytest.mark.parametrize("name", ["not_a_collection", "add"])
async def test_a_collection_is_an_iterable_of_functions(docket: Docket, name: str) -> None:
    with pytest.raises(ValueError, match="not an iterable of functions"):
        docket.register_collection(f"tests.docket.test_asking:{name}")


async def test_a_collection_that_is_not_there(docket: Docket) -> None:
    with pytest.raises(ImportError):
        docket.register_collection("no.such.module:tasks")
    with pytest.raises(AttributeError):
        docket.register_collection("tests.docket.test_asking:missing")


async def test_dependencies_that_contradict_each_other_are_refused(docket: Docket) -> None:
    async def confused(one: Retry = Retry(attempts=2), two: Retry = Retry(attempts=3)) -> None: ...

    with pytest.raises(ValueError, match="Only one Retry dependency is allowed"):
        docket.add(confused)


async def test_the_tasks_are_a_dictionary_that_anyone_may_change(docket: Docket) -> None:
    docket.tasks["mine"] = add
    execution = await docket.add("mine")(1)
    await work(docket)
    assert await execution.get_result() == 1


async def test_any_callable_with_a_name_and_a_signature_is_a_task(docket: Docket) -> None:
    import inspect
    from unittest.mock import AsyncMock

    task = AsyncMock(return_value=7)
    task.__name__ = "mocked"
    task.__signature__ = inspect.signature(add)
    execution: Any = await docket.add(task)(1)
    await work(docket)
    assert await execution.get_result() == 7
    task.assert_awaited_once_with(1)


async def test_a_dependency_is_not_part_of_the_call(docket: Docket) -> None:
    async def depending(a: int, b: int = Depends(lambda: 41)) -> int:
        return a + b

    execution = await docket.add(depending)(1)
    await work(docket)
    assert await execution.get_result() == 42
    assert execution.get_argument("a") == 1
    assert execution.specific_labels()["docket.key"] == execution.key
    assert execution.general_labels() == {"docket.task": execution.function_name}
    assert datetime.fromisoformat(str(execution.specific_labels()["docket.when"])).tzinfo == UTC
