"""redis-py's command methods give what redis-py's own client gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import redis as redis_py
from redis.exceptions import ResponseError

from docket.transport import Client

pytestmark = pytest.mark.anyio

#: One after the other on an empty database; each is compared.
SESSION: list[Callable[[Any], Any]] = [
    lambda c: c.ping(),
    lambda c: c.set("a", "1", ex=100),
    lambda c: c.set("a", "2", nx=True),
    lambda c: c.set("b", b"\xff", px=100_000),
    lambda c: c.get("b"),
    lambda c: c.mget(["a", "b", "none"]),
    lambda c: c.mget([]),
    lambda c: c.ttl("a"),
    lambda c: c.expire("a", 50),
    lambda c: c.persist("a"),
    lambda c: c.type("a"),
    lambda c: c.exists("a", "b", "none"),
    lambda c: c.incr("count"),
    lambda c: c.incrbyfloat("float", 1.5),
    lambda c: c.hset("h", mapping={"x": 1, "y": "é"}),
    lambda c: c.hgetall("h"),
    lambda c: c.hmget("h", ["x", "none"]),
    lambda c: c.hincrby("h", "x", 2),
    lambda c: c.hexists("h", "x"),
    lambda c: sorted_later(c.hkeys("h")),
    lambda c: c.hdel("h", "y"),
    lambda c: c.rpush("l", 1, 2, 3),
    lambda c: c.lrange("l", 0, -1),
    lambda c: c.blpop(["l"], 1),
    lambda c: c.sadd("s", "m"),
    lambda c: c.smembers("s"),
    lambda c: c.sismember("s", "m"),
    lambda c: c.zadd("z", {"m": 1.5, "n": 2}),
    lambda c: c.zrange("z", 0, -1, withscores=True),
    lambda c: c.zrangebyscore("z", 0, 10, withscores=True),
    lambda c: c.zscore("z", "m"),
    lambda c: c.zcard("z"),
    lambda c: c.zrem("z", "m"),
    lambda c: c.xadd("x", {"f": "v"}, id="1-1"),
    lambda c: c.xadd("x", {"f": "w"}, id="2-1"),
    lambda c: c.xgroup_create("x", "g", id="0"),
    lambda c: c.xlen("x"),
    lambda c: c.xrange("x", count=1),
    lambda c: c.xrevrange("x"),
    lambda c: c.xread({"x": "0"}),
    lambda c: c.xreadgroup("g", "me", {"x": ">"}, count=1),
    lambda c: c.xreadgroup("g", "me", {"x": ">"}, count=1, block=10),
    lambda c: c.xreadgroup("g", "me", {"x": ">"}, block=10),
    lambda c: c.xpending("x", "g"),
    lambda c: without(c.xpending_range("x", "g", "-", "+", 10), "time_since_delivered"),
    lambda c: c.xautoclaim("x", "g", "you", 0),
    lambda c: c.xclaim("x", "g", "me", 0, ["1-1"], justid=True),
    lambda c: c.xack("x", "g", "1-1"),
    lambda c: c.xinfo_groups("x"),
    lambda c: c.xinfo_stream("x"),
    lambda c: without(c.xinfo_consumers("x", "g"), "idle", "inactive"),
    lambda c: c.xdel("x", "1-1"),
    lambda c: c.xtrim("x", maxlen=0),
    lambda c: c.eval("return {1, 'a', {ok='fine'}, false}", 0),
    lambda c: c.script_load("return 1"),
    lambda c: c.script_exists("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0" * 40),
    lambda c: c.evalsha("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", 0),
    lambda c: c.publish("channel", "m"),
    lambda c: c.pubsub_numsub("channel"),
    lambda c: sorted_later(c.keys("*")),
    lambda c: c.rename("a", "c"),
    lambda c: c.delete("b", "none"),
    lambda c: c.unlink("c"),
    lambda c: c.dbsize(),
    lambda c: c.echo("é"),
    lambda c: c.flushdb(),
]


#: What redis-py's clients give when nothing is asked for; version 8 changes shapes when told RESP2 alone.
PLAIN: dict[str, Any] = {"protocol": 2}
if int(redis_py.__version__.partition(".")[0]) >= 8:
    PLAIN["legacy_responses"] = True


class Later:
    """What is left to do with a reply, so that one line serves for both clients."""

    def __init__(self, reply: Any, then: Callable[[Any], Any]) -> None:
        self.reply, self.then = reply, then


def sorted_later(reply: Any) -> Later:
    return Later(reply, sorted)


def without(reply: Any, *names: str) -> Later:
    """Drop what depends on the moment."""
    return Later(reply, lambda rows: [{k: v for k, v in row.items() if k not in names} for row in rows])


async def finish(reply: Any) -> Any:
    if isinstance(reply, Later):
        return reply.then(await finish(reply.reply))
    return await reply if inspect.isawaitable(reply) else reply


async def test_replies_have_the_shapes_of_redis_py(client: Client, redis_url: str) -> None:
    with redis_py.Redis.from_url(redis_url, **PLAIN) as reference:
        expected = []
        for step in SESSION:
            expected.append(await finish(step(reference)))
        reference.flushall()
        reference.script_flush()
    for step, answer in zip(SESSION, expected, strict=True):
        got = await finish(step(client))
        assert got == answer, inspect.getsource(step)
        assert type(got) is type(answer), inspect.getsource(step)


async def test_scan_iter_finds_what_matches(client: Client) -> None:
    for number in range(50):
        await client.set(f"wanted:{number}", number)
        await client.set(f"other:{number}", number)
    found = {key async for key in client.scan_iter(match="wanted:*", count=10)}
    assert found == {f"wanted:{number}".encode() for number in range(50)}


async def test_an_error_reply_is_raised(client: Client) -> None:
    await client.set("text", "x")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await client.lpush("text", 1)


async def test_a_response_callback_may_be_set(client: Client) -> None:
    await client.set("text", "x")
    client.set_response_callback("get", lambda reply: reply.decode())
    assert await client.get("text") == "x"


async def test_info_and_config_are_parsed(redis: Client) -> None:
    assert isinstance((await redis.info("server"))["tcp_port"], int)
    assert await redis.config_get("port") == {"port": str(redis.address.port)}
    assert await redis.client_list()
    assert isinstance(await redis.time(), tuple)
    await redis.config_set("slowlog-log-slower-than", 0)
    await redis.ping()
    await redis.config_set("slowlog-log-slower-than", 10_000)
    assert b"PING" in [entry["command"] for entry in await redis.slowlog_get()]
