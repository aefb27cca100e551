"""The same somebody, wherever else the bytes of calls and results stand, or words that workers act on."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import anyio
import pytest

from docket import Docket, Execution, Worker, clock
from docket.errors import KeyUnreadable, Untrusted
from docket.execution import ExecutionState
from tests.trust.forging import FORGED, PATIENCE, Forger, drained, first, forger_on, limited, opened
from tests.trust.traps import TRACES, counted, trap

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.pairs(("asyncio", "redis"), ("trio", "memory"), ("uvloop", "redis")),
]

#: Those that cost a group each, or many events.
SOME = max(10, FORGED // 20)

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def no_traces() -> None:
    TRACES.clear()


async def failing(value: str) -> None:
    raise ValueError(value)


async def test_kept_failures_are_neither_signed_anew_nor_run(url: str) -> None:
    async with opened(url) as docket, opened(url, key=None) as without_keys:
        without_keys.strike_list.trust_nobody()  # as commands and dashboards do
        docket.register(failing)
        forger = await forger_on(docket)
        await docket.add(failing, key="real")("real")
        await drained(docket)
        async with docket.redis() as redis:
            kept = await redis.hgetall(docket.keys.failure("real"))
            await docket.discard("real")
            for number in range(FORGED):
                message = forger.one(number)
                fields = {**kept, **{b"m:" + name: value for name, value in message.items()}}
                key = message[b"key"].decode()
                await redis.hset(docket.keys.failure(key), mapping=fields)
                await redis.zadd(docket.keys.failures, {key: int(fields[b"failed_at"])})
        with anyio.fail_after(PATIENCE):
            with counted() as counts:
                retried = await docket.retry_all()
            assert (retried.done, retried.skipped) == (0, {"not trusted": FORGED})
            assert counts.refused == FORGED
            assert (await without_keys.retry_all()).done == FORGED  # it looks at nothing
            with counted() as counts:
                await drained(docket)
            assert counts.refused == FORGED
        assert TRACES == []


async def line_up(docket: Docket, forger: Forger, limit: str) -> None:
    """Put forged ones into a row of waiters, each with a record that says that it waits there."""
    row = f"{limit}:waiters"
    async with docket.redis() as redis:
        for number in range(FORGED):
            message: Any = forger.one(number)
            entry = await redis.xadd(row, message)
            record: Any = {
                b"state": "scheduled", b"known": 1, b"waiter_stream": row, b"waiter_entry_id": entry,
                **{name: message[name] for name in (b"function", b"args", b"kwargs", b"generation")},
            }  # fmt: skip
            await redis.hset(docket.runs_key(message[b"key"].decode()), mapping=record)


async def test_who_waits_for_a_limit(url: str) -> None:
    async with opened(url) as docket:
        limit = docket.keys.slots("limited")
        await line_up(docket, await forger_on(docket, limited), limit)
        async with docket.redis() as redis:
            await redis.sadd(docket.keys.waiting, limit)
            await redis.hset(docket.keys.limits, limit, f"60000 1:{len(limit)}:{limit}")
        real = await docket.add(limited)("real")
        with counted() as counts, anyio.fail_after(PATIENCE):
            await drained(docket)
        assert counts.refused == FORGED
        assert TRACES == []
        assert await real.get_result() == "real"


async def test_who_waits_for_the_end_of_a_pause(url: str) -> None:
    async with opened(url) as docket:
        await docket.pause("first")
        await line_up(docket, await forger_on(docket), docket.keys.pause("first"))
        real = await docket.add(first)("real")
        await docket.resume("first")
        with counted() as counts, anyio.fail_after(PATIENCE):
            await drained(docket)
        assert counts.refused == FORGED
        assert TRACES == []
        assert await real.get_result() == "real"


class Shelf:
    """A storage for results outside of Redis, which others may write to as well."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}

    async def get(self, key: str, *, collection: str | None = None) -> dict[str, Any] | None:
        return self.kept.get(key)

    async def put(
        self, key: str, value: Mapping[str, Any], *, collection: str | None = None, ttl: float | None = None
    ) -> None:
        self.kept[key] = dict(value)


