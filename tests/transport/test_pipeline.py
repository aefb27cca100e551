"""Pipelines: queueing, transactions, watching, scripts."""

from __future__ import annotations

import anyio
import pytest
from redis.exceptions import RedisError, ResponseError, WatchError

from docket.transport import Client

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("transaction", [True, False])
async def test_a_pipeline_returns_what_the_methods_would(client: Client, transaction: bool) -> None:
    async with client.pipeline(transaction=transaction) as pipe:
        pipe.set("a", 1).incr("a")
        pipe.hset("h", mapping={"x": 1})
        pipe.hgetall("h")
        pipe.mget([])
        pipe.get("none")
        assert len(pipe) == 6
        assert await pipe.execute() == [True, 2, 1, {b"x": b"1"}, [], None]
        assert len(pipe) == 0
        assert await pipe.execute() == []


async def test_awaiting_a_queued_command_only_queues_it(client: Client) -> None:
    pipe = client.pipeline()
    assert await pipe.set("a", 1) is pipe
    assert await client.get("a") is None
    assert await pipe.execute() == [True]


@pytest.mark.parametrize("transaction", [True, False])
async def test_the_first_error_is_raised_and_names_its_command(client: Client, transaction: bool) -> None:
    pipe = client.pipeline(transaction=transaction)
    pipe.set("a", "text").lpush("a", 1).get("a")
    with pytest.raises(ResponseError, match=r"Command # 2 \(LPUSH a 1\) of pipeline caused error.*WRONGTYPE"):
        await pipe.execute()


@pytest.mark.parametrize("transaction", [True, False])
async def test_errors_may_be_returned_in_their_places(client: Client, transaction: bool) -> None:
    pipe = client.pipeline(transaction=transaction)
    pipe.set("a", "text").lpush("a", 1).get("a")
    first, error, last = await pipe.execute(raise_on_error=False)
    assert (first, last) == (True, b"text")
    assert isinstance(error, ResponseError)


async def test_a_refused_command_aborts_the_transaction(client: Client) -> None:
    pipe = client.pipeline()
    pipe.set("a", 1).execute_command("NOSUCH")
    with pytest.raises(ResponseError, match=r"Command # 2.*(?i:unknown command)"):
        await pipe.execute()
    assert await client.get("a") is None


async def test_transactions_of_many_callers_are_not_interleaved(client: Client) -> None:
    async def one() -> None:
        first, second, third = await client.pipeline().incr("n").incr("n").get("n").execute()
        assert first % 2 == 1
        assert (second, third) == (first + 1, b"%d" % (first + 1))

    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(one)


async def test_scripts_in_a_pipeline_are_loaded_before_it_runs(client: Client) -> None:
    script = client.register_script("return ARGV[1]")
    for _ in range(2):
        pipe = client.pipeline()
        assert await script(args=["a"], client=pipe) is pipe
        pipe.ping()
        assert await pipe.execute() == [b"a", True]
        await client.script_flush()
    assert await script(keys=["k"], args=["b"]) == b"b"


async def test_an_unchanged_watched_key_lets_the_transaction_run(client: Client) -> None:
    await client.set("n", 1)
    async with client.pipeline() as pipe:
        await pipe.watch("n")
        before = int(await pipe.get("n"))  # type: ignore[arg-type]
        pipe.multi()
        pipe.set("n", before + 1)
        assert await pipe.execute() == [True]
    assert await client.get("n") == b"2"


async def test_a_changed_watched_key_stops_the_transaction(client: Client) -> None:
    async with client.pipeline() as pipe:
        await pipe.watch("n")
        await client.set("n", "other")
        pipe.multi()
        pipe.set("n", "mine")
        with pytest.raises(WatchError):
            await pipe.execute()
    assert await client.get("n") == b"other"


async def test_unwatched_keys_may_change(client: Client) -> None:
    async with client.pipeline() as pipe:
        await pipe.watch("n")
        await pipe.unwatch()
        await client.set("n", "other")
        pipe.set("n", "mine")
        assert await pipe.execute() == [True]


async def test_a_connection_with_watched_keys_is_not_handed_to_others(client: Client) -> None:
    async with client.pipeline() as pipe:
        await pipe.watch("n")
    await client.set("n", 1)
    async with client.dedicated() as connection:
        assert await connection.call_many([("MULTI",), ("SET", "n", 2), ("EXEC",)]) == [
            b"OK",
            b"QUEUED",
            [b"OK"],
        ]


async def test_a_transaction_is_tried_again_until_its_keys_hold_still(client: Client) -> None:
    tries = 0

    async def increase(pipe: object) -> None:
        nonlocal tries
        tries += 1
        value = int(await pipe.get("n") or 0)  # type: ignore[attr-defined]
        if tries < 3:
            await client.incr("n")
        pipe.multi()  # type: ignore[attr-defined]
        pipe.set("n", value + 10)  # type: ignore[attr-defined]

    assert await client.transaction(increase, "n") == [True]
    assert (tries, await client.get("n")) == (3, b"12")


async def test_what_would_hold_back_or_change_the_shared_connection_is_refused(client: Client) -> None:
    pipe = client.pipeline()
    with pytest.raises(RedisError):
        pipe.blpop(["queue"], 1)
    with pytest.raises(RedisError):
        pipe.xread({"x": "0"}, block=1)
    with pytest.raises(RedisError):
        pipe.execute_command("SELECT", 1)
