"""What others wrote into the docket's records and rows (I9): whatever it is, it harms the task that it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import anyio
import pytest

from docket import ConcurrencyLimit, Disposition, Docket, ExecutionState, ExponentialRetry, Retry, Worker
from docket.store import dump
from tests.durations import ms
from tests.where import one_loop, slow
from tests.worker.conftest import a_worker, at_most, working

pytestmark = [pytest.mark.anyio, slow, one_loop]

LIMIT = "concurrency:limited"


async def fine() -> str:
    return "fine"


async def limited(limit: ConcurrencyLimit = ConcurrencyLimit(1)) -> str:
    return "limited"


def message(key: str, **fields: Any) -> dict[str, Any]:
    named = {"key": key, "when": "2026-01-01T00:00:00+00:00", "function": "limited", "args": dump(())}
    return {**named, "kwargs": dump({}), "attempt": 1, "generation": 1, **fields}


async def wait_behind(docket: Docket, fields: dict[str, Any], record: dict[str, Any]) -> None:
    """Put a message into the row of a limit, as if it had been parked there."""
    name = docket.key(LIMIT)
    async with docket.redis() as redis:
        entry = await redis.xadd(f"{name}:waiters", fields)
        run = {"state": "scheduled", "known": 1, "generation": 1, "waiter_stream": f"{name}:waiters"}
        await redis.hset(docket.runs_key("bad"), mapping={**run, "waiter_entry_id": entry, **record})
        await redis.sadd(docket.keys.waiting, name)
        await redis.hset(docket.keys.limits, name, f"60000 1:{len(name)}:{name}")


JUNK: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"nothing": "we know"}, {}), "no generation": (message("bad", generation=""), {"generation": ""}),
    "a name for a generation": (message("bad", generation="newest"), {"generation": "newest"}),
    "a huge generation": (message("bad", generation="9" * 400), {"generation": "9" * 400}),
    "no attempt": (message("bad", attempt="many"), {}), "no UTF-8": (message("bad", function=b"\xff"), {}),
    "a junk limit": (message("bad", **{"docket:limits": b"\xff"}), {}),
    "a huge lease": (message("bad", **{"docket:limits": "9" * 400 + " 1:1:x"}), {}),
    "a huge limit": (message("bad", **{"docket:limits": "1000 " + "9" * 400 + ":1:x"}), {}),
    "a long name": (message("bad", **{"docket:limits": "1000 1:999999999999999:x"}), {}),
    "no name": (message("bad", **{"docket:limits": "1000 " + "1:0:" * 5000}), {}),
    "a limit that is the stream": (message("bad", **{"docket:limits": "60000 1:8:w:stream"}), {}),
}  # fmt: skip


@pytest.mark.parametrize("junk", JUNK)
async def test_what_somebody_put_into_a_row_keeps_nobody_else_from_it(docket: Docket, junk: str) -> None:
    docket.register(limited)
    await wait_behind(docket, *JUNK[junk])
    async with working(a_worker(docket, redelivery_timeout=ms(400))):
        executions = [await docket.add(limited)() for _ in range(3)]
        for execution in executions:
            assert await execution.get_result() == "limited"
    async with docket.redis() as redis:
        assert not await redis.exists(f"{docket.key(LIMIT)}:waiters")


@pytest.mark.parametrize(
    "field", ["stream_id", "waiter_entry_id", "waiter_stream", "reserved", "admitted", "claim"]
)
@pytest.mark.parametrize("junk", ["junk", "", b"\xff", "9" * 40 + "-1", "1-" + "9" * 40, "0 9:9:x"])
async def test_a_record_with_a_junk_field_can_be_replaced_cancelled_and_run(
    docket: Docket, field: str, junk: Any
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    await docket.add(fine, when=soon, key="k")()
    more = {"waiter_stream": "junk", "waiter_entry_id": junk} if field == "waiter_entry_id" else {field: junk}
    async with docket.redis() as redis:
        await redis.hset(docket.runs_key("k"), mapping=more)
        await docket.replace(fine, soon, "k")()
        await redis.hset(docket.runs_key("k"), mapping=more)
        await docket.cancel("k")
        execution = await docket.add(fine, key="k")()
        await redis.hset(docket.runs_key("k"), mapping=more)
    assert execution.disposition is Disposition.SCHEDULED
    async with at_most():
        await Worker(docket).run_until_finished()
    await execution.sync()
    assert execution.state is ExecutionState.COMPLETED


@pytest.mark.parametrize("score", [1e300, 9e18, float("inf"), float("-inf"), -1e300])
async def test_a_member_of_the_queue_may_have_any_score(docket: Docket, score: float) -> None:
    async with docket.redis() as redis:
        await redis.zadd(docket.queue_key, {"ghost": score, b"\xff": score})
    async with working(a_worker(docket)):
        assert await (await docket.add(fine)()).get_result() == "fine"
        assert await (await docket.add(fine, when=datetime.now(UTC) + ms(20))()).get_result() == "fine"


async def test_a_stream_that_takes_no_more_entries_is_an_outage(
    docket: Docket, caplog: pytest.LogCaptureFixture
) -> None:
    docket.register(fine)
    if docket.client.is_memory:
        pytest.skip("its ids do not end")
    async with working(a_worker(docket, reconnection_delay=ms(50))):
        later = await docket.add(fine, when=datetime.now(UTC) + ms(200))()
        async with docket.redis() as redis:
            await redis.xadd(docket.stream_key, message("bad"), id=f"{2**64 - 1}-{2**64 - 1}")
        while "has exhausted the last possible ID" not in caplog.text:
            await anyio.sleep(0.005)
        await docket.client.delete(docket.stream_key)
        assert await later.get_result() == "fine"


HUGE = "9" * 15


async def test_an_unknown_task_with_absurd_counts_is_set_aside_like_any_other(docket: Docket) -> None:
    async with docket.redis() as redis:
        counts = {"docket:unknown": f"{HUGE} {HUGE} {HUGE}", "function": "mystery"}
        await redis.xadd(docket.stream_key, message("bad", **counts))
        await redis.hset(docket.runs_key("bad"), mapping={"state": "queued", "generation": 1})
    async with working(a_worker(docket)):
        assert await (await docket.add(fine)()).get_result() == "fine"
        while True:
            record, _ = await docket.store.records.read("bad")
            assert record is not None
            if record.state is ExecutionState.FAILED:
                break
            await anyio.sleep(0.005)
    assert str(record.error).startswith("UnknownTask")


async def test_an_attempt_may_be_the_last_that_can_be_counted(docket: Docket) -> None:
    async def again(retry: Retry = ExponentialRetry(None, minimum_delay=ms(1), maximum_delay=ms(5))) -> None:
        begun.append(1)
        if len(begun) < 3:
            raise ValueError("again")

    begun: list[int] = []
    docket.register(again)
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, message("bad", function="again", attempt=HUGE))
        await redis.hset(docket.runs_key("bad"), mapping={"state": "queued", "generation": 1})
    async with at_most():
        await Worker(docket).run_until_finished()
    assert len(begun) == 3


async def test_arguments_that_a_limit_counts_by_may_be_missing(docket: Docket) -> None:
    async def counted(who: Annotated[str, ConcurrencyLimit(1)]) -> None: ...

    docket.register(counted)
    async with docket.redis() as redis:
        await redis.xadd(docket.stream_key, message("bad", function="counted"))
        await redis.hset(docket.runs_key("bad"), mapping={"state": "queued", "generation": 1})
    execution = await docket.add(fine)()
    async with at_most():
        await Worker(docket).run_until_finished()
        assert await execution.get_result() == "fine"
    record, _ = await docket.store.records.read("bad")
    assert record is not None
    assert record.state is ExecutionState.FAILED
