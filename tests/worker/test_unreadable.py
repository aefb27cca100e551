"""One message can harm only itself (I9): what cannot be read, found or finished is set aside, with the reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import CurrentExecution, Docket, Execution, Perpetual, TaskLogger, Worker, clock
from docket.errors import UnknownTask
from docket.execution import ExecutionState
from docket.store import dump
from docket.testing import virtual_backend
from docket.worker import default_fallback_task
from tests.worker.conftest import at_most

pytestmark = pytest.mark.anyio

GOOD: dict[str, Any] = {
    "key": "bad", "when": "2026-01-01T00:00:00+00:00", "function": "fine", "args": dump(()), "kwargs": dump({}),
    "attempt": 1, "generation": 1,
}  # fmt: skip


async def fine() -> str:
    return "fine"


async def run_with(docket: Docket, message: dict[str, Any]) -> None:
    """Put a message on the stream before a good one and run both."""
    docket.register(fine)
    async with docket.redis() as redis:
        message_id = await redis.xadd(docket.stream_key, message)
        if "key" in message:
            run = {"state": "queued", "known": "1", "generation": message.get("generation", 1)}
            await redis.hset(docket.runs_key(message["key"]), mapping={**run, "stream_id": message_id})
    good = await docket.add(fine, key="good")()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await good.get_result() == "fine"


@pytest.mark.parametrize("field", ["when", "function", "args", "kwargs", "attempt"])
async def test_a_message_without_a_field_fails_and_says_which(docket: Docket, field: str) -> None:
    await run_with(docket, {name: value for name, value in GOOD.items() if name != field})
    async with docket.redis() as redis:
        run = await redis.hgetall(docket.runs_key("bad"))
        [dead] = await redis.xrange(docket.keys.dead)
    assert run[b"state"] == b"failed"
    assert f"no field '{field}'" in run[b"error"].decode()
    assert f"no field '{field}'" in dead[1][b"dead:reason"].decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [("when", "yesterday"), ("when", "2026-01-01T00:00:00"), ("attempt", "many"), ("function", b"\xff\xfe")],
)
async def test_a_message_with_a_field_that_cannot_be_read_is_set_aside(
    docket: Docket, field: str, value: Any
) -> None:
    await run_with(docket, {**GOOD, field: value})
    async with docket.redis() as redis:
        assert (await redis.hget(docket.runs_key("bad"), "state")) == b"failed"
        assert await redis.xlen(docket.keys.dead) == 1


@pytest.mark.parametrize("message", [{"nothing": "we know"}, {**GOOD, "generation": "newest"}])
async def test_a_message_without_a_key_or_a_generation_that_counts_is_set_aside(
    docket: Docket, message: dict[str, Any]
) -> None:
    await run_with(docket, message)
    async with docket.redis() as redis:
        assert await redis.xlen(docket.keys.dead) == 1


@pytest.mark.parametrize("args", [b"", b"junk", b"\x80\x05cno.such.module\nthing\n."])
async def test_arguments_that_cannot_be_unpickled_fail_the_task_with_the_reason(
    docket: Docket, args: bytes
) -> None:
    await run_with(docket, {**GOOD, "args": args})
    execution = await docket.records.read("bad")
    assert execution[0] is not None
    assert str(execution[0].error).startswith("DeliveryUnreadable: the arguments of task 'fine'")


async def test_a_run_that_cannot_be_written_is_set_aside_and_harms_no_other(docket: Docket) -> None:
    """Somebody keeps a string where the run should be: the claim fails, again and again, but only its own."""
    docket.register(fine)
    async with docket.redis() as redis:
        await redis.set(docket.runs_key("bad"), "mine")
        await redis.xadd(docket.stream_key, GOOD)
    good = await docket.add(fine, key="good")()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await good.get_result() == "fine"
    async with docket.redis() as redis:
        [dead] = await redis.xrange(docket.keys.dead)
        assert "WRONGTYPE" in dead[1][b"dead:reason"].decode()
        assert await redis.get(docket.runs_key("bad")) == b"mine"


async def test_a_run_spoiled_while_its_body_runs_is_set_aside(docket: Docket) -> None:
    async def spoils() -> None:
        async with docket.redis() as redis:
            await redis.delete(docket.keys.progress("bad"))
            await redis.delete(docket.runs_key("bad"))
            await redis.set(docket.runs_key("bad"), "mine")

    await docket.add(spoils, key="bad")()
    good = await docket.add(fine, key="good")()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await good.get_result() == "fine"


@pytest.mark.parametrize("anyio_backend", [virtual_backend("asyncio"), virtual_backend("trio")])
@pytest.mark.parametrize("spoiled", [{"when": "yesterday"}, {"args": b"junk"}])
async def test_the_chain_of_an_automatic_task_begins_anew_after_an_unreadable_message(
    memory_url: str, spoiled: dict[str, Any]
) -> None:
    ran = anyio.Event()

    async def tick(perpetual: Perpetual = Perpetual(every=timedelta(hours=1), automatic=True)) -> None:
        ran.set()

    async with Docket("heals", memory_url) as docket:
        docket.register(tick)
        async with docket.redis() as redis:
            message_id = await redis.xadd(
                docket.stream_key, {**GOOD, "key": "tick", "function": "tick", **spoiled}
            )
            run = {"state": "queued", "known": "1", "generation": 1, "stream_id": message_id}
            await redis.hset(docket.runs_key("tick"), mapping=run)
        async with anyio.create_task_group() as group:
            worker, began = Worker(docket), clock.now()
            group.start_soon(worker.run_forever)
            async with docket.client.pubsub() as pubsub:
                await pubsub.subscribe(docket.keys.state_channel("tick"))
                while b'"failed"' not in (event := await pubsub.receive()).payload:
                    pass
            assert b"DeliveryUnreadable: " in event.payload
            await ran.wait()
            worker.stop()
    assert clock.now() - began < timedelta(minutes=2)


# Unknown tasks ----------------------------------------------------------------------------------------------


async def unknown(docket: Docket, *args: Any, **kwargs: Any) -> Execution[Any]:
    """Schedule a call of a task that workers of this docket do not know."""

    async def mystery(*args: Any, **kwargs: Any) -> None: ...

    execution = await docket.add(mystery)(*args, **kwargs)
    del docket.tasks["mystery"]
    return execution


async def test_an_unknown_task_fails_and_the_log_says_how_to_register_it(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    execution = await unknown(docket)
    async with at_most():
        await Worker(docket).run_until_finished()
    with pytest.raises(UnknownTask):
        await execution.get_result()
    assert execution.state is ExecutionState.FAILED
    [record] = [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert "Unknown task 'mystery' received - dropping" in record.message
    assert "docket.register(function)" in record.message
    assert record.name == "docket.task.mystery"


async def test_a_fallback_task_gets_the_arguments_of_unknown_tasks(docket: Docket) -> None:
    seen: list[Any] = []

    async def fallback(
        *args: Any,
        execution: Execution[Any] = CurrentExecution(),
        logger: Any = TaskLogger(),
        **kwargs: Any,
    ) -> str:
        seen.append((args, kwargs, execution.function_name, logger.logger.name))
        return "in its place"

    execution = await unknown(docket, 1, 2, three=3)
    async with at_most():
        await Worker(docket, fallback_task=fallback).run_until_finished()
        assert await execution.get_result() == "in its place"
    assert seen == [((1, 2), {"three": 3}, "mystery", "docket.task.mystery")]


async def test_without_a_fallback_the_worker_names_its_default(docket: Docket) -> None:
    assert Worker(docket).fallback_task is default_fallback_task


async def test_a_task_that_raises_unknown_task_itself_is_logged_as_any_failure(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    async def adds_what_nobody_knows() -> None:
        await docket.add("nobody-knows")()

    await docket.add(adds_what_nobody_knows)()
    async with at_most():
        await Worker(docket).run_until_finished()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
