"""One message can harm only itself (I9): what cannot be read, found or finished is set aside, with the reason."""

from __future__ import annotations

import asyncio
import pickle
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import (
    CurrentExecution,
    Disposition,
    Docket,
    Execution,
    Perpetual,
    Retry,
    TaskLogger,
    Worker,
    clock,
)
from docket.errors import UnknownTask
from docket.execution import ExecutionState
from docket.store import dump
from docket.worker import default_fallback_task
from tests.where import one_loop, slow, virtual_time
from tests.worker.conftest import at_most

pytestmark = [pytest.mark.anyio, slow, one_loop]

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
    [
        ("when", "yesterday"), ("when", "2026-01-01T00:00:00"), ("attempt", "many"), ("function", b"\xff\xfe"),
        ("attempt", "-1"), ("attempt", "9" * 16), ("attempt", "9" * 5000), ("attempt", "1_0"), ("attempt", ""),
        ("docket:unknown", "1"), ("docket:unknown", "-1 0 0"), ("docket:unknown", "0 -" + "9" * 30 + " 0"),
        ("docket:unknown", "0 0 -5"), ("docket:unknown", "9" * 400 + " 0 0"), ("docket:unknown", "1e3 nan inf"),
        ("docket:unknown", b"\xff"), ("docket:unknown", ""),
    ],
)  # fmt: skip
async def test_a_message_with_a_field_that_cannot_be_read_is_set_aside(
    docket: Docket, field: str, value: Any
) -> None:
    await run_with(docket, {**GOOD, field: value})
    async with docket.redis() as redis:
        assert (await redis.hget(docket.runs_key("bad"), "state")) == b"failed"
        assert await redis.xlen(docket.keys.dead) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"nothing": "we know"},
        *({**GOOD, "generation": junk} for junk in ("newest", "-1", "", "1e3", "1.5", "9" * 16, "9" * 5000)),
    ],
    ids=str,
)
async def test_a_message_without_a_key_or_a_generation_that_counts_is_set_aside(
    docket: Docket, message: dict[str, Any]
) -> None:
    await run_with(docket, message)
    async with docket.redis() as redis:
        assert await redis.xlen(docket.keys.dead) == 1


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00", "0001-01-01T00:00:00+00:00"]
)
@pytest.mark.parametrize("more", [{}, {"first_when": "0001-01-01T00:00:00+14:00"}, {"first_when": b"\xff"}])
async def test_a_moment_that_utc_does_not_know_harms_nothing(
    docket: Docket, when: str, more: dict[str, Any]
) -> None:
    async def again(retry: Retry = Retry(attempts=2, maximum_age=timedelta(days=1))) -> None:
        raise ValueError("again")

    docket.register(again)
    await run_with(docket, {**GOOD, "function": "again", "when": when, **more})
    record, _ = await docket.store.records.read("bad")
    assert record is not None
    assert (record.state, record.error) == (ExecutionState.FAILED, "ValueError: again")


async def test_a_message_whose_key_is_no_utf_8_is_set_aside_with_its_run(docket: Docket) -> None:
    docket.register(fine)
    async with docket.redis() as redis:
        message_id = await redis.xadd(docket.stream_key, {**GOOD, "key": b"\xff"})
        run = docket.runs_key("").encode() + b"\xff"
        await redis.hset(
            run, mapping={"state": "queued", "known": 1, "generation": 1, "stream_id": message_id}
        )
        await Worker(docket).run_until_finished()
        assert await redis.hget(run, "state") == b"failed"
        assert await redis.ttl(run) > 0
        assert not await redis.exists(docket.keys.progress("").encode() + b"\xff")