async def test_results_and_exceptions_in_a_storage_elsewhere(url: str) -> None:
    shelf = Shelf()
    async with opened(url, result_storage=shelf) as docket:
        docket.register(failing)
        forger = await forger_on(docket)
        one, two = await docket.add(first, key="one")("1"), await docket.add(failing, key="two")("2")
        await drained(docket)
        real, other = (base64.b64decode(shelf.kept[f"{key}:1"]["data"]) for key in ("one", "two"))
        with counted() as counts:
            for number in range(FORGED):
                execution, key, held, moved = (
                    (one, "one:1", real, other) if number % 2 else (two, "two:1", other, real)
                )
                forged = forger.result(number // 2, held, moved)
                shelf.kept[key] = {"data": base64.b64encode(forged).decode()}
                with pytest.raises(Untrusted):
                    await execution.get_result()
        assert counts.refused == FORGED
        assert TRACES == []


async def test_children_of_a_task_group_and_what_they_are_said_to_have_returned(url: str) -> None:
    """A parent that is told that a child has completed, with a result of a stranger's, does not open that."""

    async def parent(number: int) -> list[str]:
        async with docket.task_group() as group:
            child = await group.add(first, clock.now() + HOUR, key=f"child-{number}")("real")
            await forge(child, number)
        with pytest.raises(Untrusted):
            await child.get_result()
        return [child.state.value]

    async def forge(child: Execution[Any], number: int) -> None:
        result = base64.b64encode(forger.result(number, real, other)).decode()
        shelf.kept[f"{child.key}:1"] = {"data": result}
        record = {
            "state": "completed",
            "result_key": f"{child.key}:1",
            "completed_at": clock.now().isoformat(),
        }
        async with docket.redis() as redis:
            await redis.hset(docket.runs_key(child.key), mapping=record)  # pyright: ignore[reportArgumentType]
            [group] = [
                name async for name in redis.scan_iter(f"{docket.name}:group:*") if await has(name, child)
            ]
            await redis.zadd(group, {child.key: 1})
            await redis.publish(group, f"completed {child.key}")
            for word in forged_words(number):
                await redis.publish(group, word)

    async def has(name: bytes, child: Execution[Any]) -> bool:
        async with docket.redis() as redis:
            return await redis.zscore(name, child.key) is not None

    shelf = Shelf()
    async with opened(url, result_storage=shelf) as docket:
        docket.register(parent)
        forger = await forger_on(docket)
        await docket.add(first, key="one")("1")
        await docket.add(first, key="two")("2")
        await drained(docket)
        real, other = (base64.b64decode(shelf.kept[f"{key}:1"]["data"]) for key in ("one", "two"))
        with counted() as counts, anyio.fail_after(PATIENCE):
            parents = [await docket.add(parent)(number) for number in range(SOME)]
            async with Worker(docket) as worker, anyio.create_task_group() as group:
                group.start_soon(worker.run_forever)
                for each in parents:
                    assert await each.get_result() == ["completed"]
                group.cancel_scope.cancel()
        assert counts.refused == SOME
        assert TRACES == []


async def test_a_forged_child_fails_its_group_and_harms_no_other(url: str) -> None:
    async def parent(number: int) -> None:
        async with docket.task_group() as group:
            child = await group.add(first, clock.now() + HOUR, key=f"child-{number}")("real")
            async with docket.redis() as redis:
                fields = {name: forger.one(number)[name] for name in (b"function", b"args", b"kwargs")}
                for name in docket.parked_task_key(child.key), docket.runs_key(child.key):
                    await redis.hset(name, mapping=fields)  # pyright: ignore[reportArgumentType]
            await docket.run_now(child.key)

    async with opened(url) as docket:
        docket.register(parent)
        forger = await forger_on(docket)
        with counted() as counts, anyio.fail_after(PATIENCE):
            parents = [await docket.add(parent)(number) for number in range(SOME)]
            await drained(docket)
            for each in parents:
                await each.sync()
                assert each.state is ExecutionState.FAILED
        assert counts.refused == SOME
        assert TRACES == []


def forged_words(number: int) -> list[bytes]:
    """What nobody has said on a channel, and one that is taken seriously would act on."""
    key, states = b"forged-%d" % number, ("completed", "failed", "running", "cancelled", "dancing")
    state = {
        "type": "state",
        "key": key.decode(),
        "state": states[number % 5],
        "result_key": "one:1",
        "error": 7,
    }
    progress = {
        "type": "progress",
        "key": key.decode(),
        "current": [trap("event").decode("latin-1")],
        "total": 1e999,
    }
    return [
        trap("event"), json.dumps(state).encode(), json.dumps(progress).encode(), b"group " + key + b" \xff",
        b"due nan", b"due %d" % number, b"expires -1", "expires \u00b2".encode(), b"expires " + b"9" * 400,
        b"finished", b"limit " + key,
        b"paused " + key, b"resumed " + key, b"claimed \xff", b"completed " + key, b"failed", b"\xff\x00",
    ]  # fmt: skip


async def test_events_make_no_result_and_words_on_channels_end_no_worker(url: str) -> None:
    began, go_on = anyio.Event(), anyio.Event()

    async def waits(value: str) -> str:
        began.set()
        await go_on.wait()
        return value

    async with opened(url) as docket:
        docket.register(waits)
        real = await docket.add(waits, key="real")("real")
        got: list[str] = []

        async def follow() -> None:
            got.append(await real.get_result())

        with anyio.fail_after(PATIENCE):
            async with Worker(docket) as worker, anyio.create_task_group() as group, docket.redis() as redis:
                group.start_soon(worker.run_forever)
                group.start_soon(follow)
                await began.wait()
                keys = docket.keys
                channels = [
                    keys.state_channel("real"),
                    keys.progress("real"),
                    keys.wake,
                    keys.group("forged"),
                ]
                for number in range(SOME):
                    for word in forged_words(number):
                        await redis.publish(channels[number % len(channels)], word)
                last = await docket.add(first)("last")
                assert await last.get_result() == "last"
                go_on.set()
                while not got:
                    await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
        assert (TRACES, got) == ([], ["real"])


SAID: list[bytes] = [
    trap("listing"), b"", b"\xff\xfe", b"{", b"null", b"[]", b"7", b'"text"', b'{"since": 7, "reason": [], "by": {}}',
    b"[" * 50_000, b'{"parameters": 7, "doc": ["x"], "attempts": 1e999, "timeout": "\\ud800", "limits": {}}',
    b"9" * 5000,
    b'{"every": "x", "cron": [], "tz": 7, "at": null}', b"<script>alert(1)</script>\x1b[2J", b"\t" * 30,
]  # fmt: skip


async def test_what_workers_are_said_to_say_of_their_tasks(url: str) -> None:
    """Lists, figures and descriptions have no signature: whatever they are, who looks at them runs nothing."""
    async with opened(url) as docket:
        real = await docket.add(first, key="real")("real")
        await drained(docket)
        await docket.add(first, clock.now() + HOUR, key="later")("later")
        keys = docket.keys
        hashes = [
            keys.described_tasks,
            keys.recurrences,
            keys.pauses,
            keys.failure("real"),
            keys.limits,
            keys.failure_totals,
        ]
        scored = [keys.seen_tasks, keys.ended_tasks, keys.failures, keys.retrying, keys.draining, keys.workers,
                  keys.chains("first"), keys.expiring, keys.groups, keys.task_workers("first")]  # fmt: skip
        async with docket.redis() as redis:
            for number, value in enumerate(SAID):
                for name in hashes:
                    for field in "first", "*", "failed_at", "m:args", "traceback", "type", "next_at":
                        await redis.hset(name, field, value)
                for name in scored:
                    await redis.zadd(name, {value: 1e300 if number % 2 else -1.0})
                await redis.xadd(keys.history("first"), {"r": value})
                await redis.xadd(
                    keys.dead, {"dead:id": value, "dead:reason": value, "dead:at": value, "key": value}
                )
                await redis.sadd(keys.worker_tasks("w"), value)
                await redis.hset(docket.runs_key("later"), mapping=dict.fromkeys(FIELDS, value))  # fmt: skip
                for look in looks(docket):
                    with suppress(KeyUnreadable):
                        await look
        assert TRACES == []
        assert await real.get_result() == "real"


async def test_numbers_in_records_and_messages_end_no_worker(url: str) -> None:
    began, go_on = anyio.Event(), anyio.Event()

    async def waits(value: str) -> str:
        began.set()
        await go_on.wait()
        return value

    huge = b"9" * 5000
    async with opened(url) as docket:
        docket.register(waits)
        real = await docket.add(waits, key="real")("real")
        soon = clock.now() + timedelta(milliseconds=300)
        short = [
            await docket.add(first, clock.now() + HOUR, key=f"e{number}", expires=soon)("")
            for number in range(3)
        ]
        with anyio.fail_after(PATIENCE):
            async with docket.redis() as redis, Worker(docket) as worker, anyio.create_task_group() as group:
                for each, number in zip(short, (huge, b"-1", b"\xff"), strict=True):
                    await redis.hset(
                        docket.runs_key(each.key), mapping={"generation": number, "when": number}
                    )
                    for kind in docket.parked_task_key(each.key), docket.runs_key(each.key):
                        await redis.hset(kind, mapping={"docket:expires": b"+" + number})
                group.start_soon(worker.run_forever)
                await began.wait()
                await redis.hset(docket.runs_key("real"), mapping={"cancel_requested": huge})
                await docket.snapshot()
                for _ in range(3):
                    await redis.client_kill_filter(_type="pubsub") if not docket.client.is_memory else None
                    assert await (await docket.add(first)("on")).get_result() == "on"
                await anyio.sleep_until(anyio.current_time() + 0.4)  # until they have expired, or would have
                assert await (await docket.add(first)("on")).get_result() == "on"
                go_on.set()
                assert await real.get_result() == "real"
                group.cancel_scope.cancel()


async def test_a_limit_or_a_row_that_is_not_the_dockets_is_left_alone(url: str) -> None:
    """A worker may write more keys than who writes to its docket: what is said to be a limit is none of another."""
    async with opened(url) as docket:
        forger = await forger_on(docket, limited)
        foreign = "billing:queue", "billing:concurrency:x", docket.keys.slots("limited").upper()
        async with docket.redis() as redis:
            for name in foreign:
                await redis.zadd(name, {"theirs": 1.0})
                await redis.zadd(f"{name}:woken", {"theirs": 1.0})
                await redis.hset(f"{name}:owners", mapping={"theirs": "1-0", "forged-7": "1-0"})
                packed = f"60000 1:{len(name)}:{name}"
                await redis.hset(docket.keys.limits, name, packed)
                await redis.sadd(docket.keys.waiting, name)
                await redis.publish(docket.keys.wake, f"limit {name}")
                row = docket.keys.slots("limited") + ":waiters"
                message: Any = {**forger.one(7), b"docket:limits": packed, b"docket:held": packed}
                entry = await redis.xadd(row, message)
                record: Any = {
                    **message, b"state": b"scheduled", b"waiter_stream": row, b"waiter_entry_id": entry,
                    b"reserved": f"1 {packed}", b"known": 1,
                }  # fmt: skip
                await redis.hset(docket.runs_key("forged-7"), mapping=record)
                await redis.xadd(f"{name}:stream", {"their": "entry"}, id="7-7")
                struck: Any = {**record, b"waiter_stream": f"{name}:stream", b"waiter_entry_id": "7-7"}
                await redis.hset(docket.runs_key("struck"), mapping=struck)
                await docket.cancel("struck")
            await redis.sadd(docket.keys.waiting, docket.keys.slots("limited"))
            limit = docket.keys.slots("limited")
            await redis.hset(docket.keys.limits, limit, f"60000 1:{len(limit)}:{limit}")
            before = [await everything(redis, name) for name in foreign]
            await docket.store.admissions.sweep()  # as workers do now and then
            real = await docket.add(limited)("real")
            with anyio.fail_after(PATIENCE):
                await drained(docket)
            assert [await everything(redis, name) for name in foreign] == before
            assert await real.get_result() == "real"


async def everything(redis: Any, name: str) -> list[Any]:
    return [
        await redis.zrange(name, 0, -1, withscores=True), await redis.zrange(f"{name}:woken", 0, -1),
        await redis.hgetall(f"{name}:owners"), await redis.xrange(f"{name}:stream"),
        await redis.exists(f"{name}:waiters"),
    ]  # fmt: skip


#: Of a record: what is of task groups, limits and workers.
FIELDS = (
    "group",
    "groups",
    "opened",
    "named",
    "nonce",
    "tried",
    "worker",
    "waiter_stream",
    "waiter_entry_id",
)


def looks(docket: Docket) -> list[Any]:
    """Everything that a program can ask of a docket without acting on it."""
    return [
        docket.known_tasks(), docket.known_task("first"), docket.schedules(), docket.pauses(), docket.failures(),
        docket.retrying(), docket.count_failures(), docket.failure("real"), docket.history(), docket.throughput(),
        docket.depths(), docket.counts(), docket.dead_letters(), docket.workers(), docket.task_workers("first"),
        docket.concurrency(), docket.snapshot(), docket.get_execution("later"), docket.tree("later"), docket.strikes(),
        docket.executions("later"),
    ]  # fmt: skip
