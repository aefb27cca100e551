"""The same somebody on the lanes of levels, in the rows of those that take turns, and beside runs that are followed."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from docket import Docket, FairShare
from tests.trust.forging import FORGED, PATIENCE, Fields, drained, first, forger_on, opened
from tests.trust.traps import TRACES, counted, trap

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"), ("uvloop", "redis")),
]

LEVELS = "high", "low", "high-turns", "normal-turns", "low-turns"

#: Scores that no row has.
SCORES = (float("-inf"), float("inf"), -1e300, 0.0, 1e300, 7.25)


@pytest.fixture(autouse=True)
def no_traces() -> None:
    TRACES.clear()


async def shared(value: str, more: int = 0, share: FairShare = FairShare("value")) -> str:
    return value


def record_of(message: Fields, state: str, **more: Any) -> Any:
    """A record that says that this is the call of its key."""
    call = {name: message[name] for name in (b"function", b"args", b"kwargs", b"generation")}
    return {b"state": state, b"known": 1, **call, **{name.encode(): each for name, each in more.items()}}


async def test_who_lies_on_a_lane(url: str) -> None:
    async with opened(url) as docket:
        forger = await forger_on(docket)
        real = [
            await docket.add(first, key=level, priority=level)(level) for level in ("high", "normal", "low")
        ]
        async with docket.redis() as redis:
            for number in range(FORGED):
                lane = number % len(LEVELS)
                message = forger.one(number)
                message[b"docket:lane"] = (b"high", b"low", b"normal", b"dancing")[number % 4]
                if number % 3 == 0:
                    message[b"docket:share"] = SHARES[number % len(SHARES)]
                entry = f"{9_000_000_000_000 + number}-{lane + 1}{number % 7:014}"
                record = record_of(message, "queued", stream_id=entry)
                await redis.hset(docket.runs_key(message[b"key"].decode()), mapping=record)
                await redis.xadd(docket.keys.lane(LEVELS[lane]), message, id=entry)  # pyright: ignore[reportArgumentType]
        late = await docket.add(first, key="late", priority="high")("late")
        with counted() as counts, anyio.fail_after(PATIENCE):
            await drained(docket)
        assert counts.refused == FORGED
        assert TRACES == []
        assert [await each.get_result() for each in (*real, late)] == ["high", "normal", "low", "late"]


#: What a message may say of whose turn it waits for.
SHARES = (
    b"1 value:x", b"+1 value:x", b"nan value:x", b"-1 value:x", b"0 value:x", b"9" * 400 + b" value:x",
    b"1e309 value:x", b"1 " + b"x" * 5000, b"1 a\xff:\x00", b"1 :", b"", b" ", trap("share"),
)  # fmt: skip


async def test_who_waits_for_a_turn(url: str) -> None:
    async with opened(url) as docket:
        docket.register(shared)
        forger = await forger_on(docket, shared)
        async with docket.redis() as redis:
            for number in range(FORGED):
                level, name = ("high", "normal", "low")[number % 3], f"value:{number % 50}"
                row = docket.keys.row(level, name) + ":waiters"
                message: Any = forger.one(number)
                message[b"docket:lane"], message[b"docket:share"] = level, SHARES[number % len(SHARES)]
                entry = await redis.xadd(row, message)
                record = record_of(message, "scheduled", waiter_stream=row, waiter_entry_id=entry)
                await redis.hset(docket.runs_key(message[b"key"].decode()), mapping=record)
                turns = docket.keys.turns(level)
                rows: Any = {name: SCORES[number % len(SCORES)], trap("row"): 1.0, f"nobody:{number}": -1.0}
                await redis.zadd(turns, rows)
                await redis.sadd(docket.keys.waiting, turns)
        real = [
            await docket.add(shared, key=f"{level}-{number}", priority=level)(f"{number % 2}")
            for level in ("high", "normal", "low")
            for number in range(2)
        ]
        with counted() as counts, anyio.fail_after(PATIENCE):
            await drained(docket)
        assert counts.refused == FORGED
        assert TRACES == []
        assert [await each.get_result() for each in real] == ["0", "1"] * 3
        async with docket.redis() as redis:
            assert not [key async for key in redis.scan_iter(f"{docket.name}:ops:turns:*")]


async def test_what_is_to_run_once_more(url: str) -> None:
    async with opened(url) as docket:
        forger = await forger_on(docket)
        generations = b"1000001", b"9" * 400, b"0", b"-1", b"1000002", b"x", b"7", b""
        async with docket.redis() as redis:
            for number in range(FORGED):
                message: Any = forger.one(number)
                key = message[b"key"].decode()
                generation = generations[number % len(generations)]
                record = record_of(
                    message, ("completed", "failed", "cancelled")[number % 3], successor=generation
                )
                del message[b"generation"]
                kept = {
                    b"s:generation": generation,
                    b"s:when": b"1",
                    b"s:ttl": b"-",
                    b"s:queue": b"",
                    **message,
                }
                await redis.hset(docket.runs_key(key), mapping=record)
                await redis.hset(docket.keys.successor(key), mapping=kept)
                await redis.zadd(docket.keys.successors, {key: SCORES[number % len(SCORES)]})
        real = await docket.add(first, key="real")("real")
        store = docket.store.claims("w")
        await store.create_group()
        while await redis_has(docket, docket.keys.successors):
            await store.sweeping.place_successors()
        with counted() as counts, anyio.fail_after(PATIENCE):
            await drained(docket)
        of_numbers = [number for number in range(FORGED) if number % 2 == 0]  # the others are placed nowhere
        assert counts.refused == len(of_numbers)
        assert TRACES == []
        assert await real.get_result() == "real"


async def redis_has(docket: Docket, name: str) -> bool:
    async with docket.redis() as redis:
        return bool(await redis.exists(name))