@pytest.mark.parametrize("generation", ["newest", "9" * 16, "1e300", "nan", "-1", "1.5"])
async def test_a_record_with_a_generation_that_does_not_count_harms_its_task_alone(
    docket: Docket, generation: str
) -> None:
    async def again() -> str:
        return "again"

    docket.register(again)
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("bad"), mapping={"state": "queued", "generation": generation})
        message_id = await redis.xadd(docket.stream_key, {**GOOD, "function": "again"})
        await redis.hset(docket.runs_key("bad"), "stream_id", message_id)
    good = await docket.add(fine, key="good")()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await good.get_result() == "fine"
        execution = await docket.add(again, key="bad")()
        assert execution.disposition is Disposition.SCHEDULED
        await Worker(docket).run_until_finished()
        assert await execution.get_result() == "again"


@pytest.mark.parametrize("claim", ["1e300", "nan", "9" * 20, "", "-1", "1.5"])
async def test_a_record_with_a_claim_that_does_not_count_is_claimed_anew(docket: Docket, claim: str) -> None:
    docket.register(fine)
    async with docket.redis() as redis:
        message_id = (await redis.xadd(docket.stream_key, GOOD)).decode()
        run = {"state": "running", "generation": 1, "claim": f"{message_id}.{claim}"}
        await redis.hset(docket.runs_key("bad"), mapping=run)
    async with at_most():
        await Worker(docket).run_until_finished()
    record, _ = await docket.store.records.read("bad")
    assert record is not None
    assert record.state is ExecutionState.COMPLETED


class Raises:
    """Raises as it is unpickled."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return _raise, (self.error,)


def _raise(error: type[BaseException]) -> None:
    raise error("hostile")


class Named(str):
    """A name that says so."""

    __slots__ = ()

    def __str__(self) -> str:
        raise SystemExit("asked for its text")

    __repr__ = __str__


ARGUMENTS: dict[str, tuple[bytes, bytes]] = {
    "empty": (b"", b""), "junk": (b"junk", dump({})), "missing": (b"\x80\x05cno.such.module\nthing\n.", dump({})),
    "a list": (pickle.dumps([1]), dump({})), "a number": (pickle.dumps(7), dump({})), "none": (pickle.dumps(None),) * 2,
    "a pair": (dump(()), pickle.dumps([("a", 1)])), "numbers for names": (dump(()), pickle.dumps({1: 2})),
    "bytes for names": (dump(()), pickle.dumps({b"a": 2})),
    **{
        error.__name__: (pickle.dumps((Raises(error),)), dump({}))
        for error in (SystemExit, GeneratorExit, BaseException, RecursionError, asyncio.CancelledError)
    },
}  # fmt: skip


@pytest.mark.parametrize("arguments", ARGUMENTS)
async def test_arguments_of_no_shape_that_a_call_has_fail_the_task_with_the_reason(
    docket: Docket, arguments: str
) -> None:
    args, kwargs = ARGUMENTS[arguments]
    await run_with(docket, {**GOOD, "args": args, "kwargs": kwargs})
    record, _ = await docket.store.records.read("bad")
    assert record is not None
    assert (record.state, str(record.error).partition(" of task")[0]) == (
        ExecutionState.FAILED,
        "DeliveryUnreadable: the arguments",
    )
    assert str(record.error).count("cannot be unpickled") == 1


@pytest.mark.parametrize(
    ("args", "kwargs"), [((1,), {}), ((), {"a": 1}), ((1, 2, 3), {"b": 1}), ((), {Named("a"): 1})]
)
async def test_arguments_that_do_not_fit_the_function_fail_the_task(
    docket: Docket, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    await run_with(docket, {**GOOD, "args": pickle.dumps(args), "kwargs": pickle.dumps(kwargs)})
    record, _ = await docket.store.records.read("bad")
    assert record is not None
    assert str(record.error).startswith("TypeError: ")


@pytest.mark.parametrize("args", [b"", b"junk", b"\x80\x05cno.such.module\nthing\n."])
async def test_arguments_that_cannot_be_unpickled_fail_the_task_with_the_reason(
    docket: Docket, args: bytes
) -> None:
    await run_with(docket, {**GOOD, "args": args})
    execution = await docket.store.records.read("bad")
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


@virtual_time
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
