"""Who may write to the server and has no key: nothing of theirs is opened, nobody dies of it, each is counted."""

from __future__ import annotations

import base64

import anyio
import pytest

from docket import Worker
from docket.errors import Untrusted
from docket.execution import ExecutionState
from tests.trust.forging import FORGED, PATIENCE, first, forger_on, opened, second
from tests.trust.traps import TRACES, counted, trap

SOME = max(10, FORGED // 20)

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"), ("uvloop", "redis")),
]


async def test_of_all_that_is_forged_nothing_is_opened(url: str) -> None:
    TRACES.clear()
    async with opened(url) as docket:
        forger = await forger_on(docket)
        good = [await docket.add(first, key=f"good-{number}")(str(number)) for number in range(5)]
        async with docket.redis() as redis:
            for number in range(FORGED):
                message = forger.one(number)
                key = message[b"key"].decode()
                record = {
                    "state": "queued", "generation": 1, "known": "1", "function": message[b"function"],
                    "args": message[b"args"], "kwargs": message[b"kwargs"],
                }  # fmt: skip
                if number % 3 == 0:
                    await redis.hset(docket.runs_key(key), mapping=record)  # pyright: ignore[reportArgumentType]
                if number % 4 == 0:
                    await redis.hset(docket.parked_task_key(key), mapping=message)  # pyright: ignore[reportArgumentType]
                    await redis.hset(docket.runs_key(key), mapping={**record, "state": "scheduled"})  # pyright: ignore[reportArgumentType]
                    await redis.zadd(docket.queue_key, {key: 1.0})
                else:
                    if number % 3:
                        await redis.hset(docket.runs_key(key), mapping={**record, "args": b"another"})  # pyright: ignore[reportArgumentType]
                    await redis.xadd(docket.stream_key, message)  # pyright: ignore[reportArgumentType]
                await redis.publish(docket.keys.state_channel(key), trap("event"))
            late = await docket.add(second, key="late")("late")
            with counted() as counts, anyio.fail_after(PATIENCE):
                async with Worker(docket) as worker:
                    await worker.run_until_finished()
            assert counts.refused == FORGED
            assert await redis.xlen(docket.keys.dead) >= min(FORGED, 1000)
        assert TRACES == []
        assert [await each.get_result() for each in [*good, late]] == ["0", "1", "2", "3", "4", "late"]


async def test_copies_of_what_runs_neither_run_nor_keep_it_from_its_end(url: str) -> None:
    """Whole, with another generation, or forged: each would take the claim of the run over."""
    TRACES.clear()
    begun: list[str] = []
    go_on = anyio.Event()

    async def body(value: str) -> str:
        begun.append(value)
        await go_on.wait()
        return value

    async with opened(url) as docket, docket.redis() as redis:
        docket.register(body)
        real = await docket.add(body, key="real")("real")
        with anyio.fail_after(PATIENCE):
            async with Worker(docket) as worker, anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                async for event in real.subscribe():
                    if event["type"] == "state" and event["state"] == "running":
                        break
                [(_, message)] = await redis.xrange(docket.stream_key)
                for number in range(SOME):
                    copy = {**message, b"generation": (b"1", b"2", b"0")[number % 3]}
                    if number % 2:
                        copy[b"args"] = trap("copy")
                    await redis.xadd(docket.stream_key, copy)  # pyright: ignore[reportArgumentType]
                last = await docket.add(second)("last")
                assert await last.get_result() == "last"  # so all of them were taken
                go_on.set()
                assert await real.get_result() == "real"
                group.cancel_scope.cancel()
        assert (begun, TRACES) == (["real"], [])


async def test_of_forged_results_records_strikes_and_failures_nothing_is_opened(url: str) -> None:
    TRACES.clear()
    async with opened(url) as docket:
        one = await docket.add(first, key="one")("1")
        two = await docket.add(first, key="two")("2")
        async with Worker(docket) as worker:
            await worker.run_until_finished()
        storage = docket.result_storage
        kept = {key: await storage.get(f"{key}:1") for key in ("one", "two")}
        text: str = (kept["one"] or {})["data"]
        raw = base64.b64decode(text)
        forged = [base64.b64encode(each).decode() for each in (
            trap("result"), raw[:-1], raw[:-60], trap("result") + raw, trap("result") + b"\n" + raw.partition(b"\n")[2],
            raw + raw, raw.replace(b" 1 ", b" 2 "),
        )] + [(kept["two"] or {})["data"]]  # fmt: skip
        with counted() as counts:
            for data in forged:
                await storage.put("one:1", {"data": data})
                with pytest.raises(Untrusted):
                    await one.get_result()
            async with docket.redis() as redis:
                await redis.hset(
                    docket.runs_key("two"), mapping={"args": trap("record"), "kwargs": trap("record")}
                )
                shown = await docket.get_execution("two")
                assert shown is not None
                assert "Untrusted" in repr(shown.args)
                await redis.hset(docket.runs_key("two"), mapping={"result_key": "one:1"})
                await storage.put("one:1", {"data": text})
                with pytest.raises(Untrusted):
                    await two.get_result()
                for value in trap("strike"), trap("strike") + b"\n" + raw.partition(b"\n")[2]:
                    struck = {
                        "direction": "strike",
                        "function": "first",
                        "parameter": "value",
                        "operator": "==",
                    }
                    await redis.xadd(docket.keys.strikes, {**struck, "value": value})
                assert await docket.strikes() == []
                await redis.hset(docket.runs_key("two"), mapping={"state": "failed", "error": "forged"})
            with pytest.raises(Untrusted):
                await docket.retry("two")
            async with opened(url, key=None) as without_keys:
                without_keys.strike_list.trust_nobody()  # as commands and dashboards do
                await without_keys.retry("two")
            async with Worker(docket) as worker:
                await worker.run_until_finished()
        await two.sync()
        assert two.state is ExecutionState.FAILED
        assert TRACES == []
        assert counts.refused >= len(forged) + 5
        assert await one.get_result() == "1"
