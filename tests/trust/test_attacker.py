"""Somebody who may write to the server and has no key: nothing of theirs is opened, nobody dies of it, each is counted.

A few hundred variants, or as many as ``DOCKET_FORGED`` says.
"""

from __future__ import annotations

import base64
import os
import random
from datetime import timedelta

import anyio
import pytest

from docket import Docket, Worker, clock
from docket.errors import Untrusted
from docket.execution import ExecutionState
from tests.trust.traps import KEY, OTHER, TRACES, counted, trap

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"), ("uvloop", "redis")),
]

FORGED = int(os.environ.get("DOCKET_FORGED", "300"))

Fields = dict[bytes, bytes]


async def first(value: str, more: int = 0) -> str:
    return value


async def second(value: str, more: int = 0) -> str:
    return value


def opened(url: str, key: str | None = KEY, name: str = "attacked") -> Docket:
    docket = Docket(name, url, signing_keys=None if key is None else [key])
    docket.register(first)
    docket.register(second)
    return docket


async def signed_calls(docket: Docket, count: int) -> list[Fields]:
    """Messages that are signed, as they wait on the queue of a docket, which is cleared again."""
    found: list[Fields] = []
    for number in range(count):
        task = (first, second)[number % 2]
        execution = await docket.add(task, clock.now() + timedelta(hours=1), key=f"real-{number}")(
            f"value {number}", more=number
        )
        found.append(execution.as_message())
    return found


class Forger:
    """Makes messages that nobody has signed as they are."""

    def __init__(self, luck: random.Random, calls: list[Fields], others: list[Fields]) -> None:
        self.luck, self.calls, self.others = luck, calls, others

    def one(self, number: int) -> Fields:
        message = dict(self.luck.choice(self.calls))
        ways = (
            self.trapped, self.trapped_tag, self.trapped_names, self.cut, self.bent, self.repeated, self.renamed,
            self.moved, self.crossed, self.foreign,
        )  # fmt: skip
        ways[number % len(ways)](message)
        message[b"generation"] = b"1"
        if message[b"key"].startswith(b"real-"):
            message[b"key"] = b"forged-%d" % number  # transplanted besides
        return message

    def trapped(self, message: Fields) -> None:
        message[b"args"] = trap("args")

    def trapped_tag(self, message: Fields) -> None:
        message[b"args"] = trap("args") + b"\n" + message[b"args"].partition(b"\n")[2]

    def trapped_names(self, message: Fields) -> None:
        message[b"kwargs"] = trap("kwargs")

    def cut(self, message: Fields) -> None:
        message[b"args"] = message[b"args"][: self.luck.randrange(len(message[b"args"]))]

    def bent(self, message: Fields) -> None:
        args = bytearray(message[b"args"])
        args[self.luck.randrange(len(args))] ^= 1 << self.luck.randrange(8)
        message[b"args"] = bytes(args)

    def repeated(self, message: Fields) -> None:
        message[b"args"] = trap("args") + message[b"args"] * 2

    def renamed(self, message: Fields) -> None:
        message[b"function"] = {b"first": b"second", b"second": b"first"}[message[b"function"]]

    def moved(self, message: Fields) -> None:
        message[b"key"] = b"moved-%d" % self.luck.randrange(10**9)

    def crossed(self, message: Fields) -> None:
        other = self.luck.choice([each for each in self.calls if each[b"kwargs"] != message[b"kwargs"]])
        message[b"kwargs"] = other[b"kwargs"]

    def foreign(self, message: Fields) -> None:
        message.update(self.luck.choice(self.others))


async def test_of_all_that_is_forged_nothing_is_opened(url: str) -> None:
    TRACES.clear()
    luck = random.Random(7)
    async with (
        opened(url) as docket,
        opened(url, OTHER) as other_key,
        opened(url, KEY, "elsewhere") as elsewhere,
    ):
        calls = await signed_calls(docket, 10)
        others = await signed_calls(elsewhere, 5)
        await docket.clear()
        others += await signed_calls(other_key, 5)
        await docket.clear()
        forger = Forger(luck, calls, others)
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
            with counted() as counts, anyio.fail_after(60 + FORGED / 20):
                async with Worker(docket) as worker:
                    await worker.run_until_finished()
            assert counts.refused == FORGED
            assert await redis.xlen(docket.keys.dead) >= min(FORGED, 1000)
        assert TRACES == []
        assert [await each.get_result() for each in [*good, late]] == ["0", "1", "2", "3", "4", "late"]


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
