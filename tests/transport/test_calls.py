"""The client's own ways to the server: call, call_many, run, run_many, dedicated."""

from __future__ import annotations

import anyio
import pytest
from redis.exceptions import DataError, RedisError, ResponseError

from docket.transport import Client, Lua

pytestmark = pytest.mark.anyio

ECHO = Lua("return ARGV[1]")
PICK = Lua("return {KEYS[1], ARGV[1], #ARGV}")


async def test_a_call_returns_the_raw_reply(client: Client) -> None:
    assert await client.call("SET", "name", b"value") == b"OK"
    assert await client.call("GET", "name") == b"value"
    assert await client.call("GET", "nothing") is None
    assert await client.call("RPUSH", "list", 1, 2.5, "é", memoryview(b"\x00")) == 4
    assert await client.call("LRANGE", "list", 0, -1) == [b"1", b"2.5", "é".encode(), b"\x00"]


async def test_a_call_raises_an_error_reply(client: Client) -> None:
    await client.call("SET", "name", "text")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.call("LPUSH", "name", "item")


async def test_what_redis_py_refuses_to_send_is_refused_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(DataError):
        await client.call("SET", "name", None)  # type: ignore[arg-type]
    assert await client.call("PING") == b"PONG"


async def test_call_many_returns_replies_in_order_with_errors_in_their_places(client: Client) -> None:
    first, error, last = await client.call_many([("ECHO", "a"), ("NOSUCH", "b"), ("ECHO", "c")])
    assert (first, last) == (b"a", b"c")
    assert isinstance(error, ResponseError)
    assert "NOSUCH" in str(error)


async def test_call_many_of_nothing_and_of_one(client: Client) -> None:
    assert await client.call_many([]) == []
    assert await client.call_many([("ECHO", "a")]) == [b"a"]


async def test_a_script_runs_whether_the_server_knows_it_or_not(client: Client) -> None:
    assert await client.run(PICK, ["key"], ["x", 2]) == [b"key", b"x", 2]
    assert await client.run(PICK, ["key"], ["x", 2]) == [b"key", b"x", 2]
    await client.script_flush()
    assert await client.run(PICK, ["key"], ["x", 2]) == [b"key", b"x", 2]
    with pytest.raises(ResponseError):
        await client.run(Lua("return redis.call('NOSUCH')"), [], [])


async def test_many_callers_of_an_unknown_script_load_it_once(redis: Client) -> None:
    await redis.run(ECHO, [], ["warm"])
    await redis.script_flush()
    await redis.config_resetstat()
    got: list[object] = []

    async def one(number: int) -> None:
        got.append(await redis.run(ECHO, [], [number]))

    async with anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(one, number)
    assert sorted(got) == sorted(b"%d" % number for number in range(50))  # type: ignore[type-var]
    stats = await redis.info("commandstats")
    assert (
        stats.get("cmdstat_script|load", stats.get("cmdstat_script"))["calls"] == 1
    )  # Redis 6 knows no subcommands


async def test_run_many_runs_a_script_for_each_and_loads_it_if_need_be(client: Client) -> None:
    calls = [([f"key{number}"], [number]) for number in range(10)]
    expected = [[f"key{number}".encode(), b"%d" % number, 1] for number in range(10)]
    assert await client.run_many(PICK, calls) == expected
    assert await client.run_many(PICK, calls) == expected
    await client.script_flush()
    assert await client.run_many(PICK, calls) == expected
    assert await client.run_many(PICK, []) == []


async def test_run_many_returns_errors_in_their_places(client: Client) -> None:
    script = Lua("if ARGV[1] == 'bad' then return redis.error_reply('NO such') end return ARGV[1]")
    first, error, last = await client.run_many(script, [((), ("a",)), ((), ("bad",)), ((), ("b",))])
    assert (first, last) == (b"a", b"b")
    assert isinstance(error, RedisError)


async def test_a_dedicated_connection_blocks_nobody_and_is_used_again(redis: Client) -> None:
    async with redis.dedicated() as connection:
        first = await connection.call("CLIENT", "ID")
        assert first != await redis.call("CLIENT", "ID")
    async with redis.dedicated() as connection:
        assert await connection.call("CLIENT", "ID") == first


async def test_a_dedicated_connection_on_which_something_is_owed_is_not_used_again(client: Client) -> None:
    with anyio.move_on_after(0.05):  # long enough to be blocked in the server; a clock is what cancels it
        async with client.dedicated() as connection:
            await connection.call("BLPOP", "nothing", 0)
    assert connection.error is not None
    async with client.dedicated() as another:
        assert await another.call("ECHO", "clean") == b"clean"


async def test_no_more_than_max_connections_are_dedicated_at_a_time(redis_url: str) -> None:
    async with Client.from_url(f"{redis_url}?max_connections=2") as client:
        most = now = 0

        async def one() -> None:
            nonlocal most, now
            async with client.dedicated() as connection:
                now += 1
                most = max(most, now)
                await connection.call("PING")
                now -= 1

        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(one)
        assert most == 2


async def test_many_callers_cost_few_system_calls(redis: Client) -> None:
    """The server counts how often it reads from a connection."""

    async def reads() -> int:
        return int((await redis.info("stats"))["total_reads_processed"])

    async def one() -> None:
        for _ in range(20):
            await redis.call("PING")

    await redis.ping()
    before = await reads()
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(one)
    assert await reads() - before < 2000 / 10


async def test_a_command_that_would_change_the_shared_connection_is_refused(client: Client) -> None:
    for command in (
        ("MULTI",),
        ("SELECT", 1),
        ("SUBSCRIBE", "x"),
        ("CLIENT", "SETNAME", "x"),
        ("CLIENT SETNAME", "x"),
    ):
        with pytest.raises(RedisError, match="share"):
            await client.execute_command(*command)
    assert await client.ping()
