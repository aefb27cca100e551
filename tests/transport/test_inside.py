"""Scripts on a server in this process: they are run as they are, and nobody can tell that from commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

import anyio
import pytest
from redis.exceptions import DataError, NoPermissionError, RedisError, ResponseError

from docket.memory import LEFT_TO_LUA, ErrorReply, Hash, Inside, LeftToLua
from docket.transport import Client, Lua
from tests.where import asyncio_and_trio

pytestmark = [pytest.mark.anyio, asyncio_and_trio]


class Colour(StrEnum):
    RED = "red"


ECHO = "return {KEYS, ARGV}"
ARGUMENTS: list[Any] = [
    "é\0\r\n", b"\xff\x00\r\n", "", b"", 0, -(2**63), 2**64 - 1, 0.1, -2.5, float("inf"), float("nan"), Colour.RED,
    memoryview(b"a-b-c")[::2], memoryview(b"abcd").cast("H"), bytearray(b"x"),
]  # fmt: skip

REPLIES = {
    "status": "return redis.status_reply('GOOD')",
    "nested": "return {1, 'two', {redis.status_reply('THREE'), {}}, false, true, 3.9}",
    "nothing": "return false",
    "an error in a list": "return {1, redis.error_reply('NOPERM this\\r\\nuser')}",
    "numbers": "return {-1, 0, 9007199254740993}",
    "a hash": "redis.call('HSET', 'h', 'a', 1) return redis.call('HGETALL', 'h')",
}


@pytest.fixture
async def memory(memory_url: str) -> AsyncIterator[Client]:
    async with Client.from_url(memory_url) as client:
        yield client


def seen(reply: Any) -> Any:
    """A reply, with the exceptions in it as their class and text, and the class of each value."""
    if isinstance(reply, list):
        return [seen(part) for part in reply]
    return (type(reply), str(reply) if isinstance(reply, RedisError) else reply)


async def test_arguments_arrive_as_the_server_would_read_them(memory: Client) -> None:
    by_itself = await memory.run(Lua(ECHO), ["k", b"\xff"], ARGUMENTS)
    assert by_itself == await memory.call("EVAL", ECHO, 2, "k", b"\xff", *ARGUMENTS)


@pytest.mark.parametrize("vouched", [False, True])
@pytest.mark.parametrize("value", [True, None, [1], 2**64, "\udc80"], ids=repr)
async def test_what_cannot_be_an_argument_is_refused_before_anything_runs(
    memory: Client, value: Any, vouched: bool
) -> None:
    lua = Lua("return redis.call('INCR', 'k')", vouched=vouched)
    with pytest.raises((DataError, UnicodeEncodeError)):
        await memory.run_many(lua, [([], []), ([], [value])])
    assert await memory.call("GET", "k") is None


async def test_large_arguments_and_replies_pass(memory: Client) -> None:
    large = b"\r\n$" * 3_000_000
    assert await memory.run(Lua("return {ARGV[1], #ARGV}"), [], [large, *["x"] * 7000]) == [large, 7001]


@pytest.mark.parametrize("text", REPLIES.values(), ids=REPLIES)
async def test_replies_are_those_of_the_command(memory: Client, text: str) -> None:
    assert seen(await memory.run(Lua(text), [], [])) == seen(await memory.call("EVAL", text, 0))


async def test_errors_are_raised_or_stand_in_their_places(memory: Client) -> None:
    lua = Lua("return redis.call(ARGV[1], 'k')")
    with pytest.raises(ResponseError, match="Unknown Redis command called from script script: "):
        await memory.run(lua, [], ["NONSENSE"])
    found = await memory.run_many(lua, [([], ["INCR"]), ([], ["LLEN"]), ([], ["INCR"])])
    assert (found[0], found[2]) == (1, 2)
    assert isinstance(found[1], ResponseError)
    assert str(found[1]).startswith("WRONGTYPE")


async def test_a_script_is_run_while_nobody_waits(memory: Client) -> None:
    async def after(name: str) -> None:
        await memory.run(Lua("return redis.call('RPUSH', 'l', ARGV[1])"), [], [name])

    await memory.call("RPUSH", "l", "first")
    with anyio.CancelScope() as cancelled:
        cancelled.cancel()
        await after("never")
    with anyio.CancelScope() as scope:
        await after("before the cancellation")
        scope.cancel()  # what was run is also reported
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(after, name)
    *first, a, b, c = await memory.lrange("l", 0, -1)
    assert first == [b"first", b"before the cancellation"]
    assert {a, b, c} == {b"a", b"b", b"c"}


async def test_a_script_does_not_overtake_what_was_sent_before(memory: Client) -> None:
    answers: list[Any] = []

    async def ask(*command: Any) -> None:
        answers.append(await memory.call(*command))

    async with anyio.create_task_group() as tasks, memory.another() as other:
        tasks.start_soon(ask, "BLPOP", "jobs", 0)  # on the connection that all share
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(memory.run, Lua("redis.call('RPUSH', 'jobs', 'script')"), [], [])
        await anyio.wait_all_tasks_blocked()
        assert await other.llen("jobs") == 0
        await other.rpush("jobs", "other")
    assert answers == [[b"jobs", b"other"]]
    assert await memory.lrange("jobs", 0, -1) == [b"script"]


async def test_a_script_runs_on_another_connection_once_the_server_has_hung_up(memory: Client) -> None:
    number: Any = await memory.call("CLIENT", "ID")
    async with memory.another() as other:
        await other.call("CLIENT", "KILL", "ID", number)
        assert await memory.run(Lua("return 1"), [], []) == 1
    assert await memory.call("CLIENT", "ID") != number


class Twin:
    """Stands for a script that counts up a field; knows each call that it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[bytes], list[bytes]]] = []

    def __call__(self, inside: Inside, keys: list[bytes], argv: list[bytes]) -> list[bytes] | LeftToLua:
        self.calls.append((keys, argv))
        if argv[0] == b"rare":
            return LEFT_TO_LUA
        if argv[0] == b"refused":
            raise ErrorReply(b"NOPERM not you")
        inside.set_fields(keys[0], {b"by": b"twin"})
        inside.publish(b"news", b"twin")
        return [b"twin", *(inside.get(keys[0], Hash) or {})]

    def lua(self) -> Lua:
        text = "redis.call('HSET', KEYS[1], 'by', 'lua') return {'lua'}"
        return Lua(text, twin_of=lambda sha: self)


async def test_a_twin_runs_in_place_of_its_script_and_leaves_it_what_is_rare(memory: Client) -> None:
    twin = Twin()
    async with memory.pubsub() as news:
        await news.subscribe("news")
        assert await memory.run(twin.lua(), ["h"], ["common"]) == [b"twin", b"by"]
        assert (await news.receive()).payload == b"twin"
    assert await memory.hgetall("h") == {b"by": b"twin"}
    assert await memory.run(twin.lua(), ["h"], ["rare"]) == [b"lua"]
    assert await memory.hgetall("h") == {b"by": b"lua"}
    assert twin.calls == [([b"h"], [b"common"]), ([b"h"], [b"rare"])]


async def test_an_error_of_a_twin_is_a_reply(memory: Client) -> None:
    twin = Twin()
    with pytest.raises(NoPermissionError, match="not you"):
        await memory.run(twin.lua(), ["h"], ["refused"])
    assert await memory.call("EXISTS", "h") == 0


async def test_a_command_knows_no_twin(memory: Client) -> None:
    twin = Twin()
    assert await memory.call("EVAL", twin.lua().text, 1, "h", "common") == [b"lua"]
    assert not twin.calls
